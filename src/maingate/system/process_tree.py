"""Process trees: their members, and their end without leftovers.

A process group is not enough: ``setsid`` leaves it, and a double fork leaves the parent as well. On Linux a
UET worker therefore makes itself the reaper of its orphans (``PR_SET_CHILD_SUBREAPER``): every process that a
gate starts, however it detaches, stays a descendant of the worker until the worker reaps it, and "no child
left" is one system call. Elsewhere the tree consists of the processes that psutil finds below the worker and
in the gate's session.
Processes that outlive a worker are found by :mod:`strays`.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from maingate.system.process_table import ProcessInfo, descendants, environment_of, send

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_NATURAL_END_SECONDS: Final = 0.1
"""Time in which leftovers of a finished gate may end by themselves, as a ``tee`` in a pipe does."""
_KILL_TIMEOUT_SECONDS: Final = 10.0
"""Time after which a process that survives SIGKILL (a dead file system, another user's) is given up."""

_is_shared = False


def adopt_orphans(*, on: bool = True) -> bool:
    """Make this process the parent of its descendants' orphans; return False if the system cannot."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, int(on))


def die_with_parent(sent: signal.Signals) -> bool:
    """Request a signal at the end of the parent; return False if the system cannot."""
    return _prctl(_PR_SET_PDEATHSIG, int(sent))


def expect_processes_of_other_threads() -> None:
    """Note that other threads of this process start processes while one attends a command.

    The command's are then known by a mark in their environment. One that clears its environment and leaves
    the session is not found.
    """
    global _is_shared  # noqa: PLW0603 - it is a property of the process
    _is_shared = True


def do_other_threads_start_processes() -> bool:
    """Return whether children of this process may belong to other threads."""
    return _is_shared


def has_children() -> bool:
    """Return whether this process has any child, running or not yet reaped (Linux)."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


@dataclass(kw_only=True)
class ProcessTree:
    """The processes of a gate: every process below this one that was not there before.

    Args:
        leader: The gate's own process, which leads its session and process group.
        bystanders: Children of this process that are not the gate's.
        mark: A line of the environment that only the gate's processes have, where other threads of this
            process start processes meanwhile; None where all that come are the gate's.
    """

    leader: int
    bystanders: frozenset[int]
    mark: bytes | None = None
    _marked: set[int] = field(default_factory=set)

    def send(self, sent: signal.Signals) -> None:
        """Send a signal to the group of an unreaped leader, and to the processes that left the group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.leader, sent)
        self._signal_living(sent)

    def end_leftovers(self, *, grace: float) -> int:
        """End the processes that are left after the leader: a short wait, TERM, grace, KILL.

        Args:
            grace: Seconds between TERM and KILL; below zero sends KILL at once.

        Returns:
            The number of processes that had to be ended.
        """
        if sys.platform.startswith("linux") and not has_children():
            return 0
        if grace >= 0 and self._wait(_NATURAL_END_SECONDS):
            return 0
        ended = {info.pid for info in self.running()}
        if grace >= 0:
            self._signal_living(signal.SIGTERM)
            self._signal_living(signal.SIGCONT)
            self._wait(grace)
        return len(ended | self._kill())

    def running(self) -> list[ProcessInfo]:
        """Return the tree's running processes; ended ones are reaped on the way.

        The process table cannot be read at one instant: a child may fork and end between two lines. But a
        child of ours stays in the table until it is reaped here, so a reading without any is correct, and one
        that had to reap is repeated.
        """
        while True:
            found = [
                info
                for info in descendants(os.getpid(), session=self.leader)
                if info.pid not in self.bystanders and info.pid != self.leader and self._has(info)
            ]
            ended = [info for info in found if info.is_zombie and info.parent == os.getpid()]
            if not [info for info in ended if _reap(info.pid)]:
                return [info for info in found if not info.is_zombie]

    def _has(self, info: ProcessInfo) -> bool:
        """Return whether a process below this one is the gate's; a zombie is one if it was one alive."""
        if self.mark is None or info.session == self.leader or info.pid in self._marked:
            return True
        if info.is_zombie or self.mark not in environment_of(info.pid):
            return False
        self._marked.add(info.pid)
        return True

    def _kill(self) -> set[int]:
        """Stop and kill until no process runs: a stopped process cannot fork away from its KILL."""
        killed: set[int] = set()
        deadline = time.monotonic() + _KILL_TIMEOUT_SECONDS
        while alive := self.running():
            for sent in (signal.SIGSTOP, signal.SIGKILL):
                for info in alive:
                    send(info.pid, sent)
            killed |= {info.pid for info in alive}
            if time.monotonic() > deadline:
                break
            time.sleep(0.002)
        return killed

    def _signal_living(self, sent: signal.Signals) -> None:
        for info in self.running():
            send(info.pid, sent)

    def _wait(self, seconds: float) -> bool:
        return _until(lambda: not self.running(), seconds)


def bystanders() -> frozenset[int]:
    """Return the present children of this process, before a gate is started."""
    if sys.platform.startswith("linux") and not has_children():
        return frozenset()
    return frozenset(info.pid for info in descendants(os.getpid()))


def end_tree(pid: int) -> None:
    """Kill a process and all processes below it, without waiting for their end."""
    below = descendants(pid)
    send(pid, signal.SIGKILL)
    for info in below:
        send(info.pid, signal.SIGKILL)


def _prctl(option: int, value: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    return ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0  # type: ignore[no-any-return]


def _reap(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return False


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition of the process table, polled with growing pauses."""
    deadline = time.monotonic() + seconds
    pause = 0.001
    while not condition():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(pause, left))
        pause = min(pause * 2, 0.05)
    return True
