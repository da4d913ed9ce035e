"""The index of a checkout (gitformat-index): the stamps of files prove which are untouched since."""

# Names on disk are bytes, which pathlib cannot hold.
# ruff: noqa: PTH118

import hashlib
import os
import struct
from pathlib import Path
from typing import Final

_INDEX_ENTRY: Final = struct.Struct(">10I20sH")
_INDEX_HEAD: Final = 12
_NAME_LENGTH: Final = 0xFFF
_STAMP: Final = 24
"""Bytes of an entry that tell when, and on which device and inode, a file was written."""
_SIZE_AT: Final = 36
_CHECKSUM: Final = 20


def without_touched(tree: Path, index: bytes, *, since: int) -> bytes:
    """Return the index of a checkout in which files that may have been touched bear no stamp.

    Git takes the others for what they were, and reads these again. It knows whole seconds only, so it cannot
    tell by itself.

    Args:
        tree: The work tree.
        index: The content of the index that the checkout left, of version 2 and with the ids of SHA-1.
        since: The time of the file system, in nanoseconds, from which nothing counts as untouched.
    """
    found, at = bytearray(index[:-_CHECKSUM]), _INDEX_HEAD
    for _ in range(int.from_bytes(index[8:12], "big")):
        ctime, ctime_ns, mtime, mtime_ns, _, inode, *_, flags = _INDEX_ENTRY.unpack_from(index, at)
        name_at = at + _INDEX_ENTRY.size
        end = (
            index.index(b"\0", name_at)
            if flags & _NAME_LENGTH == _NAME_LENGTH
            else name_at + (flags & _NAME_LENGTH)
        )
        name = index[name_at:end]
        entry, at = at, at + (end - at + 8) // 8 * 8
        then = (ctime * 10**9 + ctime_ns, mtime * 10**9 + mtime_ns, inode)
        now = _state(os.path.join(os.fsencode(tree), name))
        if now is not None and then == now[:-1] and then[0] < since:
            # Git leaves out the size where a file is as young as the index and would be stored otherwise.
            found[entry + _SIZE_AT : entry + _SIZE_AT + 4] = (now[-1] & 0xFFFFFFFF).to_bytes(4, "big")
        else:
            found[entry : entry + _STAMP] = bytes(_STAMP)
    return bytes(found) + hashlib.sha1(found, usedforsecurity=False).digest()


def _state(path: bytes) -> tuple[int, int, int, int] | None:
    try:
        info = os.lstat(path)
    except OSError:
        return None
    return info.st_ctime_ns, info.st_mtime_ns, info.st_ino & 0xFFFFFFFF, info.st_size
