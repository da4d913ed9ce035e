"""Shorter waits for another git: most tests leave its lock where it is, so nothing is gained by waiting."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from maingate.landing import owed_checkouts, ref_locks
from maingate.landing.checkouts import index_hold

VARIABLE: Final = "TESTS_PATIENCE_WITH_GIT"
"""Of the environment of a command that tests fork: seconds that it waits for another git."""


def with_git(seconds: float) -> Mapping[Any, dict[str, Any]]:
    """Return the functions that wait for another git, each with the defaults that make it wait so long."""
    lasting = timedelta(seconds=seconds)
    return {
        index_hold.take: {"patience": lasting},
        owed_checkouts.locked_record.__wrapped__: {"patience": lasting},  # type: ignore[attr-defined]
        ref_locks.foreign_lock: {"patience": seconds},
    }


def wait_for_git(seconds: float) -> None:
    """Have this process wait so long for another git."""
    for function, defaults in with_git(seconds).items():
        function.__kwdefaults__ = function.__kwdefaults__ | defaults
