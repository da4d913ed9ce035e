"""Which exit code means what: the one place where outcomes and errors become numbers.

Only the light bottom modules are imported, so that a command that needs nothing heavy starts at once.
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
    """What the shell is told."""

    DONE = 0
    """All that was asked for was done; a run succeeded."""
    REFUSED = 1
    """The run failed, something was refused by the gates, or a check found something wrong."""
    USAGE = 2
    """Bad usage, plan, settings or repository; nothing was started."""
    INTERRUPTED = 3
    """Cancelled or interrupted; what was interrupted can be resumed."""
    OUTSIDE_FAULT = 4
    """Something outside failed: git, the database, the disk."""
    UNEXPECTED = 5
    """A bug."""


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
    """Return the exit code for an error that ended a command."""
    return next((code for kind, code in _OF_ERROR if isinstance(error, kind)), ExitCode.UNEXPECTED)


def is_expected(error: BaseException) -> bool:
    """Tell whether an error's message says all a person needs, so that no bug is suspected."""
    return isinstance(error, MaingateError) and code_of_error(error) is not ExitCode.UNEXPECTED


def code_of_run(state: str, *, is_behind: bool = False) -> ExitCode:
    """Return the exit code for the state in which a run was left.

    Args:
        state: The state.
        is_behind: Whether a checkout of the target has not followed it, so that something is to be done.
    """
    code = _OF_RUN[state]
    return ExitCode.OUTSIDE_FAULT if is_behind and code is not ExitCode.INTERRUPTED else code
