"""Strays: processes that outlived the worker that started them.

They are found by the slot they were started in: every process of a gate carries ``MAINGATE_SLOT`` in its
environment.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import Final

from maingate.system.process_table import environment_of, environment_text, process_table, send

SLOT_VARIABLE: Final = "MAINGATE_SLOT"
"""The environment variable with the slot that a process works in."""

_KILL_TIMEOUT_SECONDS: Final = 10.0
"""Time after which a process that survives SIGKILL (a dead file system, another user's) is given up."""

_CALM_READINGS: Final = 2
"""Readings of the process table without a stray that prove there is none; a single one can miss a fork."""


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
            send(pid, signal.SIGKILL)
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
        for info in process_table():
            if not info.is_zombie and not markers.isdisjoint(environment_of(info.pid)):
                yield info.pid
        return
    for name in os.listdir("/proc"):  # noqa: PTH208 - names alone are wanted
        text = environment_text(name) if name.isdigit() else b""
        if any(marker in text for marker in markers) and not markers.isdisjoint(text.split(b"\0")):
            yield int(name)
