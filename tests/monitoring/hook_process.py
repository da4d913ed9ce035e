"""A process with a hook that notes each event in a file: `hook_process.py URL FILE [KILLED_AT]`.

At the event with that number it notes the event and is killed, before it has moved on.
"""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from maingate.clock import SystemClock
from maingate.db.engine import open_database
from maingate.events import Event
from maingate.monitoring.ledger_followers import HookFollower


class Noting:
    """A hook that notes the numbers of events."""

    name = "noting"
    batch = 1_000

    def __init__(self, path: Path, killed_at: int) -> None:
        self._path, self._killed_at = path, killed_at

    def take(self, batch: Sequence[Event]) -> None:
        """Note them, one by one."""
        for event in batch:
            with self._path.open("a") as file:
                file.write(f"{event.seq}\n")
            if event.seq == self._killed_at:
                os.kill(os.getpid(), signal.SIGKILL)


def main(url: str, path: str, killed_at: str = "0") -> None:
    """Give the hook all that is there."""
    database = open_database(url)
    hook = Noting(Path(path), int(killed_at))
    follower = HookFollower(hook, database=database, clock=SystemClock(), holder="one")
    while follower.step():
        pass
    database.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
