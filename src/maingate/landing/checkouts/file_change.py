"""Replacing and removing one file of a checkout, each in a single step that a kill leaves whole."""

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from maingate.landing.checkouts.prepared_files import CheckoutStage, at, has_real_parents
from maingate.landing.checkouts.working_trees import Checkout


def remove_file(top: Path, path: bytes, *, is_submodule: bool) -> None:
    """Remove a file, and the folders that are empty then; a submodule with files in it stays, as with git."""
    there = at(top, path)
    if is_submodule:
        with contextlib.suppress(OSError):
            os.rmdir(there)  # noqa: PTH106 - names are bytes
        return
    os.unlink(there)  # noqa: PTH108 - names are bytes
    parent = os.path.dirname(path)  # noqa: PTH120 - names are bytes
    with contextlib.suppress(OSError):
        while parent:
            os.rmdir(at(top, parent))  # noqa: PTH106 - names are bytes
            parent = os.path.dirname(parent)  # noqa: PTH120 - names are bytes


def put_file(top: Path, stage: CheckoutStage, path: bytes, *, is_submodule: bool) -> None:
    """Rename a staged file into its place; of a submodule, make the folder."""
    there = at(top, path)
    if not has_real_parents(top, path):
        raise NotADirectoryError(errno.ENOTDIR, "a link is in the place of one of its folders")
    os.makedirs(os.path.dirname(there), exist_ok=True)  # noqa: PTH103, PTH120 - names are bytes
    if os.path.isdir(there) and not os.path.islink(there):  # noqa: PTH112, PTH114 - names are bytes
        if is_submodule:
            return
        os.rmdir(there)  # noqa: PTH106 - names are bytes
    if is_submodule:
        os.makedirs(there, exist_ok=True)  # noqa: PTH103 - names are bytes
        return
    try:
        os.rename(at(stage.tree, path), there)  # noqa: PTH104 - names are bytes
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(at(stage.tree, path), there, stage)


def _copy(source: bytes, there: bytes, stage: CheckoutStage) -> None:
    """Replace a file on another file system than the repository's, also in one step."""
    beside = there + b"." + os.fsencode(stage.folder.name)
    try:
        shutil.copy2(source, beside, follow_symlinks=False)
        os.replace(beside, there)  # noqa: PTH105 - names are bytes
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)  # noqa: PTH108 - names are bytes


def remove_copies(checkout: Checkout, stage: str, paths: Iterable[bytes]) -> None:
    """Remove the files beside others that a killed process has left, see ``_copy``."""
    name = os.fsencode(os.path.basename(stage))  # noqa: PTH119 - a name
    for path in paths if name else ():
        with contextlib.suppress(OSError):
            os.unlink(at(checkout.top, path) + b"." + name)  # noqa: PTH108 - names are bytes


def digest(checkout: Checkout, path: bytes) -> str:
    """Return a digest of the file at a path of a checkout; empty without one."""
    there = at(checkout.top, path)
    try:
        if os.path.islink(there):  # noqa: PTH114 - names are bytes
            return hashlib.sha256(os.readlink(there)).hexdigest()  # noqa: PTH115 - names are bytes
        with open(there, "rb") as file:  # noqa: PTH123 - names are bytes
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
