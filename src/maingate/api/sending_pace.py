"""The pace of sending to followers: all of them together get a share of a processor, however many they are.

A busy run makes thousands of events a second, which are hundreds of megabytes a second for hundreds of
followers. So each sending has its turn, and the more a turn has cost, the later the next one comes: reads are
answered in between, and runs keep the processors. While they need them all, followers fall behind, and they
catch up afterwards; nothing is left out. Sendings that cost little for what they bring, to those who are far
behind, may take a larger share (their urgency).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from maingate.system.processors import idle_processors

LEAST_SHARE: Final = 0.08
MOST_SHARE: Final = 0.5
"""Shares of one processor that followers get together: while all are busy, and while all are idle."""

_SHARE_OF_IDLE: Final = 0.25
_LOOK_SECONDS: Final = 0.5
"""Seconds for which it is believed how many processors are idle."""

_EARLY_SECONDS: Final = 0.004
"""Seconds by which a turn may be early: a timer is not more exact, and small turns need not wait for one."""

_SECONDS_EACH: Final = 100e-6
_SECONDS_PER_BYTE: Final = 1e-9
"""Processor time of sending something to one follower, and more of it for each byte; about."""


class SendingPace:
    """The pace at which the followers of all feeds of a server are sent events.

    Args:
        idle: Returns how many processors have had nothing to do since its last call.
        now: Returns the seconds of a clock that never goes backwards.
        sleep: Waits for some seconds.
    """

    def __init__(
        self,
        idle: Callable[[], float] = idle_processors,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._idle, self._now, self._sleep = idle, now, sleep
        self._turns = asyncio.Lock()
        self._free_at = self._looked_at = 0.0
        self._share = LEAST_SHARE

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, in the order of those who ask for one; its cost is to be counted within."""
        async with self._turns:
            early = self._free_at - self._now()
            if early > _EARLY_SECONDS:
                await self._sleep(early)
            yield

    def sent(self, size: int, *, urgency: int = 1) -> None:
        """Count a sending of some bytes to one follower."""
        self.spent(_SECONDS_EACH + size * _SECONDS_PER_BYTE, urgency=urgency)

    def spent(self, seconds: float, *, urgency: int = 1) -> None:
        """Count processor time, of which an urgent part may have a share that is so many times larger."""
        now = self._now()
        share = min(MOST_SHARE, urgency * self._share_at(now))
        self._free_at = max(self._free_at, now) + seconds / share

    def _share_at(self, now: float) -> float:
        if now - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = now
            self._share = min(MOST_SHARE, max(LEAST_SHARE, _SHARE_OF_IDLE * self._idle()))
        return self._share
