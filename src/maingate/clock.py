"""Clocks as a dependency, so that tests decide the time."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Protocol

_EARLIEST: Final = datetime(2, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(9998, 12, 31, tzinfo=UTC)
"""Moments that a year can be added to and taken from; the calendar of Python ends soon behind them."""


def moment_in_utc(at: datetime, zone: tzinfo | None = UTC) -> datetime:
    """Return a moment that a person or program states, in UTC.

    Args:
        at: The moment.
        zone: Its zone where it states none; None for that of this machine.

    Raises:
        ValueError: It is so near to an end of the calendar that nothing can be calculated with it.
    """
    try:
        found = (at.replace(tzinfo=zone) if at.tzinfo is None else at).astimezone(UTC)
    except OverflowError:
        found = None
    if found is None or not _EARLIEST <= found <= _LATEST:
        raise ValueError("the year must be from 2 to 9998")
    return found


class Clock(Protocol):
    """A source of time: wall time for records, monotonic time for durations."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go backwards."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never go backwards."""
        return time.monotonic()


LOOK: Final = 0.5
"""Seconds between two readings of a running time, at most; a busy machine may take twice as many."""


class RunningTime:
    """A clock for timeouts: it stands still while this process is stopped.

    A process that is stopped (SIGSTOP, Ctrl-Z, a paused container, a frozen virtual machine) cannot know it.
    But one that reads this clock again and again knows how long it meant to wait at most: of a time between
    two readings that is more than twice as long, the rest does not count. While a machine sleeps, the clock
    of the system stands still already (CLOCK_MONOTONIC).

    Args:
        source: Seconds that never go backwards.
        look: Seconds between two readings at most.
    """

    def __init__(self, source: Callable[[], float] = time.monotonic, *, look: float = LOOK) -> None:
        self._source, self._look = source, look
        self._read_at, self._passed = source(), 0.0

    def now(self) -> float:
        """Return the seconds since its making that this process was running."""
        before, self._read_at = self._read_at, self._source()
        passed = self._read_at - before
        self._passed += passed if passed <= 2 * self._look else self._look
        return self._passed


@dataclass(kw_only=True)
class ManualClock:
    """A clock that stands still until `advance` is called."""

    current: datetime = field(default_factory=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    elapsed: float = 0.0

    def now(self) -> datetime:
        """Return the time it was last set to."""
        return self.current

    def monotonic(self) -> float:
        """Return the seconds advanced so far."""
        return self.elapsed

    def advance(self, by: timedelta) -> None:
        """Move both wall and monotonic time forward."""
        self.current += by
        self.elapsed += by.total_seconds()
