"""Named places in the program at which a test may end it, as a power cut would.

A place is passed by `reach`, which does nothing unless ``MAINGATE_FAULTPOINT`` names it. The tests of
crashes (tests/integration/test_crash.py) set that variable; nothing else does.
"""

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Final

VARIABLE: Final = "MAINGATE_FAULTPOINT"
"""``name``, ``name@3`` or ``name@3:control``: a place, which passing of it (default: the first), and what
happens there: the process that passes it is killed (default) or stopped (``stop``), or the control process
of this worker is killed (``control``), or both of them (``both``)."""


def _control() -> int:
    """Return the process for whose workers the parent of this worker was started, see ``fork_server``."""
    with open(f"/proc/{os.getppid()}/stat", encoding="utf-8") as file:  # noqa: PTH123 - pathlib costs a quick start
        return int(file.read().rpartition(")")[2].split()[1])


_ACTS: Final[Mapping[str, Callable[[], Sequence[tuple[int, signal.Signals]]]]] = {
    "": lambda: [(os.getpid(), signal.SIGKILL)],
    "stop": lambda: [(os.getpid(), signal.SIGSTOP)],
    "control": lambda: [(_control(), signal.SIGKILL)],
    "both": lambda: [(_control(), signal.SIGKILL), (os.getpid(), signal.SIGKILL)],
}

_place, _, _act = os.environ.get(VARIABLE, "").partition(":")
_name, _, _count = _place.partition("@")
_left = int(_count or "1")


def reach(name: str) -> None:
    """Pass a place; the process ends here if a test wants it."""
    if name == _name:
        _meet()


def _meet() -> None:
    global _left  # noqa: PLW0603 - how often the one place that is asked for was passed
    _left -= 1
    if _left == 0:
        for pid, sent in _ACTS[_act]():
            os.kill(pid, sent)
