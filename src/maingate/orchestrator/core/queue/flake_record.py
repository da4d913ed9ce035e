"""Flakes: failures of chains that a second run refuted, by which later failures are confirmed more often."""

from dataclasses import dataclass

_ASSUMED_PASSES = 4
"""Runs that passed before any was counted, so that a single flake is not taken for a habit."""


@dataclass
class FlakeRecord:
    """Runs on chains that turned out to be right.

    Args:
        passed: Those that passed.
        refuted: Those that failed, although the chain passed later.
    """

    passed: int = 0
    refuted: int = 0

    @property
    def rate(self) -> float:
        """Probability that the gates fail on a chain that is right; 0 while none has."""
        return self.refuted / (self.refuted + self.passed + _ASSUMED_PASSES)

    def record(self, *, failures: int) -> None:
        """Count a run that passed, and those on the same chain that had failed before."""
        self.passed += 1
        self.refuted += failures
