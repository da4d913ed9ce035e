"""The ``.gitattributes`` of an index, read from its bytes before every job, without a process."""

from typing import Final

NAME: Final = b".gitattributes"

_HEADER: Final = 12
_STAT: Final = 40
"""Bytes of an entry before the id of its blob."""
_FIXED: Final = 62
"""Bytes of an entry before its path."""


def attribute_files(index: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Return path and blob of every ``.gitattributes`` in an index of version 2, in the index's order."""
    if NAME + b"\0" not in index:
        return ()
    found: list[tuple[bytes, bytes]] = []
    at = _HEADER
    for _ in range(int.from_bytes(index[8:_HEADER], "big")):
        end = index.index(b"\0", at + _FIXED)
        path = index[at + _FIXED : end]
        if path == NAME or path.endswith(b"/" + NAME):
            found.append((path, index[at + _STAT : at + _STAT + 20]))
        at += (_FIXED + len(path) + 8) & ~7
    return tuple(found)
