"""The past of a repository, as far as a train expects the same again."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Final

_BAD: Final = 1
_GOOD: Final = 19
"""Culprits and innocents that are assumed before any workstream has ended: one in twenty fails."""

_MOST_ENDED: Final = 100
"""Ended workstreams that a longer record counts for, so that a run soon counts for more than the past."""

_ASSUMED_PASSES: Final = 20
"""Passes without a flake that are assumed of each gate, so that a single flake makes no rate of its own."""

_MOST_EXECUTIONS: Final = 200
"""Executions of a gate that a longer record counts for, so that a gate that flakes from now on is seen to."""

_SECONDS: Final = 1.0
"""Expected time of a workstream where no gate has a time: all are alike."""

_LEAST_SECONDS: Final = 1e-3
"""Least time of a gate, so that one that took none on record can be compared with others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GatePast:
    """The executions of a gate on record.

    Args:
        seconds: The time that half of them do not exceed.
        slow: The time that nine in ten of them do not exceed.
        passes: Those that passed.
        flakes: Those that passed only when they were run again.
        failures: Those that failed.
    """

    seconds: float = 0.0
    slow: float = 0.0
    passes: int = 0
    flakes: int = 0
    failures: int = 0

    @property
    def flake_rate(self) -> float:
        """The probability that it fails on a tree that is right."""
        return self.flakes / (max(self.passes, self.flakes) + _ASSUMED_PASSES)


_NO_PAST: Final = GatePast()


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainRecord:
    """The past of a repository, as far as a train expects the same again.

    Args:
        refused: Workstreams that gates refused.
        landed: Workstreams that landed.
        gates: The past of gates by name.
    """

    refused: int = 0
    landed: int = 0
    gates: Mapping[str, GatePast] = field(default_factory=dict)

    def risk(self, *, refused: int, landed: int) -> float:
        """Return the probability that a workstream is refused, the mean of a Beta distribution.

        Args:
            refused: Workstreams of this run that gates refused.
            landed: Workstreams of this run that landed.
        """
        ended = self.refused + self.landed
        share = min(1.0, _MOST_ENDED / ended) if ended else 0.0
        bad = _BAD + share * self.refused + refused
        return bad / (bad + _GOOD + share * self.landed + landed)

    def failures_per_second(self, gate: str, *, passed: int = 0, failed: int = 0) -> float:
        """Return the probability that a gate fails, by its expected time; unknown ones are like the others.

        Args:
            gate: The gate.
            passed: Executions of this run that passed.
            failed: Executions of this run that failed.
        """
        past = self.gates.get(gate, _NO_PAST)
        bad = _BAD + past.failures + failed
        return bad / (bad + _GOOD + past.passes + passed) / max(self.seconds_of([gate]), _LEAST_SECONDS)

    def seconds_of(self, gates: Iterable[str]) -> float:
        """Return the expected time of some gates one after the other; unknown ones are like the others."""
        known = [gate.seconds for gate in self.gates.values() if gate.seconds]
        if not known:
            return _SECONDS
        return sum(self.gates.get(gate, _NO_PAST).seconds or fmean(known) for gate in gates)

    @property
    def knows_times(self) -> bool:
        """True if any gate has a time on record."""
        return any(gate.seconds for gate in self.gates.values())

    def slow_seconds_of(self, gates: Iterable[str]) -> float:
        """Return the time that some gates one after the other exceed in one of ten cases.

        Their times are taken to be independent, so not all of them are slow at once.
        """
        names = [*gates]
        over = [
            max(self.gates[name].slow - self.gates[name].seconds, 0.0) for name in names if name in self.gates
        ]
        return self.seconds_of(names) + math.hypot(*over)

    def flakes_of(self, gate: str) -> tuple[float, float]:
        """Return the flakes and the other passes of a gate; very many count for fewer of the same kind."""
        past = self.gates.get(gate, _NO_PAST)
        passes = max(past.passes - past.flakes, 0)
        share = min(1.0, _MOST_EXECUTIONS / max(past.flakes + passes, 1))
        return share * past.flakes, share * passes

    def flake_rate_of(self, gates: Iterable[str]) -> float:
        """Return the probability that any of some gates fails on a tree that is right."""
        known = [self.gates[gate].flake_rate for gate in gates if gate in self.gates]
        return 1 - math.prod(1 - rate for rate in known)
