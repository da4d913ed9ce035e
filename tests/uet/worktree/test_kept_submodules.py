"""Submodules that `prepare` checks out work in every job that finds them kept."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from maingate.git.remote_view import read_remote_view
from maingate.system.process_tree import adopt_orphans
from maingate.uet.process.command import CommandResult
from maingate.uet.worktree.keep_rules import KeepRules
from maingate.uet.worktree.kept_submodules import embed_submodules
from maingate.uet.worktree.worktree import Worktree
from maingate.workers.local.job_execution import execute
from support.factories import GitRepo
from support.pools import artifacts_in, gate_job

UPDATE = "git -c protocol.file.allow=always submodule --quiet update --init --recursive"
LOOK = (
    "cat sub/lib.txt sub/deep/deep.txt && git status --porcelain && git submodule status --recursive"
    " && git -C sub log --format=%s -1 && git -C sub/deep status --porcelain"
)


@pytest.fixture(autouse=True)
def _reaper() -> Iterator[None]:
    """Adopt orphans, as a worker does."""
    adopt_orphans()
    yield
    adopt_orphans(on=False)


class World:
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


@pytest.fixture
def world(repo: GitRepo, tmp_path: Path) -> World:
    """Give the world."""
    return World(repo, tmp_path)


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_kept_submodule_works_in_every_job(world: World, is_shared: bool) -> None:
    """Also after a gate that harmed it; nothing is changed, and it is not fetched again."""
    for number in range(3):
        outcome = world.run(LOOK, keep_shared=is_shared)
        assert outcome.passed, outcome
        said = outcome.excerpt.splitlines()
        assert said[:2] == ["lib", "deep"]
        assert [line[0] for line in said[2:4]] == [" ", " "]
        assert said[4:] == ["with deep"]
        if number == 0:
            world.lib.path.rename(world.lib.path.with_name("away"))
        if not is_shared:
            assert world.run("rm -rf sub/.git/HEAD sub/deep/.git; echo evil > sub/lib.txt").passed


def test_another_commit_of_a_submodule_is_prepared_anew(world: World) -> None:
    """What is kept belongs to the commit that the tree has."""
    assert world.run(LOOK).passed
    world.lib.commit({"lib.txt": "newer\n"}, "newer")
    world.repo.git("update-index", "--cacheinfo", f"160000,{world.lib.head()},sub")
    world.repo.git("commit", "-q", "-m", "moved")
    assert world.run("cat sub/lib.txt && git status --porcelain").excerpt == "newer\n"


def test_a_pointer_that_leads_elsewhere_is_left_alone(repo: GitRepo, tmp_path: Path) -> None:
    """A `prepare` that lies moves nothing of the person's."""
    repo.commit({"f": "f\n"})
    tree = tmp_path / "tree"
    (tree / ".git/modules").mkdir(parents=True)
    (tree / ".git/modules/link").symlink_to(repo.path / ".git")
    for name, pointer in (
        ("a", f"{repo.path}/.git"),
        ("b", "../.git/modules/link"),
        ("c", "../.git/modules/../../x"),
    ):
        (tree / "kept" / name).mkdir(parents=True)
        (tree / "kept" / name / ".git").write_text(f"gitdir: {pointer}\n")

    embed_submodules(os.fsencode(tree), KeepRules(["kept"]), [])

    assert all((tree / "kept" / name / ".git").is_file() for name in "abc")
    subprocess.run(["git", "status"], cwd=repo.path, check=True, capture_output=True)
