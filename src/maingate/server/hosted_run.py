"""A run that a server hosts, and its process."""

import os
import signal
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from maingate.errors import OutsideFaultError
from maingate.ids import RunId
from maingate.server import process_start, run_process

if TYPE_CHECKING:
    import subprocess


@dataclass(frozen=True, kw_only=True)
class HostedRun:
    """A run that a server hosts.

    Args:
        id: The run.
        repository: The name of its repository.
        target_ref: Its target.
        pid: Its process.
        since: The time at which that was started.
    """

    id: RunId
    repository: str
    target_ref: str
    pid: int
    since: datetime


def _exit_fd_of(pid: int) -> int | None:
    """Return a descriptor that is readable when a process has ended; None where there can be none."""
    try:
        return os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
    except OSError:  # without a free descriptor its end is seen at the next look
        return None


class RunProcess:
    """The process of a hosted run.

    It is started by the one thread that outlives it: the system ends it with that thread.

    Args:
        process: The process.
    """

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.pid = process.pid
        self.exit_fd = _exit_fd_of(process.pid)

    @classmethod
    def start(
        cls, repository: Path, run_id: RunId, *, workers: int | None, is_only_asked: bool
    ) -> "RunProcess":
        """Start it.

        Raises:
            OutsideFaultError: The system cannot start a process now.
        """
        words = run_process.arguments(repository, run_id, workers=workers, is_only_asked=is_only_asked)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # until it listens to it
        try:
            return cls(process_start.start(run_process.MODULE, words))
        except OSError as error:
            raise OutsideFaultError(f"the process of run {run_id} cannot be started: {error}") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def exit_code(self) -> int | None:
        """Return its exit code, below zero for a signal; None while it runs."""
        return self._process.poll()

    def stop(self) -> None:
        """Request that it stops: at the first call after the running gates, at the second at once."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it, and wait for its end."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Release what the ended process leaves in this one."""
        if self.exit_fd is not None:
            os.close(self.exit_fd)
