"""Flakes: failures of gates that later runs refuted, by which later failures are confirmed more often."""

import math
from collections import Counter
from collections.abc import Collection

from maingate.orchestrator.train.belief import failures_needed
from maingate.orchestrator.train.record import TrainRecord

_ASSUMED_PASSES = 4
"""Runs that passed before any was counted, so that a single flake is not taken for a habit."""


class FlakeRecord:
    """Passes and flakes of gates, in this run and on record.

    Args:
        record: The past of the gates.
    """

    def __init__(self, record: TrainRecord) -> None:
        self._past = record
        self._passed: Counter[str] = Counter()
        self._refuted: Counter[str] = Counter()

    def passed(self, gate: str, *, failures: int) -> None:
        """Count a pass of a gate, and its failures before on the same tree."""
        self._passed[gate] += not failures
        self._refuted[gate] += failures

    def refuted(self, gate: str, *, failures: int) -> None:
        """Count failures of a gate on a part of what has passed."""
        self._refuted[gate] += failures

    @property
    def rate(self) -> float:
        """Probability that a gate fails on a chain that is right, as seen in this run; 0 while none has."""
        seen = ((self._refuted[gate], self._passed[gate]) for gate in self._refuted)
        return 1 - math.prod(1 - bad / (bad + good + _ASSUMED_PASSES) for bad, good in seen)

    def failures_needed(self, gates: Collection[str]) -> int:
        """Return how often one of some gates, which failed on a chain, must fail there to be believed."""
        return max((self._needed(gate) for gate in gates), default=1)

    def _needed(self, gate: str) -> int:
        flakes, passes = self._past.flakes_of(gate)
        return failures_needed(flakes=flakes + self._refuted[gate], passes=passes + self._passed[gate])
