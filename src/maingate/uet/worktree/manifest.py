"""The content of a worktree, folder by folder, so that what does not belong there is found cheaply.

git restores the files of a commit, but ``git clean`` reads every folder each time, and leaves some things:
a ``.git`` inside a tracked folder, the content of a submodule's folder, a folder that became empty, rights
of folders. Here every folder of a clean checkout is remembered with its names, its rights and its status
change time. That time changes with every name that comes or goes, and no process can set it; a folder in
which it is the same has the same names. The others are read and rid of what was not there.

The content of a *file* is left to git, which checks it by the stat data in its index. They know whole seconds
only, so a file that was touched in the second of its checkout is removed here, and git writes it again.
A strict manifest removes every file that was touched at all: where something is kept, the time of a file
decides what ``make`` believes, and what is kept is not in git's index.
"""

# Names on disk are bytes, which pathlib cannot hold, and this runs before every job.
# ruff: noqa: PTH106, PTH118

import contextlib
import os
import stat
import time
from collections.abc import Collection
from typing import Any, Final

from maingate.git.trees import folders_of
from maingate.system.file_copy import attributes_of
from maingate.system.removal import kind_of, remove
from maingate.uet.worktree.keep_rules import KeepRules
from maingate.uet.worktree.tree_folder import (
    Folder,
    remove_touched,
    restore_rights,
    stamp_of_file,
    stamp_of_folder,
)

_FRESH_NS: Final = 2_000_000_000
"""A folder changed less than this before it was read is not trusted: clocks of file systems tick slowly."""
_GIT: Final = b".git"

_Place = tuple[Folder, Folder | None, bytes, bytes]


