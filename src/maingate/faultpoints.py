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


_control: Final = os.getppid()
"""The control process, in a worker: its fork server read this when it began.

A worker that outlives the control process is adopted by another one, which must not be killed."""

_ACTS: Final[Mapping[str, Callable[[], Sequence[tuple[int, signal.Signals]]]]] = {
    "": lambda: [(os.getpid(), signal.SIGKILL)],
    "stop": lambda: [(os.getpid(), signal.SIGSTOP)],
    "control": lambda: [(_control, signal.SIGKILL)],
    "both": lambda: [(_control, signal.SIGKILL), (os.getpid(), signal.SIGKILL)],
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
            try:
                os.kill(pid, sent)
            except ProcessLookupError:  # another worker was here first
                continue
