"""Proof that nothing has touched what a slot holds, mostly without reading it.

A path that bears the status change time of its survey was not touched since: every change sets that time,
and no process can choose it. Two things stand against that, and git has met both ("racy git"). The kernel's
clock ticks, so what is touched right after a survey may bear the time of the survey; so of what was young
then the content is remembered and compared, until it was found untouched when it was old. And clocks jump,
or are those of another machine; so the file system is asked for its own, and what lies ahead of it is young.

A path without proof need not be wrong: git is asked, as about a slot that is new.
"""

# Names on disk are bytes, which pathlib cannot hold, and this runs before every job.
# ruff: noqa: PTH115, PTH123, PTH208

import os
import stat
import time
from collections.abc import Callable, Sequence
from operator import attrgetter, eq
from typing import Final

FEW: Final = 256
"""Most young paths that are remembered with their content; where there are more, asking git costs less."""
_FEW_BYTES: Final = 32 * 1024 * 1024
_YOUNG_NS: Final = 50_000_000
"""In which time a change may bear the time of the one before; the slowest kernels tick every 10 ms."""
_YOUNG_COARSE_NS: Final = 3_000_000_000
"""The same for a time that is a whole second, as all are on some file systems."""
_SECOND_NS: Final = 1_000_000_000
_LONGEST_TICK: Final = 3.0
_PAUSE: Final = 0.0005

_stamp: Final[Callable[[os.stat_result], tuple[int, ...]]] = attrgetter(
    "st_dev",
    "st_ino",
    "st_mode",
    "st_nlink",
    "st_uid",
    "st_gid",
    "st_size",
    "st_mtime_ns",
    "st_ctime_ns",
)


class UntouchedPaths:
    """The state of files, links and folders now, to be compared with their state later.

    Args:
        paths: The surveyed paths, links themselves; a folder stands for the names in it.
        clock: A folder of the same file system that is none of them: it is touched to learn the time there.

    Raises:
        OSError: Something is not there.
    """

    def __init__(self, paths: Sequence[bytes], *, clock: bytes) -> None:
        self._paths, self._clock = paths, clock
        is_young = _youth(clock)
        infos = list(map(os.lstat, paths))
        self._stamps = list(map(_stamp, infos))
        young = [(path, info) for path, info in zip(paths, infos, strict=True) if is_young(info)]
        self._young: dict[bytes, object] | None = None
        if len(young) <= FEW and sum(info.st_size for _, info in young) <= _FEW_BYTES:
            self._young = {path: _holding(path, info) for path, info in young}

    def holds(self) -> bool:
        """Return whether it is proven that nothing was touched."""
        if self._young is None:
            return False
        try:
            is_young = _youth(self._clock) if self._young else None
            if not all(map(eq, map(_stamp, map(os.lstat, self._paths)), self._stamps)):
                return False
            infos = {path: os.lstat(path) for path in self._young}
            if any(content != _holding(path, infos[path]) for path, content in self._young.items()):
                return False
        except OSError:
            return False
        if is_young is not None:
            self._young = {path: what for path, what in self._young.items() if is_young(infos[path])}
        return True


def stamp_of(info: os.stat_result) -> tuple[int, ...]:
    """Return what cannot stay the same when a file is touched; the status change time is the last of it."""
    return _stamp(info)


def now_of(clock: bytes) -> int:
    """Return the time of a file system, in nanoseconds; the folder is touched."""
    os.utime(clock)
    return os.lstat(clock).st_ctime_ns


def outwait(clock: bytes, newest: int) -> bool:
    """Wait until no change can bear a time any more.

    Args:
        clock: A folder of the file system that may be touched.
        newest: The time, in nanoseconds.

    Returns:
        Whether it is past; a time that lies in the future is not waited for.
    """
    deadline = time.monotonic() + _LONGEST_TICK
    while True:
        if now_of(clock) > newest:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)


def _youth(clock: bytes) -> Callable[[os.stat_result], bool]:
    """Return the function that finds files which could be touched now without bearing another time."""
    now = now_of(clock)

    def is_young(info: os.stat_result) -> bool:
        changed = info.st_ctime_ns
        return now - changed < (_YOUNG_NS if changed % _SECOND_NS else _YOUNG_COARSE_NS)

    return is_young


def _holding(path: bytes, info: os.stat_result) -> object:
    """Return what a path holds: a folder its names, a link its target, a file its content."""
    if stat.S_ISDIR(info.st_mode):
        return sorted(os.listdir(path))
    return os.readlink(path) if stat.S_ISLNK(info.st_mode) else content_of(path)


def content_of(path: bytes) -> bytes:
    """Read a file.

    Raises:
        OSError: It cannot be read.
    """
    with open(path, "rb", buffering=0) as file:
        return file.read()
