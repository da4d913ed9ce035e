"""Files that a plan names: checks that they can be read, before anything starts."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path


def fault_of_file(folder: Path, name: str) -> tuple[str, str] | None:
    """Return why a file cannot be read, with a hint; None when it can.

    Args:
        folder: The plan file's folder.
        name: The file's path, relative to it or absolute.
    """
    path = folder / name
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return (
            f"the file {name!r} does not exist",
            f"paths are relative to the plan: {path.resolve()} was looked for",
        )
    except (OSError, ValueError) as error:
        return f"the file {name!r} cannot be read: {error}", ""
    if stat.S_ISDIR(mode):
        return f"{name!r} is a folder", "name a file in it"
    if not stat.S_ISREG(mode):
        return f"{name!r} is not an ordinary file", "name a file"
    if not os.access(path, os.R_OK):
        return f"the file {name!r} cannot be read: permission denied", f"chmod u+r {path}"
    return None


def mentioned_in(name: str, files: Iterable[Path]) -> bool:
    """Return whether one of the patch files contains a path, and so may create it."""
    needle = os.fsencode(name.removeprefix("./"))
    return any(path.is_file() and needle in path.read_bytes() for path in files)
