"""The progress of a run as a value that is drawn in the run's loop and that any thread may ask for."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from maingate.clock import Clock
from maingate.orchestrator.progress import Progress

SHARE: Final = 20
"""Pause of the loop between two drawings, in durations of a drawing, which may be of thousands of parts."""


class SharedProgress:
    """The newest picture of a run's progress; it is a ``ProgressView``.

    A reader gets the last picture at once, and the loop draws another one for the next look. So each picture
    is of one moment between two events, none is drawn without a reader, and a long step delays no reader.

    Args:
        draw: Returns the progress; called in the loop only.
        clock: The time.
    """

    def __init__(self, draw: Callable[[], Progress], clock: Clock) -> None:
        self._draw, self._clock = draw, clock
        self._loop = asyncio.get_running_loop()
        self._is_asked, self._again_at = False, 0.0
        self.renew()

    def progress(self) -> Progress:
        """Return the newest picture, with the present times; called in any thread."""
        (picture, drawn_at), now = self._newest, self._clock.monotonic()
        if not self._is_asked and now >= self._again_at:
            self._is_asked = True
            with suppress(RuntimeError):  # the loop has ended: the last picture stays
                self._loop.call_soon_threadsafe(self.renew)
        since = now - drawn_at
        gates = tuple(replace(gate, seconds=gate.seconds + since) for gate in picture.gates)
        return replace(picture, seconds=picture.seconds + since, gates=gates)

    def renew(self) -> None:
        """Draw the picture anew; called in the loop."""
        began = self._clock.monotonic()
        self._is_asked, self._newest = False, (self._draw(), began)
        ended = self._clock.monotonic()
        self._again_at = ended + SHARE * (ended - began)
