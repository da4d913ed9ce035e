"""A repository whose submodule has a submodule, and jobs on it."""

from pathlib import Path

from maingate.git.remote_view import read_remote_view
from maingate.uet.process.command import CommandResult
from maingate.uet.worktree.worktree import Worktree
from maingate.workers.local.job_execution import execute
from support.factories import GitRepo
from support.pools import artifacts_in, gate_job

UPDATE = "git -c protocol.file.allow=always submodule --quiet update --init --recursive"


class SubmoduleWorld:
    """A repository with a submodule of a relative address, which has one itself."""

    def __init__(self, repo: GitRepo, folder: Path) -> None:
        self.repo, self._folder = repo, folder
        self.deep = GitRepo.create(folder / "deep.git")
        self.lib = GitRepo.create(folder / "lib.git")
        self.deep.commit({"deep.txt": "deep\n"}, "deep")
        self.add(self.lib, "../deep.git", "deep", {"lib.txt": "lib\n"})
        self.add(repo, "../lib.git", "sub", {"f": "f\n"})
        view = repo.git("hash-object", "-w", "--stdin", stdin=read_remote_view(repo.path / ".git").to_bytes())
        self.worktree = Worktree(folder / "slot", repo.path / ".git", remotes=view)

    def add(self, repo: GitRepo, url: str, path: str, files: dict[str, str | bytes | None]) -> None:
        """Add a submodule and commit it."""
        inner = {"../deep.git": self.deep, "../lib.git": self.lib}[url]
        repo.write({".gitmodules": f'[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n', **files})
        repo.git("add", ".")
        repo.git("update-index", "--add", "--cacheinfo", f"160000,{inner.head()},{path}")
        repo.git("commit", "-q", "-m", f"with {path}")

    def run(self, script: str, **options: object) -> CommandResult:
        """Run a job that finds the submodule kept."""
        plan: dict[str, object] = {"prepare": (UPDATE,), "keep": ("sub",), **options}
        job = gate_job(self.repo.head(), script, **plan)
        return execute(job, worktree=self.worktree, artifacts=artifacts_in(self._folder))
