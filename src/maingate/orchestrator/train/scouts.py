"""Scouts: groups of items to be tested alone on the target's head, where further chains would tell less.

The chains of one round tell at most the logarithm of their number: each but the first is needed only if
others come out as assumed. A scout is needed whatever the others say. So the most probable chains are tested
first, and the other workers find out about the items behind them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from maingate.orchestrator.train.facts import TrainState
from maingate.orchestrator.train.risks import QueueRisks
from maingate.orchestrator.train.values import Purpose, WantedRun
from maingate.plan.choices import Proof

_WORTH: Final[Mapping[Proof, float]] = {Proof.COMMIT: 0.4, Proof.REF: 0.6, Proof.LATER: 0.6}
"""Chance of the chain that is worth as much as a scout of which either answer is equally likely.

Found by trial (`python -m bench train`). A chain that is needed saves another test of itself, besides what it
tells; where each position must be tested anyway, that is the more."""

_EVEN: Final = math.log(2)
"""Cost of items that are as likely to pass together as to fail."""

Group = tuple[int, ...]
"""Places of items, in order."""


class Scouting:
    """Finds the scouts that are worth a worker.

    Args:
        state: The train.
        risks: Its queue.
        reach: The place up to which the chains to test tell enough, and up to which one has failed: a
            group with items before that place is likely to fail for a culprit that is being looked for.
    """

    def __init__(self, state: TrainState, risks: QueueRisks, *, reach: int) -> None:
        self._state, self._risks, self._reach = state, risks, reach
        self._best = _WORTH[state.policy.proof]
        under_way = (run for run in state.running.values() if run.purpose is Purpose.SCOUT)
        self._busy = {item for run in under_way for item in run.scouted}

    def runs(self, wanted: Sequence[WantedRun]) -> list[WantedRun]:
        """Return the scouts that are worth a worker beside the wanted chains, those under way first."""
        taken = {run.chain for run in wanted}
        kept = [run for run in self._under_way() if run.chain not in taken]
        groups = list(self._splits())[: self._state.workers]
        better = [run.chance for run in (*wanted, *kept)]
        groups += self._packed(better, room=self._state.workers - len(groups))
        new = [self._scout(group) for group in groups]
        return kept + [run for run in new if run.chain not in taken and run.chain.is_untested]

    def _under_way(self) -> Iterator[WantedRun]:
        for run in self._state.running.values():
            if run.purpose is Purpose.SCOUT and (places := self._risks.unsettled(run.scouted)):
                yield replace(run, chance=self._worth(self._risks.any_of(places)))

    def _scout(self, group: Group) -> WantedRun:
        items = tuple(self._risks.items[place].id for place in group)
        chain = self._state.facts.root
        for item in items:
            chain = chain.then(item)
        chance = self._worth(self._risks.any_of(group))
        return WantedRun(
            chain=chain, without=frozenset(), chance=chance, purpose=Purpose.SCOUT, scouted=items
        )

    def _splits(self) -> Iterator[Group]:
        """Return the first half, by probability, of each failing group that is out of reach."""
        risks = self._risks
        for group in dict.fromkeys(risks.groups.values()):
            is_busy = any(risks.items[place].id in self._busy for place in group)
            if group[0] < self._reach or len(group) == 1 or is_busy:
                continue
            half = risks.any_of(group) / 2
            distance = {size: abs(risks.any_of(group[:size]) - half) for size in range(1, len(group))}
            yield group[: min(distance, key=lambda size: distance[size])]

    def _loose(self) -> Group:
        """Return the items out of reach of which nothing is known, and which can be tested alone."""
        risks = self._risks
        return tuple(
            place
            for place, item in enumerate(risks.items[self._reach :], self._reach)
            if not (place in risks.groups or item.needs or item.id in self._busy or risks.is_sound(place))
        )

    def _packed(self, better: Sequence[float], *, room: int) -> list[Group]:
        """Return items in groups of equal risk, as many as are worth it.

        More and smaller groups are each worth less. So many are made that they have a worker each, after the
        tests with a better chance than theirs; no group is larger than one that is as likely to pass as to
        fail. Of those that are worth about the same, the first are taken.
        """
        loose = self._loose() if room > 0 else ()
        costs = [-math.log1p(-self._risks.any_of((place,))) for place in loose]
        number, share = 1, min(sum(costs), _EVEN)
        for more in range(2, room + 1):
            part = min(sum(costs) / more, _EVEN)
            worth = self._worth(-math.expm1(-part))
            if more + sum(chance >= worth for chance in better) > room:
                break
            number, share = more, part
        groups = _in_parts(loose, costs, share=share)
        groups.sort(key=lambda group: -round(self._worth(self._risks.any_of(group)), 1))
        return groups[:number]

    def _worth(self, failure: float) -> float:
        """Return the chance of the chain that is worth as much as a scout that fails with a probability."""
        if not 0 < failure < 1:
            return 0.0
        return self._best * -(failure * math.log2(failure) + (1 - failure) * math.log2(1 - failure))


def _in_parts(places: Group, costs: Sequence[float], *, share: float) -> list[Group]:
    """Return places in groups, the costs of each about the same."""
    groups: list[list[int]] = []
    filled = math.inf
    for place, cost in zip(places, costs, strict=True):
        if filled + cost / 2 > share:
            groups.append([])
            filled = 0.0
        groups[-1].append(place)
        filled += cost
    return [tuple(group) for group in groups]
