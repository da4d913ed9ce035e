"""Fault points: named places in the program at which a test may end it, as a power cut would.

`reach` passes a place and does nothing unless ``MAINGATE_FAULTPOINT`` names it. Only the tests of crashes set
that variable (tests/integration/test_crash.py).
"""

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Final

VARIABLE: Final = "MAINGATE_FAULTPOINT"
"""The environment variable: ``name``, ``name@3`` or ``name@3:control``.

That is a place, which passing of it counts (default: the first), and the action there: kill this process
(default), stop it (``stop``), kill the control process of this worker (``control``), or kill both
(``both``)."""


def _control() -> int:
    """Return the control process of this worker: the parent of the fork server (``fork_server``)."""
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
    """Pass a place; the process is killed here if a test asks for it."""
    if name == _name:
        _act_on_count()


def _act_on_count() -> None:
    global _left  # noqa: PLW0603 - how often the one place that is asked for was passed
    _left -= 1
    if _left == 0:
        for pid, sent in _ACTS[_act]():
            os.kill(pid, sent)
