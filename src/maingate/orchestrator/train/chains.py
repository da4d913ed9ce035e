"""Chains: a base and the items that are put on it, in order. All answers of gates are facts about chains.

Chains form a tree whose root is the target's head. Each exists once, so it is its own key, and a verdict
keeps its meaning whatever happens to the queue: when an item leaves, returns or moves, the planner walks
along other chains. A landing makes one of them the new root.
"""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, kw_only=True, slots=True)
class ChainRun:
    """A finished run of the gates on a chain.

    Args:
        id: Identifier; the same run reported twice counts once.
        passed: Whether all gates passed. A fault of the infrastructure is no run.
        started: When it began, in seconds on any scale that all runs of a train share.
        ended: When it ended.
    """

    id: str
    passed: bool
    started: float
    ended: float


class CandidateChain:
    """The items from the root up to one of them.

    Args:
        item: The last item; empty for a root.
        before: The chain that the last item is put on; None for a root.
    """

    __slots__ = ("_longer", "_runs", "before", "failures", "item", "passes", "vouched")

    def __init__(self, item: str = "", before: Self | None = None) -> None:
        self.item, self.before = item, before
        self.passes = self.failures = 0
        self.vouched = float("-inf")
        """When the last run ended that passed on a chain with more items than this one has."""
        self._longer: dict[str, Self] | None = None
        self._runs: dict[str, ChainRun] | None = None

    def then(self, item: str) -> Self:
        """Return the chain that has one more item."""
        longer = self._longer
        if longer is None:
            longer = self._longer = {}
        found = longer.get(item)
        if found is None:
            found = longer[item] = type(self)(item, self)
        return found

    def find(self, item: str) -> Self | None:
        """Return the chain that has one more item, if it has been asked for before."""
        return self._longer.get(item) if self._longer is not None else None

    def record(self, run: ChainRun) -> None:
        """Record a run of the gates on this chain."""
        if self._runs is None:
            self._runs = {}
        if run.id not in self._runs:
            self._runs[run.id] = run
            self.passes += run.passed
            self.failures += not run.passed
            if run.passed:
                self._vouch(run.ended)

    def _vouch(self, moment: float) -> None:
        """Note on the chains that this one is made of that it has passed."""
        chain = self.before
        while chain is not None:
            chain.vouched = max(chain.vouched, moment)
            chain = chain.before

    def forget_runs(self) -> None:
        """Forget the runs on this chain: they asked for other gates than those that count by now."""
        self.passes = self.failures = 0
        self._runs = None

    def become_root(self) -> None:
        """Forget the chains before and beside this one: the target is at it now."""
        self.before = None

    @property
    def has_passed(self) -> bool:
        """Return whether the gates passed on it; a failure beside a pass is a flake."""
        return self.passes > 0

    @property
    def has_failed(self) -> bool:
        """Return whether the gates failed on it, and never passed."""
        return self.failures > 0 and self.passes == 0

    @property
    def is_untested(self) -> bool:
        """Return whether no run of the gates on it has finished."""
        return not self.passes and not self.failures

    @property
    def first_failure(self) -> float:
        """Return when the first run that failed began."""
        return min(run.started for run in self._all_runs() if not run.passed)

    def runs_since(self, moment: float) -> tuple[int, int]:
        """Return how many runs that ended after a moment passed, and how many failed."""
        later = [run.passed for run in self._all_runs() if run.ended > moment]
        return sum(later), len(later) - sum(later)

    def items(self) -> tuple[str, ...]:
        """Return the items from the root on."""
        found: list[str] = []
        chain: CandidateChain | None = self
        while chain is not None and chain.before is not None:
            found.append(chain.item)
            chain = chain.before
        return tuple(reversed(found))

    def _all_runs(self) -> tuple[ChainRun, ...]:
        return tuple(self._runs.values()) if self._runs is not None else ()
