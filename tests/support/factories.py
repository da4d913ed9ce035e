"""Factories that arrange what tests act on: real git repositories and their patches."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class GitRepo:
    """A real git repository on disk, driven by the git command."""

    path: Path

    @classmethod
    def create(cls, path: Path) -> "GitRepo":
        """Make an empty repository whose first branch is main."""
        path.mkdir(parents=True)
        shutil.copytree(_initialised().name, path, dirs_exist_ok=True)
        return cls(path)

    def git(self, *args: str, stdin: bytes | None = None) -> str:
        """Run git in the repository and return its output as text, stripped."""
        return os.fsdecode(self.git_bytes(*args, stdin=stdin)).strip()

    def git_bytes(self, *args: str, stdin: bytes | None = None) -> bytes:
        """Run git in the repository and return its output as it is."""
        done = subprocess.run(["git", *args], cwd=self.path, input=stdin, capture_output=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"git {' '.join(args)} failed: {done.stderr.decode(errors='replace')}")
        return done.stdout

    def write(self, files: Mapping[str, str | bytes | None]) -> None:
        """Write files (None deletes) into the work tree."""
        for name, content in files.items():
            path = self.path / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, files: Mapping[str, str | bytes | None], message: str = "change") -> str:
        """Write files, commit everything, and return the commit id."""
        self.write(files)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.head()

    def head(self, ref: str = "HEAD") -> str:
        """Return the commit id that a ref points to."""
        return self._loose_head() if ref == "HEAD" else self.git("rev-parse", ref)

    def _loose_head(self) -> str:
        """Return the commit id that HEAD points to: read, as git is asked for it with each commit."""
        git_dir = self.path / ".git"
        if git_dir.is_dir():
            branch = (git_dir / "HEAD").read_text().strip().removeprefix("ref: ")
            if branch.startswith("refs/heads/") and (git_dir / branch).is_file():
                return (git_dir / branch).read_text().strip()
        return self.git("rev-parse", "HEAD")

    def tree(self, ref: str = "HEAD") -> str:
        """Return the tree id of a commit."""
        return self.git("rev-parse", f"{ref}^{{tree}}")

    def diff_of(self, files: Mapping[str, str | bytes | None], *options: str) -> bytes:
        """Return the diff that the change of files would be, leaving the repository as it was."""
        self.write(files)
        self.git("add", "-A")
        diff = self.git_bytes("diff", "--cached", "--binary", "--full-index", *options, "HEAD", "--")
        self.git("reset", "-q", "--hard", "HEAD", "--")
        return diff


@cache
def _initialised() -> "tempfile.TemporaryDirectory[str]":
    """Initialise an empty repository, once in a process, for all others to be copied from."""
    made = tempfile.TemporaryDirectory(prefix="repository-")
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=made.name, capture_output=True, check=True)
    for sample in Path(made.name, ".git", "hooks").glob("*.sample"):
        sample.unlink()
    return made
