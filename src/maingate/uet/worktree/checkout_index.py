"""The index of a checkout (gitformat-index): the stamps of files prove which are untouched since."""

# Names on disk are bytes, which pathlib cannot hold.
# ruff: noqa: PTH118

import os
import struct
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

_INDEX_ENTRY: Final = struct.Struct(">10I20sH")
_INDEX_HEAD: Final = 12
_NAME_LENGTH: Final = 0xFFF


def untouched(tree: Path, index: bytes, paths: Collection[bytes], *, since: int) -> Iterator[bytes]:
    """Yield those of the paths that are the very files which the checkout wrote.

    Args:
        tree: The work tree.
        index: The content of the index that the checkout left.
        paths: The paths, relative to the tree.
        since: The time of the file system, in nanoseconds, from which nothing counts as untouched.
    """
    at = _INDEX_HEAD
    for _ in range(int.from_bytes(index[8:12], "big")):
        ctime, ctime_ns, mtime, mtime_ns, _, inode, *_, flags = _INDEX_ENTRY.unpack_from(index, at)
        name_at = at + _INDEX_ENTRY.size
        end = (
            index.index(b"\0", name_at)
            if flags & _NAME_LENGTH == _NAME_LENGTH
            else name_at + (flags & _NAME_LENGTH)
        )
        name = index[name_at:end]
        at += (end - at + 8) // 8 * 8
        if name not in paths:
            continue
        try:
            info = os.lstat(os.path.join(os.fsencode(tree), name))
        except OSError:
            continue
        then = (ctime * 10**9 + ctime_ns, mtime * 10**9 + mtime_ns, inode)
        if then == (info.st_ctime_ns, info.st_mtime_ns, info.st_ino & 0xFFFFFFFF) and then[0] < since:
            yield name
