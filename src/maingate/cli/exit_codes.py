"""Exit codes: the one place where outcomes and errors become numbers.

Imports only light modules, so that a command without heavy dependencies starts at once.
"""

from enum import IntEnum
from typing import Final

from maingate.errors import (
    InterruptedRunError,
    MaingateError,
    OutsideFaultError,
    UsageError,
)


class ExitCode(IntEnum):
    """Exit code of a command."""

    DONE = 0
    """The command succeeded; a run succeeded."""
    REFUSED = 1
    """The run failed, the gates refused something, or a check found a problem."""
    USAGE = 2
    """Bad usage, plan, settings or repository; nothing was started."""
    INTERRUPTED = 3
    """Cancelled or interrupted. An interrupted run can be resumed."""
    OUTSIDE_FAULT = 4
    """A fault outside Maingate: git, the database, the disk."""
    UNEXPECTED = 5
    """A bug in Maingate."""


_OF_ERROR: Final[tuple[tuple[type[BaseException], ExitCode], ...]] = (
    (UsageError, ExitCode.USAGE),
    (InterruptedRunError, ExitCode.INTERRUPTED),
    (KeyboardInterrupt, ExitCode.INTERRUPTED),
    (OutsideFaultError, ExitCode.OUTSIDE_FAULT),
    (OSError, ExitCode.OUTSIDE_FAULT),
)

_OF_RUN: Final = {
    "succeeded": ExitCode.DONE,
    "failed": ExitCode.REFUSED,
    "canceled": ExitCode.INTERRUPTED,
    "running": ExitCode.INTERRUPTED,
    "pending": ExitCode.INTERRUPTED,
}


def code_of_error(error: BaseException) -> ExitCode:
    """Return the exit code of an error that ended a command."""
    return next((code for kind, code in _OF_ERROR if isinstance(error, kind)), ExitCode.UNEXPECTED)


def is_expected(error: BaseException) -> bool:
    """Return whether an error is an expected one, whose message needs no traceback."""
    return isinstance(error, MaingateError) and code_of_error(error) is not ExitCode.UNEXPECTED


def code_of_run(state: str, *, is_behind: bool = False) -> ExitCode:
    """Return the exit code for the final state of a run.

    Args:
        state: The state.
        is_behind: Whether a checkout of the target did not follow it and needs a repair.
    """
    code = _OF_RUN[state]
    return ExitCode.OUTSIDE_FAULT if is_behind and code is not ExitCode.INTERRUPTED else code
