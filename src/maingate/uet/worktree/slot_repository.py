"""Create the git directories of a slot by plain files, over the objects of another repository."""

# This runs before every job, and pathlib costs more than what is asked of the system.
# ruff: noqa: PTH208

import contextlib
import os
from pathlib import Path
from typing import Final

from maingate.system.removal import remove
from maingate.uet.worktree.keep_rules import KeepRules

CONTROL_CONFIG: Final = "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tlogallrefupdates = false\n"
VISIBLE_CONFIG: Final = "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tlogallrefupdates = true\n"

KEPT_CONFIG: Final = "[submodule]\n\tactive = .\n"
"""Lines by which a kept submodule counts as one that was initialised."""


def _put(file: Path, content: bytes) -> None:
    """Write a file unless it has the content already; a link in its place is removed."""
    if file.is_file() and not file.is_symlink() and file.read_bytes() == content:
        return
    remove(os.fsencode(file))
    file.write_bytes(content)


def leave_only(folder: Path, name: str) -> None:
    """Remove all else from a folder of objects: they would stand for those of the source."""
    if folder.is_symlink() or not folder.is_dir():
        remove(os.fsencode(folder))
        return
    for there in os.listdir(folder):
        if there != name:
            remove(os.fsencode(folder / there))


def shallow_of(source: Path) -> bytes | None:
    """Return where the history of a shallow clone ends."""
    with contextlib.suppress(FileNotFoundError):
        return (source / "shallow").read_bytes()
    return None


def exclude(git_dir: Path, rules: KeepRules, *more: str) -> None:
    """Write the rules by which a git directory ignores kept paths, and more; `git init` has the file, too."""
    lines = [(b"/" if b"/" in pattern else b"") + pattern + b"\n" for pattern in rules.patterns]
    lines += [os.fsencode(pattern) + b"\n" for pattern in more]
    (git_dir / "info").mkdir()
    (git_dir / "info" / "exclude").write_bytes(b"".join(lines))


def make_repository(git_dir: Path, source: Path, *, config: str, head: str) -> None:
    """Create a git directory by plain files, a tenth of the cost of ``git init``."""
    (git_dir / "objects" / "info").mkdir(parents=True, exist_ok=True)
    (git_dir / "refs" / "heads").mkdir(parents=True, exist_ok=True)
    _put(git_dir / "objects" / "info" / "alternates", os.fsencode(source / "objects") + b"\n")
    _put(git_dir / "config", os.fsencode(config))
    _put(git_dir / "HEAD", f"{head}\n".encode())
    if (shallow := shallow_of(source)) is not None:
        (git_dir / "shallow").write_bytes(shallow)
