"""Named places in the program at which a test may end it, as a power cut would.

A place is passed by `reach`, which does nothing unless ``HEADGATE_FAULTPOINT`` names it. The tests of
crashes (tests/integration/test_crash.py) set that variable; nothing else does.
"""

import os
import signal
from collections.abc import Callable, Mapping
from typing import Final

VARIABLE: Final = "HEADGATE_FAULTPOINT"
"""``name``, ``name@3`` or ``name@3:control``: a place, which passing of it (default: the first), and who is
killed there: the process that passes it, the control process that started this worker, or both."""

_VICTIMS: Final[Mapping[str, Callable[[], tuple[int, ...]]]] = {
    "": lambda: (os.getpid(),),
    "control": lambda: (os.getppid(),),
    "both": lambda: (os.getppid(), os.getpid()),
}

_place, _, _victim = os.environ.get(VARIABLE, "").partition(":")
_name, _, _count = _place.partition("@")
_left = int(_count or "1")


def reach(name: str) -> None:
    """Pass a place; the process is killed here if a test wants it."""
    if name == _name:
        _meet()


def _meet() -> None:
    global _left  # noqa: PLW0603 - how often the one place that is asked for was passed
    _left -= 1
    if _left == 0:
        for pid in _VICTIMS[_victim]():
            os.kill(pid, signal.SIGKILL)
