"""The table of processes: the parent, session, start and environment of each.

On Linux it is read from ``/proc``; elsewhere psutil reads it.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

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


def environment_of(pid: int) -> list[bytes]:
    """Return the environment a process was started with; empty when it is gone or another user's."""
    if not sys.platform.startswith("linux"):
        return _portable_environment(pid)
    return environment_text(str(pid)).split(b"\0")


def environment_text(name: str) -> bytes:
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


def send(pid: int, sent: signal.Signals) -> None:
    """Send a signal; a process that ended or changed its user is found again by the caller's next reading."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, sent)
