"""What tests of patches need of git: trees of bytes, diffs between them, and what a text does to them."""

import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from maingate.patches.apply.doubt_resolution import locate
from maingate.patches.intake import Intake, take_in
from maingate.reasons import Reason

Tree = Mapping[bytes, tuple[str, bytes]]
"""Paths to (mode, content); a symbolic link's content is its target."""

MAX_BYTES = 1 << 26


@dataclass(frozen=True)
class DiffWorld:
    """A bare repository that trees are written to without any work tree."""

    path: Path

    @classmethod
    def create(cls, path: Path) -> "DiffWorld":
        """Make the repository."""
        path.mkdir(parents=True)
        world = cls(path)
        world.git("init", "-q", "--bare")
        return world

    def git(self, *args: str | bytes, stdin: bytes | None = None, check: bool = True) -> bytes:
        """Run git with an index of its own and return its output."""
        env = {**os.environ, "GIT_INDEX_FILE": str(self.path / "index-of-test")}
        done = subprocess.run(
            ["git", *args], cwd=self.path, input=stdin, env=env, capture_output=True, check=False
        )
        if done.returncode != 0 and check:
            raise AssertionError(f"git {args!r} failed: {done.stderr.decode(errors='replace')}")
        return done.stdout if done.returncode == 0 else b""

    def tree(self, files: Tree) -> str:
        """Write a tree and return its id."""
        self.git("read-tree", "--empty")
        lines = b"".join(
            b"%s %s\t%s\0" % (mode.encode(), self.blob(mode, content), path)
            for path, (mode, content) in files.items()
        )
        self.git("update-index", "-z", "--index-info", stdin=lines)
        return self.git("write-tree").decode().strip()

    def blob(self, mode: str, content: bytes) -> bytes:
        """Write a file's content and return its id; a submodule's content is the commit id itself."""
        if mode == "160000":
            return content
        return self.git("hash-object", "-w", "--stdin", stdin=content).strip()

    def diff(self, old: str, new: str, *options: str, config: Mapping[str, str] | None = None) -> bytes:
        """Return git's diff of two trees."""
        settings = [part for name, value in (config or {}).items() for part in ("-c", f"{name}={value}")]
        return self.git(*settings, "diff", "--binary", *options, old, new)

    def reader(self, tree: str) -> Callable[[bytes], bytes | None]:
        """Return what reads a file of a tree."""

        def read(path: bytes) -> bytes | None:
            spec = tree.encode() + b":" + path
            exists = subprocess.run(
                ["git", "cat-file", "-e", spec], cwd=self.path, capture_output=True, check=False
            )
            return self.git("cat-file", "blob", spec) if exists.returncode == 0 else None

        return read

    def applied(self, base: str, text: bytes, *options: str) -> str | None:
        """Return the tree that git makes of a base and a text, or None when it refuses."""
        self.git("read-tree", base)
        env = {**os.environ, "GIT_INDEX_FILE": str(self.path / "index-of-test")}
        command = ["git", "apply", "--cached", "--whitespace=nowarn", *options]
        done = subprocess.run(command, cwd=self.path, input=text, env=env, capture_output=True, check=False)
        return self.git("write-tree").decode().strip() if done.returncode == 0 else None

    def landed(self, base: str, raw: bytes) -> str | Reason | None:
        """Take a text in, locate it, let git apply it: the tree, the reason, or None for git's refusal."""
        intake = take_in(raw, max_bytes=MAX_BYTES)
        located = intake if isinstance(intake, Reason) else locate(intake, self.reader(base))
        if isinstance(located, Reason):
            return located
        return self.applied(base, located.render(), *(["--unidiff-zero"] if located.is_zero_context else []))


def taken(raw: bytes) -> Intake:
    """Take a text in that must be accepted."""
    intake = take_in(raw, max_bytes=MAX_BYTES)
    assert isinstance(intake, Intake), intake
    return intake


def refusal(raw: bytes) -> Reason:
    """Take a text in that must be refused."""
    reason = take_in(raw, max_bytes=MAX_BYTES)
    assert isinstance(reason, Reason), f"accepted: {raw!r}"
    return reason
