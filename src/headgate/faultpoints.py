"""Named places in the program at which a test may end it, as a power cut would.

A place is passed by `reach`, which does nothing unless ``HEADGATE_FAULTPOINT`` names it. The tests of
crashes (tests/integration/test_crash.py) set that variable; nothing else does.
"""

import os
import signal
from typing import Final

VARIABLE: Final = "HEADGATE_FAULTPOINT"
"""``name`` or ``name@3``: which place ends the process, and at which passing of it (default: the first)."""

_name, _, _count = os.environ.get(VARIABLE, "").partition("@")
_left = int(_count or "1")


def reach(name: str) -> None:
    """Pass a place; the process is killed here if a test wants it."""
    if name == _name:
        _meet()


def _meet() -> None:
    global _left  # noqa: PLW0603 - how often the one place that is asked for was passed
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
