"""Standard output as commands need it: there even if closed, named when it is full, quiet when nobody reads.

Only the standard library is imported: the entry point needs this before anything else.
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
    """Standard output whose errors say that it was standard output that could not be written."""

    def write(self, text: str, /) -> int:
        """Write as any text stream does."""
        with naming_standard_output():
            return super().write(text)

    def flush(self) -> None:
        """Flush as any text stream does."""
        with naming_standard_output():
            super().flush()


@contextmanager
def naming_standard_output() -> Iterator[None]:
    """Let a failed write say which file it was that could not be written."""
    try:
        yield
    except OSError as error:
        error.filename = NAME
        raise


def prepare() -> None:
    """Open what of the standard streams is closed, and make them take any character.

    A closed one becomes the null device: otherwise the next file that is opened would take its number, and
    what is printed by whoever inherits it would go into that file.
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
        # a terminal that knows no ✔ is no error
        encoding, by_line = sys.stdout.encoding, sys.stdout.line_buffering
        sys.stdout = StandardOutput(
            sys.stdout.detach(), encoding=encoding, errors="backslashreplace", line_buffering=by_line
        )


def is_reader_gone(error: BaseException) -> bool:
    """Tell whether an error means that the reader of a pipe has seen enough.

    The libraries that print leave with exit code 1 then, which would say that something was refused.
    """
    cause = error.__context__ if isinstance(error, SystemExit) else error
    return isinstance(cause, BrokenPipeError)


def discard_output() -> None:
    """Let go of what was not printed, and of what will be."""
    with suppress(OSError, ValueError, AttributeError):
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """Print what somebody reads who may have seen enough; the command goes on all the same."""
    try:
        yield
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as error:
        if not is_reader_gone(error):
            raise
        discard_output()
