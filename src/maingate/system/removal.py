"""Removal of a file or a whole tree that a hostile process may have made hard to remove.

``shutil.rmtree`` gives up on a read-only folder and, before Python 3.13, on a tree a thousand levels deep.
Here permissions are restored, the immutable flag is cleared, and folders with too long paths are moved up. A
symbolic link is removed, never followed. No other process may run in the tree meanwhile.
"""

# Names on disk are bytes, which pathlib cannot hold, and this runs before every job.
# ruff: noqa: PTH101, PTH118, PTH120

import array
import contextlib
import errno
import fcntl
import os
import stat
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

_LONGEST_PATH: Final = 3500
"""Bytes of a path above which a folder is moved up to the top of the tree before it is emptied."""
_FS_IOC_GETFLAGS: Final = 0x8008_6601
_FS_IOC_SETFLAGS: Final = 0x4008_6602
_LOCKING_FLAGS: Final = 0x10 | 0x20
"""The immutable and append-only flags of a Linux file system."""


def remove(path: bytes) -> None:
    """Remove the file or tree at a path, if there is one.

    Args:
        path: A file, a symbolic link, a folder with all its content, or nothing.

    Raises:
        OSError: A part of it cannot be removed (a mount point, another user's file).
    """
    mode = kind_of(path)
    if mode is None:
        return
    if not stat.S_ISDIR(mode):
        forced(partial(os.unlink, path), os.path.dirname(path), path)
        return
    emptied: list[bytes] = []
    waiting = [path]
    while waiting:
        folder = _within_reach(waiting.pop(), top=path, number=len(emptied))
        emptied.append(folder)
        waiting += _empty(folder)
    for folder in reversed(emptied):
        forced(partial(os.rmdir, folder), os.path.dirname(folder), folder)


def kind_of(path: bytes) -> int | None:
    """Return the mode of the file at a path, of a link itself; None when there is none."""
    try:
        return os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def _empty(folder: bytes) -> list[bytes]:
    """Remove the files of a folder and return its folders."""
    listed = forced(partial(_list, folder), folder)
    for path, is_folder in listed:
        if not is_folder:
            forced(partial(os.unlink, path), folder, path)
    return [path for path, is_folder in listed if is_folder]


def _list(folder: bytes) -> list[tuple[bytes, bool]]:
    with os.scandir(folder) as entries:
        return [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries]


def _within_reach(folder: bytes, *, top: bytes, number: int) -> bytes:
    """Move a folder to the top of the tree when the paths below it could become too long for the system."""
    if len(folder) < _LONGEST_PATH:
        return folder
    near = os.path.join(top, b".maingate-removal-%d" % number)
    forced(partial(os.rename, folder, near), os.path.dirname(folder), folder, top)
    return near


def forced(action: Callable[[], T], *paths: bytes) -> T:
    """Run an action; when it is forbidden, take the permissions for it and run it again."""
    try:
        return action()
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM):
            raise
    for path in paths:
        unlock(path)
    return action()


def unlock(path: bytes) -> None:
    """Make a file or folder writable for its owner: clear its flags and set a folder's permissions."""
    mode = kind_of(path)
    if mode is None or not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        return
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError):
            _clear_flags(path)
    if stat.S_ISDIR(mode) and mode & stat.S_IRWXU != stat.S_IRWXU:
        os.chmod(path, stat.S_IMODE(mode) | stat.S_IRWXU)


def _clear_flags(path: bytes) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        flags = array.array("i", [0, 0])
        fcntl.ioctl(fd, _FS_IOC_GETFLAGS, flags)
        if flags[0] & _LOCKING_FLAGS:
            flags[0] &= ~_LOCKING_FLAGS
            fcntl.ioctl(fd, _FS_IOC_SETFLAGS, flags)
    finally:
        os.close(fd)


def are_folders(*paths: Path) -> bool:
    """Return whether all of them are folders, and none a link to one."""
    kinds = [kind_of(os.fsencode(path)) for path in paths]
    return all(kind is not None and stat.S_ISDIR(kind) for kind in kinds)


def all_below(folder: bytes) -> list[bytes]:
    """Return a folder and all below it; links are not followed."""
    paths = [folder]
    with os.scandir(folder) as entries:
        for entry in entries:
            paths += all_below(entry.path) if entry.is_dir(follow_symlinks=False) else [entry.path]
    return paths
