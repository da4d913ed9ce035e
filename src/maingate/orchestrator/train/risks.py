"""The probabilities of a queue's prefixes, from the risks of its items and from what scouts found."""

import math
from bisect import bisect_left
from collections.abc import Collection, Sequence
from itertools import accumulate
from typing import Final, Self

from maingate.orchestrator.train.facts import TrainFacts
from maingate.orchestrator.train.values import TrainItem

_LEAST_RISK: Final = 1e-6
_MOST_RISK: Final = 0.999

TOGETHER: Final = 0.05
"""Part of its risk that remains to an item which passed in other company."""


class QueueRisks:
    """Items in order, with the probabilities that there is a culprit among some of them.

    A failing group changes the risks of its items: each has the probability that it is the first culprit,
    given that those of the group before it are none. Once the first is assumed, ``fresh`` is the place behind
    the group: up to there the risks are those that the items had before.

    Args:
        items: The items.
        facts: Findings of scouts.
        flake_rate: Probability that a failure is a flake.
    """

    __slots__ = ("_facts", "_flake_rate", "_given", "_plain", "groups", "has_needs", "items", "slowest")

    def __init__(self, items: Sequence[TrainItem], facts: TrainFacts, *, flake_rate: float) -> None:
        self.items, self._facts, self._flake_rate = items, facts, flake_rate
        sound = facts.sound
        risks = [item.risk * TOGETHER if item.id in sound else item.risk for item in items]
        self.slowest = list(accumulate((item.seconds for item in items), max, initial=0.0))
        self.has_needs = any(item.needs for item in items)
        self._plain = _sums(risks)
        self.groups = self._disjoint_groups(facts) if facts.suspected else {}
        self._given = self._plain
        if self.groups:
            for group in set(self.groups.values()):
                _condition(risks, group, flake_rate)
            self._given = _sums(risks)

    def _disjoint_groups(self, facts: TrainFacts) -> dict[int, tuple[int, ...]]:
        """Return the places of the items of each failing group, by the place of each; small groups first."""
        places = {item.id: place for place, item in enumerate(self.items) if item.id not in facts.sound}
        found = [tuple(sorted(places[item] for item in group if item in places)) for group in facts.suspected]
        groups: dict[int, tuple[int, ...]] = {}
        for group in sorted(found, key=len):
            if group and not any(place in groups for place in group):
                groups.update(dict.fromkeys(group, group))
        return groups

    def dropping(self, place: int) -> tuple[Self, frozenset[str]]:
        """Return the risks without the items that need the one after a place, and these items with it."""
        culprit = self.items[place].id
        fallen = {culprit}
        if not self.has_needs:
            return self, frozenset(fallen)
        kept = [*self.items[: place + 1]]
        for item in self.items[place + 1 :]:
            if item.needs.isdisjoint(fallen):
                kept.append(item)
            else:
                fallen.add(item.id)
        if len(fallen) == 1:
            return self, frozenset(fallen)
        return type(self)(kept, self._facts, flake_rate=self._flake_rate), frozenset(fallen)

    def is_sound(self, place: int) -> bool:
        """Return whether the item after a place has passed, in whatever company."""
        return self.items[place].id in self._facts.sound

    def unsettled(self, items: Collection[str]) -> tuple[int, ...]:
        """Return the places of those of some items that are in the queue and have not passed yet."""
        wanted = set(items) - self._facts.sound
        return tuple(place for place, item in enumerate(self.items) if item.id in wanted)

    def any_of(self, places: Sequence[int]) -> float:
        """Return the probability of a culprit at some places."""
        given = self._given
        return -math.expm1(math.fsum(given[place] - given[place + 1] for place in places))

    def behind_group(self, place: int) -> int:
        """Return the place behind the failing group that an item belongs to; 0 when it belongs to none."""
        return self.groups[place][-1] + 1 if place in self.groups else 0

    def failure(self, low: int, high: int, *, fresh: int = 0) -> float:
        """Return the probability of a culprit among the items from ``low`` up to ``high``."""
        middle = min(max(low, fresh), high)
        plain, given = self._plain, self._given
        return -math.expm1(plain[low] - plain[middle] + given[middle] - given[high])

    def cut(self, low: int, high: int, *, goal: float, fresh: int = 0) -> int:
        """Return the place in ``low + 1 .. high`` whose probability of failure is nearest to ``goal``."""
        cost = -math.log1p(-goal)
        middle = min(max(low, fresh), high)
        at = bisect_left(self._plain, self._plain[low] + cost, low + 1, middle) if middle > low else low + 1
        if at >= middle and middle < high:
            rest = cost - (self._plain[middle] - self._plain[low])
            at = bisect_left(self._given, self._given[middle] + rest, max(middle, low + 1), high)
        if at == low + 1:
            return at
        before, after = (abs(self.failure(low, place, fresh=fresh) - goal) for place in (at - 1, at))
        return at - 1 if before <= after else at


def _sums(risks: Sequence[float]) -> list[float]:
    costs = (-math.log1p(-min(max(risk, _LEAST_RISK), _MOST_RISK)) for risk in risks)
    return list(accumulate(costs, initial=0.0))


def _condition(risks: list[float], group: Sequence[int], flake_rate: float) -> None:
    """Change the risks of a group that failed to those of being the first culprit."""
    fine = 1.0
    passing = [fine := fine * (1 - min(max(risks[place], _LEAST_RISK), _MOST_RISK)) for place in group]
    failing = 1 - fine
    real = failing / (failing + fine * flake_rate)
    before = 1.0
    for place, passes in zip(group, passing, strict=True):
        after = 1 - real * (1 - passes) / failing
        risks[place] = 1 - after / before if before > 0 else _MOST_RISK
        before = after
