"""Notes about a slot that outlive the process that works in it, for one boot of the machine.

A note is proof of what lies on the disk because it tells status change times and inodes, and no process can
choose those. A machine that went down in between may have lost what was written, so it ends all notes.
"""

# This runs before every job, and pathlib costs more than what is asked of the system.
# ruff: noqa: PTH105

import contextlib
import json
import os
from functools import lru_cache
from typing import Any, Final

from maingate.system.removal import remove
from maingate.uet.worktree.untouched_paths import content_of

_BOOT_ID: Final = b"/proc/sys/kernel/random/boot_id"


def write_note(path: bytes, value: dict[str, Any]) -> None:
    """Write a note; it is there as a whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    unfinished = path + b".new"
    remove(unfinished)
    with open(unfinished, "xb") as file:  # noqa: PTH123 - names are bytes
        file.write(json.dumps({"boot": _boot(), **value}, separators=(",", ":")).encode())
    remove(path)
    os.replace(unfinished, path)


def read_note(path: bytes) -> dict[str, Any] | None:
    """Return the note of this boot; None when there is none that can be read."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        value = json.loads(content_of(path))
        if isinstance(value, dict) and value.get("boot") == _boot():
            return value
    return None


@lru_cache(maxsize=1)
def _boot() -> str:
    with contextlib.suppress(FileNotFoundError):
        return content_of(_BOOT_ID).decode().strip()
    return ""
