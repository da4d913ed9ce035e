"""Index files with a few entries, the input of `git apply --cached`.

The format is git's index version 2 (gitformat-index). Writing the file here saves the process of
`git update-index` for each patch; libgit2 would not keep every name as bytes.
"""

import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from maingate.errors import GitError
from maingate.git.trees import GitEntry

_HEADER: Final = struct.Struct(">4sII")
_ENTRY: Final = struct.Struct(">24xI12x20sH")
"""An entry: no stat data, mode, no owner or size, object id, flags."""
_NAME_LENGTH: Final = 0xFFF
_EXTENDED: Final = 0x4000
_STAGE_SHIFT: Final = 12
_ALIGN: Final = 8
_SIMPLE_VERSIONS: Final = (2, 3)


def write_index(path: Path, entries: Mapping[bytes, GitEntry]) -> None:
    """Write an index file with these entries, all of them at stage 0."""
    parts = [_HEADER.pack(b"DIRC", 2, len(entries))]
    for name in sorted(entries):
        entry = entries[name]
        flags = min(len(name), _NAME_LENGTH)
        fixed = _ENTRY.pack(entry.mode, bytes.fromhex(entry.id), flags)
        padding = _ALIGN - (len(fixed) + len(name)) % _ALIGN
        parts.append(fixed + name + b"\0" * padding)
    content = b"".join(parts)
    path.write_bytes(content + hashlib.sha1(content, usedforsecurity=False).digest())


def read_index(path: Path) -> dict[bytes, GitEntry]:
    """Read the entries of an index file that git wrote without conflicts.

    Raises:
        GitError: The file is not such an index.
    """
    content = path.read_bytes()
    try:
        return _entries(content)
    except (struct.error, ValueError) as error:
        raise GitError(f"git left an index that cannot be read: {error}") from error


def _entries(content: bytes) -> dict[bytes, GitEntry]:
    magic, version, count = _HEADER.unpack_from(content)
    if magic != b"DIRC" or version not in _SIMPLE_VERSIONS:
        raise ValueError(f"{magic!r} version {version}")
    found: dict[bytes, GitEntry] = {}
    at = _HEADER.size
    for _ in range(count):
        mode, oid, flags = _ENTRY.unpack_from(content, at)
        name_at = at + _ENTRY.size + (2 if flags & _EXTENDED else 0)
        end = content.index(b"\0", name_at)
        if flags >> _STAGE_SHIFT & 3:
            raise ValueError("it holds a conflict")
        found[content[name_at:end]] = GitEntry(mode, oid.hex())
        at += (end - at + _ALIGN) // _ALIGN * _ALIGN
    return found
