"""A walk through the tree that a tool leaves, before git reads it."""

# Names on disk are bytes, which pathlib cannot hold.
# ruff: noqa: PTH118

import os
import stat
from dataclasses import dataclass, field
from typing import Final

from maingate.system.removal import unlock
from maingate.uet.worktree.keep_rules import KeepRules

_RULES: Final = (b".gitignore", b".gitattributes", b".gitmodules")
_MAX_RULES: Final = 16 * 1024 * 1024
"""Bytes from which a file of rules is kept from git, which holds all of it in memory."""


@dataclass(frozen=True, kw_only=True)
class Survey:
    """The findings of a walk through a tree. Paths are relative to the tree.

    Args:
        nested: Each ``.git`` below the root.
        special: Paths that are neither file, link nor folder.
        monstrous: Files of rules that git would read into memory, and that are too big for that.
        unreadable: Paths that cannot be read: too deep, or another user's.
        touched: The files changed since the tool began, and their sizes.
    """

    nested: list[bytes] = field(default_factory=list)
    special: list[bytes] = field(default_factory=list)
    monstrous: list[bytes] = field(default_factory=list)
    unreadable: list[bytes] = field(default_factory=list)
    touched: list[tuple[bytes, int]] = field(default_factory=list)


def survey(top: bytes, keep: KeepRules, *, since: int) -> Survey:
    """Walk through a tree without following links or opening files."""
    found = Survey()
    waiting = [b""]
    while waiting:
        folder = waiting.pop()
        try:
            entries = _entries(os.path.join(top, folder))
        except OSError:
            found.unreadable.append(folder)
            continue
        for entry in entries:
            path = folder + b"/" + entry.name if folder else entry.name
            if path != b".git" and not keep.keeps(path) and _note(found, entry, path, since=since):
                waiting.append(path)
    return found


def _note(found: Survey, entry: os.DirEntry[bytes], path: bytes, *, since: int) -> bool:
    """Record the findings about one entry; return whether to walk into it."""
    try:
        info = entry.stat(follow_symlinks=False)
    except OSError:
        found.unreadable.append(path)
        return False
    is_file = stat.S_ISREG(info.st_mode)
    if entry.name == b".git":
        found.nested.append(path)
    elif stat.S_ISDIR(info.st_mode):
        return True
    elif not (is_file or stat.S_ISLNK(info.st_mode)):
        found.special.append(path)
    elif entry.name in _RULES and info.st_size > _MAX_RULES:
        found.monstrous.append(path)
    elif is_file and info.st_ctime_ns >= since:
        found.touched.append((path, info.st_size))
        _make_readable(entry.path, info)
    return False


def _entries(folder: bytes) -> list[os.DirEntry[bytes]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except PermissionError:
        unlock(folder)
        with os.scandir(folder) as entries:
            return list(entries)


def _make_readable(path: bytes, info: os.stat_result) -> None:
    """Restore the owner's right to read a file, which the tool has removed; git knows no such right."""
    if not info.st_mode & stat.S_IRUSR and info.st_uid == os.geteuid():
        os.chmod(path, stat.S_IMODE(info.st_mode) | stat.S_IRUSR)  # noqa: PTH101 - names are bytes
