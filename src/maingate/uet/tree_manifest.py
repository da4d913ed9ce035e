"""What belongs into a worktree, folder by folder, so that what does not belong there is found cheaply.

git restores the files of a commit, but ``git clean`` reads every folder each time, and leaves some things:
a ``.git`` inside a tracked folder, the content of a submodule's folder, a folder that became empty, rights
of folders. Here every folder of a clean checkout is remembered with its names, its rights and its status
change time. That time changes with every name that comes or goes, and no process can set it; a folder in
which it is the same has the same names. The others are read and rid of what was not there.

What a *file* holds is not looked at: git does that, by the stat data in its index. They know whole seconds
only, so a file that was touched in the second of its checkout is removed here, and git writes it again.
"""

# Names on disk are bytes, which pathlib cannot hold, and this runs before every job.
# ruff: noqa: PTH101, PTH106, PTH118

import contextlib
import fnmatch
import os
import stat
import time
from collections.abc import Iterable, Sequence
from typing import Final

from maingate.uet.removal import kind_of, remove, unlock

_FRESH_NS: Final = 2_000_000_000
"""A folder changed less than this before it was read is not trusted: clocks of file systems tick slowly."""
_GIT: Final = b".git"
_SUBMODULE: Final = b"160000"
_MASKS: Final = {b"100644": 0o666, b"100755": 0o777}

Stamp = tuple[int, int, int, int, int, int, int]
"""Device, inode, mode, status change time, modification time, owner, group."""

FileStamp = tuple[int, ...] | None
"""Mode, status change time, modification time, inode; the mode alone, or None, when no more is known."""


class OwnerChangedError(Exception):
    """A folder belongs to somebody else now: clean-up cannot give it back."""


class KeepRules:
    """Which untracked paths a worktree keeps between jobs.

    Args:
        patterns: Globs. One without a slash means that name in any tracked folder, others are paths from the
            root of the tree.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        cleaned = [os.fsencode(pattern).strip(b"/") for pattern in patterns]
        self.patterns = tuple(pattern for pattern in cleaned if pattern)
        self._names = [pattern for pattern in self.patterns if b"/" not in pattern]
        self._paths = [pattern.split(b"/") for pattern in self.patterns if b"/" in pattern]

    def keeps(self, path: bytes) -> bool:
        """Tell whether what is at a path, relative to the tree, is kept with all it holds."""
        if not self.patterns:
            return False
        parts = path.split(b"/")
        return any(fnmatch.fnmatchcase(parts[-1], name) for name in self._names) or any(
            len(parts) == len(wanted) and _match(parts, wanted) for wanted in self._paths
        )

    def keeps_below(self, path: bytes) -> bool:
        """Tell whether something in the folder at a path could be kept."""
        parts = path.split(b"/")
        return any(len(parts) < len(wanted) and _match(parts, wanted) for wanted in self._paths)


class Folder:
    """One folder of the clean tree.

    Args:
        rights: Its permission bits; None when they have not been seen yet.
    """

    __slots__ = ("files", "folders", "has_lost", "is_fresh", "rights", "stamp")

    def __init__(self, rights: int | None = None) -> None:
        self.files: dict[bytes, FileStamp] = {}
        self.folders: dict[bytes, Folder] = {}
        self.rights = rights
        self.stamp: Stamp | None = None
        self.is_fresh = True
        self.has_lost = False


_Place = tuple[Folder, Folder | None, bytes, bytes]


class TreeManifest:
    """The folders of a clean checkout.

    Args:
        tree: The root of the worktree.
        keep: What is neither looked into nor removed.
    """

    def __init__(self, tree: bytes, keep: KeepRules) -> None:
        self._tree, self.keep = tree, keep
        self._root = Folder()

    def expect(self, index: Iterable[bytes]) -> None:
        """Learn what belongs into the tree from lines of ``git ls-files --stage`` instead of a survey."""
        self._root = Folder()
        umask = _umask()
        for line in index:
            entry, _, path = line.partition(b"\t")
            self._expect(path, entry[:6], rights=0o777 & ~umask)

    def clean(self) -> bool:
        """Remove what does not belong into the tree, and give folders their rights back.

        What is missing or changed is left to git. Call it before the checkout.

        Returns:
            Whether every folder is as it was surveyed.

        Raises:
            OwnerChangedError: A folder changed its owner.
            OSError: Something cannot be removed.
        """
        usual = 0o777 & ~_umask()
        is_untouched = True
        seen: list[_Place] = []
        waiting: list[_Place] = [(self._root, None, b"", self._tree)]
        while waiting:
            folder, parent, relative, path = place = waiting.pop()
            now = _stamp(path)
            is_untouched &= now == folder.stamp
            if now is None:
                _forget(parent, relative)
                continue
            if folder.is_fresh or now != folder.stamp:
                _restore_rights(folder, path, now, usual=usual)
                self._weed(folder, relative, path)
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
            now = _stamp(path)
            if now is None:
                raise FileNotFoundError(path)
            if now != folder.stamp or folder.is_fresh:
                self._read(folder, relative, path)
                folder.rights, folder.stamp = stat.S_IMODE(now[2]), now
                folder.is_fresh = now_ns - max(now[3], now[4]) < _FRESH_NS
            waiting += [
                (child, _join(relative, name), os.path.join(path, name))
                for name, child in folder.folders.items()
            ]

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

    def _expect(self, path: bytes, kind: bytes, *, rights: int) -> None:
        folder, relative = self._root, b""
        *parents, name = path.split(b"/")
        for parent in parents:
            relative = _join(relative, parent)
            if self.keep.keeps(relative):
                return
            folder = folder.folders.setdefault(parent, Folder())
        if self.keep.keeps(_join(relative, name)):
            return
        if kind == _SUBMODULE:
            folder.folders.setdefault(name, Folder())
        else:
            mask = _MASKS.get(kind)
            folder.files[name] = None if mask is None else (stat.S_IFREG | rights & mask,)

    def _weed(self, folder: Folder, relative: bytes, path: bytes) -> None:
        """Remove from one folder what does not belong there."""
        count = 0
        for entry in _entries(path):
            name, is_folder = entry.name, entry.is_dir(follow_symlinks=False)
            if name in folder.files or name in folder.folders:
                count += 1
                if is_folder is not (name in folder.folders) or _was_touched(folder, entry):
                    remove(os.path.join(path, name))
            elif not self._is_ours(where := _join(relative, name)):
                self._discard(where, os.path.join(path, name), is_folder=is_folder)
        folder.has_lost = count < len(folder.files) + len(folder.folders)

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

    def _read(self, folder: Folder, relative: bytes, path: bytes) -> None:
        """Take the names of a folder as those that belong there."""
        before, folder.files, folder.folders = folder.folders, {}, {}
        for entry in _entries(path):
            if self._is_ours(_join(relative, entry.name)):
                continue
            if entry.is_dir(follow_symlinks=False):
                folder.folders[entry.name] = before.get(entry.name) or Folder()
            else:
                folder.files[entry.name] = _file_stamp(entry)

    def _is_ours(self, relative: bytes) -> bool:
        """Whether a path is none of the checkout's: kept, or the repository that the gate sees."""
        return relative == _GIT or self.keep.keeps(relative)


