"""The process that runs the `notify` commands that are owed a message, because the server itself runs none.

It goes on to its end when the server ends: a command has its time, and then ends with all that it started.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from maingate.bootstrap import Maingate
from maingate.errors import MaingateError
from maingate.queries.events.history import position
from maingate.server import process_start
from maingate.server.log import LOG, written_log

if TYPE_CHECKING:
    import subprocess

MODULE: Final = "maingate.server.notify_process"

LOOK_SECONDS: Final = 5.0
"""Seconds between two looks at the record for messages that are owed."""

_REST_SECONDS: Final = 300.0
"""Seconds after a process that failed before the next one."""


class NotifyTurns:
    """Has the messages of a repository delivered that no other process delivers.

    Args:
        maingate: The repository.
    """

    def __init__(self, maingate: Maingate) -> None:
        self._maingate = maingate
        self._process: subprocess.Popen[bytes] | None = None
        self._next_look = 0.0
        self._quiet_at = -1

    def look(self) -> None:
        """Start a process if a message is owed, unless one is at work.

        Raises:
            MaingateError: The record cannot be read.
        """
        now = time.monotonic()
        if now < self._next_look or not self._has_ended(now):
            return
        self._next_look = now + LOOK_SECONDS
        place, notifier = position(self._maingate.context), self._maingate.notifier
        if place == self._quiet_at:
            return
        if not notifier.is_owed():
            self._quiet_at = place
        elif not notifier.is_delivering():
            self._process = process_start.start(MODULE, [str(self._maingate.repository.git_dir)])

    def _has_ended(self, now: float) -> bool:
        """Return whether no process is at work; after one that failed nothing is begun for a while."""
        if self._process is None:
            return True
        code = self._process.poll()
        if code is None:
            return False
        self._process = None
        if code:
            self._next_look = now + _REST_SECONDS
        return not code


def main(arguments: Sequence[str]) -> int:
    """Deliver the messages that are owed; return the exit code."""
    (repository,) = arguments
    with written_log():
        return _deliver(Path(repository))


def _deliver(repository: Path) -> int:
    try:
        with Maingate.open(repository, create=False) as maingate:
            for warning in maingate.notifier.deliver():
                LOG.warning("notify", reason=warning)
    except MaingateError as error:
        LOG.error("notify_failed", reason=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
