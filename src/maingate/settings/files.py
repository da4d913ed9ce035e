"""Files of settings: one in the tree, which commits can change, and one that no commit reaches."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE_NAME: Final = "maingate.toml"
STATE_FOLDER: Final = "maingate"
PREFIX: Final = "MAINGATE_"
"""The prefix of environment variables that are settings."""


@dataclass(frozen=True, kw_only=True)
class TargetFile:
    """The ``maingate.toml`` of the commit that a target is at, whatever is checked out.

    Args:
        name: The file for people, such as ``main:maingate.toml``.
        text: Its content.
    """

    name: str
    text: str


@dataclass(frozen=True, kw_only=True)
class SettingsFiles:
    """The files that settings are read from; none of them need exist.

    Args:
        tree: In the main work tree; None where there is none, as in a bare repository.
        own: In git's common directory, which no patch, `git clean` or checkout reaches.
        target: In the tree of the target; where it exists, policy and rules are its, not the work tree's.
    """

    tree: Path | None = None
    own: Path | None = None
    target: TargetFile | None = None

    @classmethod
    def of(cls, git_dir: Path, work_tree: Path | None) -> "SettingsFiles":
        """Return the files of a repository.

        Args:
            git_dir: Its common git directory.
            work_tree: The top of its main work tree; None when it has none.
        """
        tree = None if work_tree is None else work_tree / FILE_NAME
        return cls(tree=tree, own=git_dir / STATE_FOLDER / FILE_NAME)

    @classmethod
    def around(cls, root: Path | None) -> "SettingsFiles":
        """Return the files of the repository whose work tree, linked work tree or bare folder `root` is."""
        if root is None:
            return cls()
        pointer = root / ".git"
        git_dir = _git_dir(pointer) if os.path.lexists(pointer) else root
        common = _common_dir(git_dir)
        if common != git_dir:
            return cls.of(common, common.parent if common.name == ".git" else None)
        if os.path.lexists(pointer):
            return cls.of(common, root)
        is_bare = (root / "HEAD").is_file() and (root / "objects").is_dir()
        return cls.of(root, None) if is_bare else cls(tree=root / FILE_NAME)

    def may_set_anything(self, environ: Mapping[str, str]) -> bool:
        """Return whether a setting may be set; when none is, every default holds."""
        is_there = any(map(_may_be_there, filter(None, (self.tree, self.own))))
        return is_there or any(name.startswith(PREFIX) and text for name, text in environ.items())


def _may_be_there(file: Path) -> bool:
    """Return whether a file exists or cannot be examined; reading it shows which."""
    try:
        file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _git_dir(pointer: Path) -> Path:
    """Return the git directory: `.git` itself, or the directory that it names."""
    if not pointer.is_file():
        return pointer
    try:
        named = pointer.read_text(errors="surrogateescape").removeprefix("gitdir:").strip()
    except OSError:
        return pointer
    return (pointer.parent / named).resolve()


def _common_dir(git_dir: Path) -> Path:
    """Return the common git directory of a linked work tree, which its own git directory names."""
    try:
        named = (git_dir / "commondir").read_text(errors="surrogateescape").strip()
    except OSError:
        return git_dir
    return (git_dir / named).resolve()