def _match(parts: Sequence[bytes], wanted: Sequence[bytes]) -> bool:
    return all(fnmatch.fnmatchcase(part, glob) for part, glob in zip(parts, wanted, strict=False))


def _stamp(path: bytes) -> Stamp | None:
    """Return what cannot stay the same when names come or go; None when there is no folder."""
    try:
        info = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISDIR(info.st_mode):
        return None
    return (
        info.st_dev,
        info.st_ino,
        info.st_mode,
        info.st_ctime_ns,
        info.st_mtime_ns,
        info.st_uid,
        info.st_gid,
    )


def _file_stamp(entry: os.DirEntry[bytes]) -> FileStamp:
    info = entry.stat(follow_symlinks=False)
    return (info.st_mode, info.st_ctime_ns, info.st_mtime_ns, info.st_ino)


def _was_touched(folder: Folder, entry: os.DirEntry[bytes]) -> bool:
    """Tell whether a file of a fresh folder was touched: within the second of its checkout, git cannot."""
    stamp = folder.files.get(entry.name)
    if stamp is None or not folder.is_fresh:
        return False
    now = _file_stamp(entry)
    return now is None or stamp != now[: len(stamp)]


def _entries(path: bytes) -> list[os.DirEntry[bytes]]:
    """List a folder completely before anything in it is changed."""
    with os.scandir(path) as entries:
        return list(entries)


def _restore_rights(folder: Folder, path: bytes, now: Stamp, *, usual: int) -> None:
    """Give a folder the rights it had; what made it unchangeable is taken away on the way."""
    if folder.stamp is not None and folder.stamp[5:] != now[5:]:
        raise OwnerChangedError(os.fsdecode(path))
    if os.geteuid() == 0:
        unlock(path)
    wanted = usual if folder.rights is None else folder.rights
    if stat.S_IMODE(now[2]) != wanted:
        os.chmod(path, wanted)


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
