"""One folder of a clean checkout: its names, its rights, and the stamps that prove it unchanged."""

# Names on disk are bytes, which pathlib cannot hold, and this runs before every job.
# ruff: noqa: PTH101, PTH118

import os
import stat

from maingate.system.file_copy import restore_attributes
from maingate.system.removal import remove, unlock

Stamp = tuple[int, int, int, int, int, int, int]
"""Device, inode, mode, status change time, modification time, owner, group."""

FileStamp = tuple[int, ...]
"""Mode, status change time, modification time, inode."""


class OwnerChangedError(Exception):
    """A folder belongs to another user now: clean-up cannot give it back."""


class Folder:
    """One folder of the clean tree."""

    __slots__ = ("attributes", "files", "folders", "has_lost", "is_fresh", "is_kept", "rights", "stamp")

    def __init__(self, *, is_kept: bool = False) -> None:
        self.files: dict[bytes, FileStamp] = {}
        self.folders: dict[bytes, Folder] = {}
        self.rights: int | None = None
        """Its permission bits; None when they have not been seen yet."""
        self.attributes: dict[str, str] = {}
        self.stamp: Stamp | None = None
        self.is_fresh = True
        self.has_lost = False
        self.is_kept = is_kept
        """True when untracked files in it are left alone."""


def stamp_of_folder(path: bytes) -> Stamp | None:
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


def stamp_of_file(info: os.stat_result) -> FileStamp:
    """Return what cannot stay the same when a file is touched."""
    return (info.st_mode, info.st_ctime_ns, info.st_mtime_ns, info.st_ino)


def remove_touched(folder: Folder, path: bytes) -> bool:
    """Remove the touched files of a folder in which no name came or went; return whether there were any."""
    touched = [
        here
        for name, stamp in folder.files.items()
        if stamp_of_file(os.lstat(here := os.path.join(path, name))) != stamp
    ]
    for here in touched:
        remove(here)
    return bool(touched)


def restore_rights(folder: Folder, path: bytes, now: Stamp, *, usual: int) -> None:
    """Restore the rights of a folder, and remove what made it unchangeable."""
    if folder.stamp is not None and folder.stamp[5:] != now[5:]:
        raise OwnerChangedError(os.fsdecode(path))
    if os.geteuid() == 0:
        unlock(path)
    wanted = usual if folder.rights is None else folder.rights
    if folder.stamp is not None:
        restore_attributes(path, folder.attributes)
    if stat.S_IMODE(os.lstat(path).st_mode) != wanted:
        os.chmod(path, wanted)
