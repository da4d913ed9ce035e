"""Branches: a queue under the assumption that some of its items are culprits, with what is known of it."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Self

from maingate.orchestrator.train.chains import CandidateChain
from maingate.orchestrator.train.risks import QueueRisks
from maingate.plan.choices import Proof

_EVEN: Final = 0.5

_WHOLE: Final = 0.97
"""Part of what the best cut tells from which on all items are tested instead: a pass then ends the queue.

A cut that leaves a few items behind costs another run for them, which tells next to nothing. Found by trial:
16 items at 5 % need a tenth fewer runs and rounds with two workers, 8 at 10 % a sixth fewer rounds; where the
queue is long, half of a percent more at most."""


class QueueBranch:
    """The chains of a queue that leave out some assumed culprits.

    A *place* is a number of items of the queue, from its beginning; the chain at a place has all of them but
    the culprits. Those are before ``first``, or, as items that need one, not in this branch's queue.

    Args:
        risks: The queue.
        first: The place where the branch begins: the chain there is that of its origin.
        without: The culprits.
        root: The chain at ``first``.
        fresh: The place up to which no failing group counts any more, because a culprit explains it.
        running: Chains that are being tested, with the chance that each had at last.
    """

    __slots__ = ("_failed", "_fresh", "_passed", "_root", "_running", "first", "risks", "without")

    def __init__(
        self,
        risks: QueueRisks,
        *,
        root: CandidateChain,
        running: Mapping[CandidateChain, float],
        first: int = 0,
        fresh: int = 0,
        without: frozenset[str] = frozenset(),
    ) -> None:
        self.risks, self.first, self.without = risks, first, without
        self._fresh = fresh
        self._root = root
        self._passed: list[int] = []
        self._failed: list[int] = []
        self._running: list[tuple[int, float]] = []
        for place, chain in self._known():
            if chain.passes:
                self._passed.append(place)
            elif chain.failures:
                self._failed.append(place)
            elif chain in running:
                self._running.append((place, running[chain]))

    def _known(self) -> Iterator[tuple[int, CandidateChain]]:
        chain = self._root
        for place in range(self.first, self.end):
            longer = chain.find(self.risks.items[place].id)
            if longer is None:
                return
            chain = longer
            yield place + 1, chain

    @property
    def end(self) -> int:
        """The place of the whole queue."""
        return len(self.risks.items)

    def chain(self, place: int) -> CandidateChain:
        """Return the chain at a place."""
        chain = self._root
        for item in self.risks.items[self.first : place]:
            chain = chain.then(item.id)
        return chain

    def narrow(self, low: int, high: int, *, proof: Proof) -> tuple[int, int, bool]:
        """Return the last place that passed, the first failing one after it or ``high``, and if it failed."""
        if proof is Proof.COMMIT:
            at = bisect_right(self._passed, low)
            while low < high and at < len(self._passed) and self._passed[at] == low + 1:
                low, at = low + 1, at + 1
            at = bisect_right(self._failed, low)
            is_next = at < len(self._failed) and self._failed[at] == low + 1
            return (low, low + 1, True) if is_next else (low, high, False)
        at = bisect_right(self._passed, high)
        if at and self._passed[at - 1] > low:
            low = self._passed[at - 1]
        at = bisect_right(self._failed, low)
        if at < len(self._failed) and self._failed[at] <= high:
            return low, self._failed[at], True
        return low, high, False

    def has_failed_at(self, place: int) -> bool:
        """Return whether the chain at a place is known to have failed."""
        at = bisect_left(self._failed, place)
        return at < len(self._failed) and self._failed[at] == place

    def running_between(self, low: int, high: int) -> list[int]:
        """Return the places after ``low`` and up to ``high`` that are being tested, the likeliest first."""
        found = [(-chance, place) for place, chance in self._running if low < place <= high]
        return [place for _, place in sorted(found)]

    def failure(self, low: int, high: int) -> float:
        """Return the probability of a culprit among the items from ``low`` up to ``high``."""
        return self.risks.failure(low, high, fresh=self._fresh)

    def cut(self, low: int, high: int, *, goal: float) -> int:
        """Return the place in ``low + 1 .. high`` whose probability of failure is nearest to ``goal``."""
        return self.risks.cut(low, high, goal=goal, fresh=self._fresh)

    def blaming(self, place: int, *, running: Mapping[CandidateChain, float]) -> Self:
        """Return the branch that leaves out the item after a place too, and the items that need it."""
        risks, fallen = self.risks.dropping(place)
        fresh = max(self._fresh, self.risks.behind_group(place))
        if risks is not self.risks:
            fresh -= sum(item.id in fallen for item in self.risks.items[place + 1 : fresh])
        return type(self)(
            risks,
            root=self.chain(place),
            running=running,
            first=place + 1,
            fresh=fresh,
            without=self.without | fallen,
        )


@dataclass(frozen=True, slots=True)
class HypothesisLeaf:
    """A part of what is not known yet: the chain at ``low`` passed, and, perhaps, that at ``high`` fails.

    Args:
        branch: The assumed culprits and the chains without them.
        has_failed: Whether ``high`` fails; otherwise nothing is assumed of the places up to it.
        chance: Probability that this is how things are.
        is_asked_again: Whether ``high`` is being tested again already, in case it was a flake.
    """

    branch: QueueBranch
    low: int
    high: int
    has_failed: bool
    chance: float
    is_asked_again: bool = False

    @property
    def is_single(self) -> bool:
        """Return whether one item must be the culprit."""
        return self.has_failed and self.high == self.low + 1

    def failure(self, place: int) -> float:
        """Return the probability that the chain at a place fails."""
        risk = self.branch.failure(self.low, place)
        return risk / self.branch.failure(self.low, self.high) if self.has_failed else risk

    def cut(self, proof: Proof) -> int:
        """Return the place to test: the least certain one, or the last one if that tells about as much.

        A place that is being tested is taken before another if its outcome tells at least half as much. Of
        several, that which was the likeliest to be needed: the others follow from its answers.
        """
        low, branch = self.low, self.branch
        if proof is Proof.COMMIT:
            return low + 1
        last = self.high - 1 if self.has_failed else self.high
        goal = _EVEN * branch.failure(low, self.high) if self.has_failed else _EVEN
        best = branch.cut(low, last, goal=goal)
        if not self.has_failed and self._told(last) >= _WHOLE * self._told(best):
            best = last
        worth = self._told(best) / 2
        under_way = (place for place in branch.running_between(low, last) if self._told(place) >= worth)
        return next(under_way, best)

    def _told(self, place: int) -> float:
        failure = self.failure(place)
        return failure * (1 - failure)
