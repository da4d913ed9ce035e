"""The expected time until each item of a queue lands, as a band.

A simple estimate, made in microseconds where a simulation takes seconds. All items before the first culprit
land after one round of gates. Each culprit among those up to an item costs the rounds in which it is found:
no way of testing needs fewer than the entropy of its risk over what the answers of all workers can tell, and
the planner comes close to that (docs/PERFORMANCE.md), so that many are assumed. The number of culprits and
flakes is taken to have a Poisson distribution. The band is that of its median with gates that take their
median, and of its 90th percentile with gates that take their 90th.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from maingate.orchestrator.train.virtual_run import TimeSpread

_LEAST_LEFT: Final = 0.1
"""Part of the time of a round that is still expected of one that takes longer than usual."""

_CONFIRMING: Final = 2.0
"""Runs by which the failure of a culprit is confirmed: another one of it, and one of what is ahead of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedItem:
    """An item in the queue.

    Args:
        risk: Probability that it fails.
        round_time: The time of its gates.
        elapsed: How long a test that contains it has run; None without one.
    """

    risk: float
    round_time: TimeSpread
    elapsed: float | None = None


def expected_times(
    items: Iterable[ExpectedItem], *, workers: int, flake_rate: float = 0.0
) -> list[TimeSpread]:
    """Return the seconds until each item lands, in the order of the queue.

    Args:
        items: The items, none of which is held.
        workers: Runs of gates that may be under way at once.
        flake_rate: Probability that the gates fail on a tree that is right.
    """
    bands: list[TimeSpread] = []
    culprits, weight = flake_rate, 0.0
    slowest = TimeSpread(p50=0.0, p90=0.0)
    for item in items:
        culprits += -math.log1p(-min(item.risk, 0.999))
        weight += item.risk
        times = item.round_time
        slowest = TimeSpread(p50=max(slowest.p50, times.p50), p90=max(slowest.p90, times.p90))
        each = _rounds_of_culprit(weight / (len(bands) + 1), workers)
        middle, most = _poisson_quantile(culprits, 0.5), _poisson_quantile(culprits, 0.9)
        bands.append(
            TimeSpread(
                p50=_left(slowest.p50, item.elapsed) + middle * each * slowest.p50,
                p90=_left(slowest.p90, item.elapsed) + most * each * slowest.p90,
            )
        )
    return bands


def _rounds_of_culprit(risk: float, workers: int) -> float:
    """Return the rounds that a culprit costs, found among items of a risk, and confirmed."""
    confirming = _CONFIRMING / workers
    if not 0 < risk < 1:
        return confirming
    entropy = -risk * math.log2(risk) - (1 - risk) * math.log2(1 - risk)
    return entropy / (risk * math.log2(workers + 1)) + confirming


def _left(seconds: float, elapsed: float | None) -> float:
    """Return the seconds that are left of a round."""
    return seconds if elapsed is None else max(seconds - elapsed, seconds * _LEAST_LEFT)


def _poisson_quantile(mean: float, share: float) -> int:
    """Return the least number that a Poisson distribution does not exceed with a probability."""
    if mean > _MANY:
        z = 0.0 if share == 0.5 else 1.2816  # noqa: PLR2004 - the median, and the 90th percentile
        return round(mean + z * math.sqrt(mean))
    number, term = 0, math.exp(-mean)
    total = term
    while total < share:
        number += 1
        term *= mean / number
        total += term
    return number


_MANY: Final = 50.0
"""Mean from which on a Poisson distribution is taken as a normal one."""