class TreeManifest:
    """The folders of a clean checkout.

    Args:
        tree: The root of the worktree.
        keep: Paths that are neither read nor removed where they are not tracked.
        is_strict: Whether files that were touched are removed, so that they are made anew.
    """

    def __init__(self, tree: bytes, keep: KeepRules, *, is_strict: bool = False) -> None:
        self._tree, self.keep, self._is_strict = tree, keep, is_strict
        self._root = Folder()
        self._tracked: frozenset[bytes] = frozenset()
        self._is_told_anew = False
        self.discarded: list[bytes] = []
        """The paths that ``clean`` has removed last, because they did not belong there."""
        self.newest = 0
        """The latest status change time of what belongs into the tree, as far as a survey has read it."""

    def track(self, paths: Collection[bytes]) -> None:
        """Learn what is tracked where something may be kept; call it before the survey that is to know it."""
        tracked = frozenset(paths) | folders_of(paths)
        self._is_told_anew |= tracked != self._tracked
        self._tracked = tracked

    def to_json(self) -> list[Any]:
        """Return what ``load`` reads back: the tree as it was surveyed, one row for each folder."""
        rows: list[Any] = []
        waiting: list[tuple[Folder, bytes]] = [(self._root, b"")]
        while waiting:
            folder, path = waiting.pop()
            files = [[_text(name), *stamp] for name, stamp in folder.files.items()]
            known = [folder.rights, folder.attributes, folder.stamp, folder.is_kept]
            rows.append([_text(path), files, *known])
            waiting += [(child, _join(path, name)) for name, child in folder.folders.items()]
        return rows

    def load(self, rows: list[Any]) -> None:
        """Load the survey of another process; ``track`` comes before it.

        Raises:
            LookupError, TypeError, ValueError: It is not what ``to_json`` made.
        """
        known: dict[bytes, Folder] = {}
        for path, files, rights, attributes, stamp, is_kept in rows:
            folder = known[_bytes(path)] = Folder(is_kept=is_kept)
            folder.files = {_bytes(name): tuple(known_stamp) for name, *known_stamp in files}
            folder.rights, folder.attributes, folder.stamp = rights, attributes, tuple(stamp)
            parent, _, name = _bytes(path).rpartition(b"/")
            if path:
                known[parent].folders[name] = folder
        self._root, self._is_told_anew = known[b""], False

    def clean(self) -> bool:
        """Remove what does not belong into the tree, and give folders their rights back.

        Missing and changed files are left to git. Call it before the checkout.

        Returns:
            Whether every folder is as it was surveyed.

        Raises:
            OwnerChangedError: A folder changed its owner.
            OSError: Something cannot be removed.
        """
        usual = 0o777 & ~_umask()
        is_untouched = True
        self.discarded = []
        seen: list[_Place] = []
        waiting: list[_Place] = [(self._root, None, b"", self._tree)]
        while waiting:
            folder, parent, relative, path = place = waiting.pop()
            now = stamp_of_folder(path)
            is_untouched &= now == folder.stamp
            if now is None:
                _forget(parent, relative)
                continue
            if folder.is_fresh or now != folder.stamp:
                restore_rights(folder, path, now, usual=usual)
                is_untouched &= not self._weed(folder, relative, path)
            elif self._is_strict:
                is_untouched &= not remove_touched(folder, path)
            seen.append(place)
            waiting += [
                (child, folder, _join(relative, name), os.path.join(path, name))
                for name, child in folder.folders.items()
            ]
        for folder, parent, relative, path in reversed(seen):
            if folder.has_lost and parent is not None and _remove_if_empty(path):
                _forget(parent, relative)
        return is_untouched

    def survey(self) -> None:
        """Remember the tree as it is now: clean, just checked out. Only changed folders are read."""
        now_ns = time.time_ns()
        waiting: list[tuple[Folder, bytes, bytes]] = [(self._root, b"", self._tree)]
        while waiting:
            folder, relative, path = waiting.pop()
            now = stamp_of_folder(path)
            if now is None:
                raise FileNotFoundError(path)
            if now != folder.stamp or folder.is_fresh or self._is_told_anew:
                self._read(folder, relative, path)
                self.newest = max(self.newest, now[3], *(stamp[1] for stamp in folder.files.values()))
                folder.rights, folder.stamp = stat.S_IMODE(now[2]), now
                folder.attributes = attributes_of(path)
                folder.is_fresh = now_ns - max(now[3], now[4]) < _FRESH_NS
            waiting += [
                (child, _join(relative, name), os.path.join(path, name))
                for name, child in folder.folders.items()
            ]
        self._is_told_anew = False

    def paths(self) -> tuple[list[bytes], list[bytes]]:
        """Return the folders and the files that belong into the tree, and are not kept."""
        folders: list[bytes] = [self._tree]
        files: list[bytes] = []
        waiting: list[tuple[Folder, bytes]] = [(self._root, self._tree)]
        while waiting:
            folder, path = waiting.pop()
            inner = [(child, os.path.join(path, name)) for name, child in folder.folders.items()]
            folders += [below for _, below in inner]
            files += [os.path.join(path, name) for name in folder.files]
            waiting += inner
        return folders, files

    def _weed(self, folder: Folder, relative: bytes, path: bytes) -> bool:
        """Remove from one folder what does not belong there; tells whether what does was touched."""
        count, was_touched = 0, False
        for entry in _entries(path):
            name, is_folder = entry.name, entry.is_dir(follow_symlinks=False)
            if name in folder.files or name in folder.folders:
                count += 1
                if is_folder is not (name in folder.folders) or self._was_touched(folder, entry):
                    remove(os.path.join(path, name))
                    was_touched = True
            elif not self._is_left(folder, where := _join(relative, name)):
                self.discarded.append(where)
                self._discard(where, os.path.join(path, name), is_folder=is_folder)
        folder.has_lost = count < len(folder.files) + len(folder.folders)
        return was_touched

    def _discard(self, where: bytes, here: bytes, *, is_folder: bool) -> None:
        """Remove what does not belong there, but for what is kept inside it."""
        if not is_folder or not self.keep.keeps_below(where):
            remove(here)
            return
        for entry in _entries(here):
            inner = _join(where, entry.name)
            if not self.keep.keeps(inner):
                self._discard(inner, entry.path, is_folder=entry.is_dir(follow_symlinks=False))
        _remove_if_empty(here)

    def _was_touched(self, folder: Folder, entry: os.DirEntry[bytes]) -> bool:
        """Return whether a file was touched in the second of its checkout, where git cannot tell."""
        stamp = folder.files.get(entry.name)
        if stamp is None or not (folder.is_fresh or self._is_strict):
            return False
        return stamp != stamp_of_file(entry.stat(follow_symlinks=False))

    def _read(self, folder: Folder, relative: bytes, path: bytes) -> None:
        """Record the names of a folder as those that belong there."""
        before, folder.files, folder.folders = folder.folders, {}, {}
        for entry in _entries(path):
            where = _join(relative, entry.name)
            if self._is_left(folder, where) and where not in self._tracked:
                continue
            if entry.is_dir(follow_symlinks=False):
                is_kept = folder.is_kept or self.keep.keeps(where)
                folder.folders[entry.name] = before.get(entry.name) or Folder(is_kept=is_kept)
            else:
                folder.files[entry.name] = stamp_of_file(entry.stat(follow_symlinks=False))

    def _is_left(self, folder: Folder, relative: bytes) -> bool:
        """Return whether a path is the gate's repository, or kept and not tracked."""
        return relative == _GIT or folder.is_kept or self.keep.keeps(relative)


def _entries(path: bytes) -> list[os.DirEntry[bytes]]:
    """List a folder completely before anything in it is changed."""
    with os.scandir(path) as entries:
        return list(entries)


def _forget(parent: Folder | None, relative: bytes) -> None:
    """Drop a folder that is missing, so that git makes it anew."""
    if parent is None:
        raise FileNotFoundError("the worktree is gone")
    parent.folders.pop(relative.rpartition(b"/")[2], None)
    parent.has_lost = True


def _remove_if_empty(path: bytes) -> bool:
    with contextlib.suppress(OSError):
        os.rmdir(path)
    return kind_of(path) is None


def _join(relative: bytes, name: bytes) -> bytes:
    return relative + b"/" + name if relative else name


def _umask() -> int:
    mask = os.umask(0o22)
    os.umask(mask)
    return mask


def _text(name: bytes) -> str:
    return name.decode("latin-1")


def _bytes(name: str) -> bytes:
    return name.encode("latin-1")
