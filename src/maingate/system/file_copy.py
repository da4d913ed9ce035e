"""Copies of a file, by reference or byte for byte; writing to a copy never changes the original."""

import contextlib
import errno
import fcntl
import os
import sys
from collections.abc import Mapping
from typing import Final

_FICLONE: Final = 0x4004_9409
_CANNOT: Final = {errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM}
_CHUNK_BYTES: Final = 1024 * 1024
_ATTRIBUTES: Final = ("user.", "system.posix_acl_")
"""The prefixes of extended attributes that belong to a file and not to the machine."""


def fill(target: int, source: int) -> None:
    """Copy the content of a file into an empty one.

    Args:
        target: Descriptor of the empty file.
        source: Descriptor of the other, at its beginning.

    Raises:
        OSError: It cannot be read or written.
    """
    if _share(target, source):
        return
    while data := os.read(source, _CHUNK_BYTES):
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(target, rest) :]


def attributes_of(path: bytes) -> dict[str, str]:
    """Return the extended attributes of a file or folder, access control lists among them."""
    if not sys.platform.startswith("linux"):
        return {}
    with contextlib.suppress(OSError):
        names = [name for name in os.listxattr(path, follow_symlinks=False) if name.startswith(_ATTRIBUTES)]
        return {name: os.getxattr(path, name, follow_symlinks=False).decode("latin-1") for name in names}
    return {}


def restore_attributes(path: bytes, attributes: Mapping[str, str]) -> None:
    """Set the extended attributes of a file or folder to these, and remove others of the kind.

    Raises:
        OSError: The file system does not accept them.
    """
    there = attributes_of(path)
    if there == attributes or not sys.platform.startswith("linux"):
        return
    for name in there.keys() - attributes.keys():
        os.removexattr(path, name, follow_symlinks=False)
    for name, value in attributes.items():
        os.setxattr(path, name, value.encode("latin-1"), follow_symlinks=False)


def _share(target: int, source: int) -> bool:
    """Share the blocks of two files until one is written to; return False if that is not possible."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        return False
    return True
