"""Room on disks."""

import os
from dataclasses import dataclass
from pathlib import Path

from maingate.errors import OutsideFaultError


@dataclass(frozen=True, kw_only=True)
class Room:
    """The room on the disk of a folder.

    Args:
        folder: The folder, or its nearest parent that exists.
        bytes_left: Bytes that this user may still write.
        files_left: Files that this user may still make; None where the file system does not count them.
        is_read_only: Whether it is mounted so that nothing can be written.
    """

    folder: Path
    bytes_left: int
    files_left: int | None
    is_read_only: bool


def room_of(folder: Path) -> Room:
    """Return the room on the disk of a folder, or of the nearest parent that exists.

    Raises:
        OutsideFaultError: It cannot be read.
    """
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        disk = os.statvfs(there)
    except OSError as error:
        raise OutsideFaultError(f"{there} cannot be read: {error}") from error
    return Room(
        folder=there,
        bytes_left=disk.f_bavail * disk.f_frsize,
        files_left=disk.f_favail if disk.f_files else None,
        is_read_only=bool(disk.f_flag & os.ST_RDONLY),
    )
