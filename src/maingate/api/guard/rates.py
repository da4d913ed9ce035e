"""Rates: how often a caller may ask, as buckets of tokens that fill up again."""

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from maingate.clock import Clock

_MOST_BUCKETS: Final = 10_000
"""Buckets that are kept; the one that was used least recently goes first."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A permitted rate.

    Args:
        per_second: Requests a second in the long run.
        burst: Requests at once.
    """

    per_second: float
    burst: int


class RateLimiter:
    """Buckets of one rate, by their keys.

    Args:
        rate: The rate of each.
        clock: The time.
    """

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._rate, self._clock = rate, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> int | None:
        """Take one request from a bucket; return the seconds to wait where it is empty, else None."""
        left = self._left(key)
        if left < 1:
            return math.ceil((1 - left) / self._rate.per_second)
        self._keep(key, left - 1)
        return None

    def _left(self, key: str) -> float:
        left, at = self._buckets.get(key, (float(self._rate.burst), self._clock.monotonic()))
        filled = left + (self._clock.monotonic() - at) * self._rate.per_second
        return min(float(self._rate.burst), filled)

    def _keep(self, key: str, left: float) -> None:
        self._buckets[key] = (left, self._clock.monotonic())
        self._buckets.move_to_end(key)
        if len(self._buckets) > _MOST_BUCKETS:
            self._buckets.popitem(last=False)
