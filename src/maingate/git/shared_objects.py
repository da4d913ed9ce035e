"""Objects of a repository that several users write to (git-config: core.sharedRepository).

Git gives each folder and file of objects the permissions that the others need, whatever the umask. The
library does not, so a folder that it makes would refuse the objects of all other users.
"""

import os
import stat
from pathlib import Path
from typing import Final

from maingate.git.config_text import is_true

_GROUP: Final = 0o660
_ALL: Final = 0o664
_NAMED: Final = {"group": _GROUP, "1": _GROUP, "all": _ALL, "world": _ALL, "everybody": _ALL, "2": _ALL}
_READ: Final = 0o444
_OCTAL_FROM: Final = 3
"""The least number that is an octal mode; lower ones are words."""


def shared_permissions(value: str) -> int:
    """Return the permissions that a value of `core.sharedRepository` gives to files; 0 for none."""
    word = value.strip().lower()
    if word in _NAMED:
        return _NAMED[word]
    try:
        mode = int(word, 8)
    except ValueError:
        return _GROUP if is_true(word) else 0
    return mode & 0o666 if mode >= _OCTAL_FROM else 0


def share_object(objects: Path, object_id: str, permissions: int) -> None:
    """Set the permissions that other users need of an object that was just stored, and of its folder.

    Args:
        objects: The folder of objects.
        object_id: The object; it may be in a pack, or another user's: then it has them.
        permissions: Those of files.
    """
    folder = objects / object_id[:2]
    in_folder = permissions | (permissions & _READ) >> 2 | stat.S_ISGID
    for path, wanted in ((folder, in_folder), (folder / object_id[2:], permissions & _READ)):
        try:
            info = path.stat()
        except FileNotFoundError:
            return
        if info.st_uid == os.geteuid() and info.st_mode & wanted != wanted:
            path.chmod(stat.S_IMODE(info.st_mode) | wanted)
