"""Objects that are kept in memory until they are written as one pack.

Each loose object is a file of its own, and most of its cost is the file's. A pack costs two files, whatever
is in it. Its files are on the disk, with their names, before anything can refer to what is in them; a process
that is killed leaves files that `git prune` removes, or a pack without an index, which git does not read.
"""

import hashlib
import os
import zlib
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path
from typing import Final

from maingate.git.library import ObjectType

_LEVEL: Final = 1
"""The level at which git compresses loose objects."""
_READ_ONLY: Final = 0o444
_INDEX_HEAD: Final = b"\377tOc\0\0\0\2"

Content = tuple[ObjectType, bytes]


class PackDraft:
    """Objects that are not in the repository yet."""

    def __init__(self) -> None:
        self.objects: dict[str, Content] = {}
        self.size = 0

    @staticmethod
    def name_of(kind: ObjectType, content: bytes) -> str:
        """Return the id of an object."""
        head = b"%s %d\0" % (kind.name.lower().encode(), len(content))
        return hashlib.sha1(head + content, usedforsecurity=False).hexdigest()

    def add(self, name: str, kind: ObjectType, content: bytes) -> None:
        """Add an object by its id."""
        self.objects[name] = kind, content
        self.size += len(content)

    def clear(self) -> None:
        """Forget the objects."""
        self.objects, self.size = {}, 0

    def write(self, folder: Path, *, permissions: int = 0) -> None:
        """Write the objects as a pack, so that they are on the disk when this returns.

        Args:
            folder: The folder of packs.
            permissions: Those that other users of the repository need; 0 for what the umask gives.

        Raises:
            OSError: It cannot be written.
        """
        folder.mkdir(exist_ok=True)
        pack, index, checksum = _pack_of(self.objects)
        token = os.urandom(8).hex()
        made = [(folder / f"tmp_pack_{token}", pack, ".pack"), (folder / f"tmp_idx_{token}", index, ".idx")]
        try:
            for path, content, _ in made:
                _write_file(path, content, permissions & _READ_ONLY)
            for path, _, suffix in made:  # git looks for indexes, so that comes last
                path.rename(folder / f"pack-{checksum}{suffix}")
        finally:
            for path, _, _ in made:
                path.unlink(missing_ok=True)
        _sync_folder(folder)


def _pack_of(objects: dict[str, Content]) -> tuple[bytes, bytes, str]:
    """Return a pack, its index, and its checksum."""
    parts = [b"PACK" + (2).to_bytes(4) + len(objects).to_bytes(4)]
    parts += [
        _entry_head(kind, len(content)) + zlib.compress(content, _LEVEL) for kind, content in objects.values()
    ]
    starts = dict(zip(objects, accumulate(map(len, parts)), strict=False))
    sums = {made: zlib.crc32(part) for made, part in zip(objects, parts[1:], strict=True)}
    checksum = hashlib.sha1(b"".join(parts), usedforsecurity=False).digest()
    names = sorted(objects)
    index = b"".join(
        [
            _INDEX_HEAD,
            _fan_out(names),
            *map(bytes.fromhex, names),
            *(sums[name].to_bytes(4) for name in names),
            *(starts[name].to_bytes(4) for name in names),
            checksum,
        ]
    )
    index += hashlib.sha1(index, usedforsecurity=False).digest()
    return b"".join([*parts, checksum]), index, checksum.hex()


def _entry_head(kind: ObjectType, size: int) -> bytes:
    """Return the head of an entry: its type and size, in groups of seven bits, the first one of four."""
    head, size = [kind << 4 | size & 15], size >> 4
    while size:
        head[-1] |= 0x80
        head.append(size & 0x7F)
        size >>= 7
    return bytes(head)


def _fan_out(names: Iterable[str]) -> bytes:
    """Return how many names begin with a byte that is no greater than each."""
    counts = [0] * 256
    for name in names:
        counts[int(name[:2], 16)] += 1
    return b"".join(count.to_bytes(4) for count in accumulate(counts))


def _write_file(path: Path, content: bytes, more: int) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _READ_ONLY)
    with open(file, "wb") as stream:  # noqa: PTH123 - of a descriptor
        stream.write(content)
        stream.flush()
        if more:
            os.fchmod(file, _READ_ONLY & os.fstat(file).st_mode | more)
        os.fsync(file)


def _sync_folder(folder: Path) -> None:
    at = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(at)
    finally:
        os.close(at)
