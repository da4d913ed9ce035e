"""Standard streams of a command: open, named in errors, and silent after the reader of a pipe has left.

Imports the standard library only: the entry point uses this module before all others.
"""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

NAME: Final = "standard output"
_STANDARD: Final = (0, 1, 2)


class StandardOutput(io.TextIOWrapper):
    """Standard output whose errors name it as the file that could not be written."""

    def write(self, text: str, /) -> int:
        """Write text to the stream."""
        with naming_standard_output():
            return super().write(text)

    def flush(self) -> None:
        """Flush the stream."""
        with naming_standard_output():
            super().flush()


@contextmanager
def naming_standard_output() -> Iterator[None]:
    """Add the stream's name to the error of a failed write."""
    try:
        yield
    except OSError as error:
        error.filename = NAME
        raise


def prepare() -> None:
    """Reopen closed standard streams, and make them accept any character.

    A closed stream becomes the null device. Otherwise the next opened file would get its descriptor, and
    output of child processes would go into that file.
    """
    while (opened := os.open(os.devnull, os.O_RDWR)) in _STANDARD:
        os.set_inheritable(opened, True)
    os.close(opened)
    # the streams stay open until the process ends
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a terminal without ✔ is no error
        encoding, by_line = sys.stdout.encoding, sys.stdout.line_buffering
        sys.stdout = StandardOutput(
            sys.stdout.detach(), encoding=encoding, errors="backslashreplace", line_buffering=by_line
        )


def is_reader_gone(error: BaseException) -> bool:
    """Return whether an error means that the reader of a pipe has closed it.

    Printing libraries exit with code 1 then, which would mean that something was refused.
    """
    cause = error.__context__ if isinstance(error, SystemExit) else error
    return isinstance(cause, BrokenPipeError)


def discard_output() -> None:
    """Discard buffered and future output."""
    with suppress(OSError, ValueError, AttributeError):
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """Suppress errors of a closed pipe, so that the command continues."""
    try:
        yield
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as error:
        if not is_reader_gone(error):
            raise
        discard_output()
