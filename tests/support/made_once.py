"""Folders in which something has run already: made once in each test process, and copied for each test.

A repository in such a copy is to Maingate one that was moved: the folder in which it was made is gone.
"""

import atexit
import shutil
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Final

_KEPT: Final[dict[str, Path]] = {}
_OF_ITS_OWN: Final = shutil.ignore_patterns("said.*", "cache")
"""What a copy does not get: the output of commands, and slots whose paths are those of the original."""


@lru_cache(maxsize=1)
def _workshop() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="maingate-made-once-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


def made_once(folder: Path, key: object, make: Callable[[Path], object]) -> None:
    """Fill a folder with what a function makes, which is called when this key comes for the first time.

    Args:
        folder: Anything in it is removed.
        key: All that decides what is made; its ``repr`` is compared.
        make: Makes it in an empty folder, and leaves no process there.
    """
    name = f"{make.__module__}: {key!r}"
    if name not in _KEPT:
        here = _workshop() / f"{len(_KEPT)}.made"
        here.mkdir()
        make(here)
        _KEPT[name] = here.rename(here.with_suffix(".kept"))
    shutil.rmtree(folder)
    shutil.copytree(_KEPT[name], folder, symlinks=True, ignore=_OF_ITS_OWN)


__all__ = ["made_once"]
