"""Process trees: their members, and their end without leftovers.

A process group is not enough: ``setsid`` leaves it, and a double fork leaves the parent as well. On Linux a
UET worker therefore makes itself the reaper of its orphans (``PR_SET_CHILD_SUBREAPER``): every process that a
gate starts, however it detaches, stays a descendant of the worker until the worker reaps it, and "no child
left" is one system call. Elsewhere the tree consists of the processes that psutil finds below the worker and
in the gate's session.

Processes outlive a worker that was killed. They are found again by the slot they were started in: every
process of a gate carries ``MAINGATE_SLOT`` in its environment.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

SLOT_VARIABLE: Final = "MAINGATE_SLOT"
"""The environment variable with the slot that a process works in."""

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_NATURAL_END_SECONDS: Final = 0.1
"""Time in which leftovers of a finished gate may end by themselves, as a ``tee`` in a pipe does."""
_KILL_TIMEOUT_SECONDS: Final = 10.0
"""Time after which a process that survives SIGKILL (a dead file system, another user's) is given up."""


_CALM_READINGS: Final = 2
"""Readings of the process table without a stray that prove there is none; a single one can miss a fork."""
_is_shared = False
_STATE, _PARENT, _SESSION, _START_TICKS = 0, 1, 3, 19
"""Positions in ``/proc/<pid>/stat``, counted from the field behind the name (proc(5))."""
_DEAD: Final = (b"Z", b"X", b"x")
_BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"


@dataclass(frozen=True, kw_only=True)
class ProcessInfo:
    """One line of the process table.

    Args:
        pid: Its id.
        parent: The id of its parent.
        session: The id of its session.
        is_zombie: Whether it has ended and waits to be reaped.
    """

    pid: int
    parent: int
    session: int
    is_zombie: bool


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


def descendants(of: int, *, session: int | None = None) -> list[ProcessInfo]:
    """Return all processes below one, and those of a session, that have not been reaped."""
    table = list(process_table())
    below = {of}
    found: dict[int, ProcessInfo] = {}
    grown = True
    while grown:
        fresh = [
            info
            for info in table
            if info.pid not in found and (info.parent in below or info.session == session)
        ]
        grown = bool(fresh)
        for info in fresh:
            found[info.pid] = info
            below.add(info.pid)
    found.pop(of, None)
    return list(found.values())


def process_table() -> Iterator[ProcessInfo]:
    """Read the system's process table; processes that end meanwhile are left out."""
    if not sys.platform.startswith("linux"):
        yield from _portable_table()
        return
    for name in os.listdir("/proc"):  # noqa: PTH208 - names alone are wanted
        if name.isdigit() and (info := _read_stat(name)):
            yield info


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
        if info.is_zombie or self.mark not in _environment(info.pid):
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
                    _send(info.pid, sent)
            killed |= {info.pid for info in alive}
            if time.monotonic() > deadline:
                break
            time.sleep(0.002)
        return killed

    def _signal_living(self, sent: signal.Signals) -> None:
        for info in self.running():
            _send(info.pid, sent)

    def _wait(self, seconds: float) -> bool:
        return _until(lambda: not self.running(), seconds)


def started(pid: int) -> str:
    """Return the start of a process, independent of the wall clock; a later one of its number has another.

    Returns:
        The boot and the tick of its start, in this host's form; empty when there is no such process, or only
        its zombie.
    """
    if not sys.platform.startswith("linux"):
        return _portable_started(pid)
    fields = _stat_fields(str(pid))
    if fields is None or fields[_STATE] in _DEAD:
        return ""
    return f"{_boot_id()}:{fields[_START_TICKS].decode()}"


@lru_cache(maxsize=1)
def _boot_id() -> str:
    with open(_BOOT_ID, encoding="ascii") as file:  # noqa: PTH123 - pathlib costs a worker its quick start
        return file.read().strip()


def bystanders() -> frozenset[int]:
    """Return the present children of this process, before a gate is started."""
    if sys.platform.startswith("linux") and not has_children():
        return frozenset()
    return frozenset(info.pid for info in descendants(os.getpid()))


def end_tree(pid: int) -> None:
    """Kill a process and all processes below it, without waiting for their end."""
    below = descendants(pid)
    _send(pid, signal.SIGKILL)
    for info in below:
        _send(info.pid, signal.SIGKILL)


def end_strays(*slots: str) -> int:
    """Kill every process that was started in one of these slots, whatever its parent is now.

    Args:
        *slots: The slots' directories, as in the gates' environment.

    Returns:
        The number of killed processes.
    """
    killed: set[int] = set()
    markers = {os.fsencode(f"{SLOT_VARIABLE}={slot}") for slot in slots}
    deadline = time.monotonic() + _KILL_TIMEOUT_SECONDS
    calm = 0 if markers else _CALM_READINGS
    while calm < _CALM_READINGS and time.monotonic() < deadline:
        strays = [pid for pid in _marked(markers) if pid != os.getpid()]
        calm = 0 if strays else calm + 1
        for pid in strays:
            _send(pid, signal.SIGKILL)
        killed.update(strays)
        if strays:
            time.sleep(0.005)
    return len(killed)


def strays(*slots: str) -> list[int]:
    """Return the processes that were started in one of these slots; none is touched.

    Args:
        *slots: The slots' directories, as in the gates' environment.
    """
    return sorted(_marked({os.fsencode(f"{SLOT_VARIABLE}={slot}") for slot in slots})) if slots else []


def _marked(markers: set[bytes]) -> Iterator[int]:
    """Return the processes that have one of these lines in their environment.

    Every worker reads them all as it starts; so only an environment that has a line in it is taken apart.
    """
    if not sys.platform.startswith("linux"):
        for info in _portable_table():
            if not info.is_zombie and not markers.isdisjoint(_environment(info.pid)):
                yield info.pid
        return
    for name in os.listdir("/proc"):  # noqa: PTH208 - names alone are wanted
        text = _environment_text(name) if name.isdigit() else b""
        if any(marker in text for marker in markers) and not markers.isdisjoint(text.split(b"\0")):
            yield int(name)


def _environment(pid: int) -> list[bytes]:
    """Return the environment a process was started with; empty when it is gone or another user's."""
    if not sys.platform.startswith("linux"):
        return _portable_environment(pid)
    return _environment_text(str(pid)).split(b"\0")


def _environment_text(name: str) -> bytes:
    """Return the lines of a process's environment (Linux); empty for a zombie as well."""
    try:
        with open(f"/proc/{name}/environ", "rb") as file:  # noqa: PTH123 - pathlib doubles the cost per process
            return file.read()
    except OSError:
        return b""


def _stat_fields(name: str) -> list[bytes] | None:
    """Return the fields of a process after its name, which may contain any characters."""
    try:
        with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123 - pathlib doubles the cost per process
            text = file.read()
    except OSError:
        return None
    return text[text.rindex(b")") + 2 :].split(b" ", _START_TICKS + 1)


def _read_stat(name: str) -> ProcessInfo | None:
    fields = _stat_fields(name)
    if fields is None:
        return None
    return ProcessInfo(
        pid=int(name),
        parent=int(fields[_PARENT]),
        session=int(fields[_SESSION]),
        is_zombie=fields[_STATE] in _DEAD,
    )


def _portable_table() -> Iterator[ProcessInfo]:
    import psutil  # noqa: PLC0415 - only where there is no /proc; a worker has to start in milliseconds

    for process in psutil.process_iter(["pid", "ppid", "status"]):
        try:
            session = os.getsid(process.pid)
        except OSError:
            session = -1
        yield ProcessInfo(
            pid=process.pid,
            parent=process.info["ppid"] or 0,
            session=session,
            is_zombie=process.info["status"] == psutil.STATUS_ZOMBIE,
        )


def _portable_started(pid: int) -> str:
    import psutil  # noqa: PLC0415 - see above

    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return ""


def _portable_environment(pid: int) -> list[bytes]:
    import psutil  # noqa: PLC0415 - see above

    try:
        return [os.fsencode(f"{name}={value}") for name, value in psutil.Process(pid).environ().items()]
    except psutil.Error:
        return []


def _prctl(option: int, value: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    return ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0  # type: ignore[no-any-return]


def _send(pid: int, sent: signal.Signals) -> None:
    """Send a signal; a process that ended or changed its user is found again by the caller's next reading."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, sent)


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
