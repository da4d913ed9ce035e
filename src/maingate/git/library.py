"""The library that reads and writes repositories (pygit2), loaded when it is first used.

Most commands that only read never use it; loading it would take a fifth of their time.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

from maingate.errors import GitError
from maingate.git.repository_format import BEYOND_THE_LIBRARY

if TYPE_CHECKING:
    import pygit2


class ObjectType(IntEnum):
    """The types of objects, as git and the library number them."""

    COMMIT = 1
    TREE = 2
    BLOB = 3
    TAG = 4


def opened(git_dir: Path) -> "pygit2.Repository":
    """Open a git directory, for one thread."""
    with translated(f"open {git_dir}"):
        return handle_on(git_dir)


def handle_on(git_dir: Path) -> "pygit2.Repository":
    """Open a git directory, for one thread; the library's exceptions are not translated."""
    import pygit2  # noqa: PLC0415 - only here is it sure to be needed

    _prepare()
    return pygit2.Repository(str(git_dir))


@functools.cache
def _prepare() -> None:
    """Set, once in this process, the extensions that the library may open beyond its own."""
    import pygit2  # noqa: PLC0415 - only here is it sure to be needed

    pygit2.settings.set_extensions(list(BEYOND_THE_LIBRARY))


def oid(hexadecimal: str) -> "pygit2.Oid":
    """Return an id as a value of the library.

    Raises:
        ValueError: It is none.
    """
    import pygit2  # noqa: PLC0415 - only here is it sure to be needed

    return pygit2.Oid(hex=hexadecimal)


def failures() -> tuple[type[Exception], ...]:
    """Return the exceptions of the library."""
    import pygit2  # noqa: PLC0415 - asked for when something was raised

    return KeyError, ValueError, OSError, pygit2.GitError


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Translate the library's exceptions into the program's errors, with the action that failed."""
    try:
        yield
    except failures() as error:
        raise GitError(f"could not {doing}: {error}") from error
