"""A workstream's lane: the ordered way of its patches onto its ref, as pure values.

Patches are applied in the plan's order, each on the result of the one before it. A patch may be applied and
its gates started *ahead* of the judgement of those before it; such a car is a guess and leaves no trace in
the ledger. Only the front of the chain is fact: once its gates passed it is settled and the next car becomes
the front. When the front fails, everything behind it was built on something that will not be, and is built
again from what is proven.

    settled ── kept ── kept ── front ── car ── car            chain: applied, verdicts awaited
                                                  └─ applying  the next ones are being applied, onto the last

A car whose gates passed may be *kept* instead: it is as proven as if it were settled, but not recorded as
applied yet, because a patch that is recorded so can never be applied to another commit.

A refusal to apply is final only on what is proven: onto a guess it merely waits until the guess is decided.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from maingate.commits import Tip
from maingate.verdicts.blame import Judgement


class LaneItem(Protocol):
    """An element of a lane: a task, with or without a patch that is ready to be applied."""

    @property
    def is_ready_to_apply(self) -> bool:
        """Return whether its patch is accepted and waits to be applied."""
        ...

    @property
    def has_ended(self) -> bool:
        """Return whether it ended, and has no place in the lane any more."""
        ...


P = TypeVar("P", bound=LaneItem)


@dataclass(kw_only=True)
class Car(Generic[P]):
    """A patch applied to the tip of the car ahead of it.

    Args:
        item: The patch's task.
        onto: The commit that it was applied to.
        tip: The resulting commit.
        method: How it applied: ``exact``, ``offset`` or ``three_way``.
        repairs: All repairs of its text.
        judgement: The outcome of its gates; None while they run.
    """

    item: P
    onto: Tip
    tip: Tip
    method: str
    repairs: Sequence[Mapping[str, Any]] = ()
    judgement: Judgement | None = None


@dataclass(kw_only=True)
class Lane(Generic[P]):
    """The order of a workstream's patches and how far each one is.

    Args:
        order: Every task of the workstream, in the order in which patches are applied.
        settled: The newest commit that is on record; its gates passed.
        kept: The proven patches on it that may still be applied to another commit instead.
        chain: The applied patches that are not proven, the front first.
        applying: The items that are being applied now, and the commit that the first is applied to.
        held: The item that did not apply to a guess, until the guess is decided.
    """

    order: Sequence[P]
    settled: Tip
    kept: list[Car[P]] = field(default_factory=list)
    chain: list[Car[P]] = field(default_factory=list)
    applying: tuple[Sequence[P], Tip] | None = None
    held: P | None = None
    _next: int = 0

    @property
    def tip(self) -> Tip:
        """The commit that the next patch is applied to."""
        return self.chain[-1].tip if self.chain else self.proven

    @property
    def proven(self) -> Tip:
        """The newest commit whose gates passed, as those of all patches before it."""
        return self.kept[-1].tip if self.kept else self.settled

    @property
    def next_place(self) -> int:
        """The place of the next patch to be applied; items that ended are passed over."""
        while self._next < len(self.order) and self.order[self._next].has_ended:
            self._next += 1
        return self._next

    @property
    def front(self) -> Car[P] | None:
        """The car whose judgement decides next."""
        return self.chain[0] if self.chain else None

    @property
    def first(self) -> P | None:
        """The first item that is neither proven nor ended, which all others are behind; None without one."""
        if self.chain:
            return self.chain[0].item
        return self.order[self.next_place] if self.next_place < len(self.order) else None

    def next_batch(self, *, window: int) -> tuple[Sequence[P], Tip] | None:
        """Return the next patches to apply and the commit to apply the first to; None while there are none.

        While the chain is not empty, a batch waits until half the window is free: several patches applied in
        one go cost little more than one.

        Args:
            window: Maximum length of the chain.
        """
        room = window - len(self.chain)
        if self.applying is not None or (self.chain and 2 * room < window):
            return None
        batch: list[P] = []
        for place in range(self.next_place, len(self.order)):
            item = self.order[place]
            if item.has_ended:
                continue
            if not item.is_ready_to_apply or len(batch) == room:
                break
            batch.append(item)
        if not batch or (batch[0] is self.held and self.chain):
            return None
        self.held = None
        self.applying = (batch, self.tip)
        return self.applying

    def arrived(self, items: Sequence[P], onto: Tip) -> bool:
        """Accept the answer about the last batch; return False for any other answer, which is ignored."""
        if self.applying is None or self.applying[1] != onto or list(self.applying[0]) != list(items):
            return False
        self.applying = None
        return onto == self.tip

    def append(self, item: P, tip: Tip, method: str, repairs: Sequence[Mapping[str, Any]] = ()) -> Car[P]:
        """Append a patch that was applied to the tip."""
        car = Car(item=item, onto=self.tip, tip=tip, method=method, repairs=repairs)
        self.chain.append(car)
        self._next = self.order.index(item, self._next) + 1
        return car

    def refuse(self, item: P) -> bool:
        """Hold an item that does not apply to the tip; return True when that is final: the tip is proven."""
        if self.chain:
            self.held = item
            return False
        return True

    def keep(self) -> None:
        """Keep the front, whose gates passed."""
        self.kept.append(self.chain.pop(0))

    def settle(self) -> Car[P]:
        """Settle the first car, kept or not, and return it."""
        car = (self.kept or self.chain).pop(0)
        self.settled = car.tip
        return car

    def fail_head(self) -> tuple[Car[P], list[Car[P]]]:
        """Remove the failed front and everything behind it, which will be applied anew; return both.

        The front's item keeps its place until it ends: its tool may produce another patch.
        """
        front, *behind = self.chain
        self.chain.clear()
        self.applying = None
        self.held = None
        self._next = self.order.index(front.item)
        return front, behind

    def remove(self, item: P) -> list[Car[P]]:
        """Remove an item wherever it is; return its car and those built on it, which will be applied anew."""
        if self.applying is not None and item in self.applying[0]:
            self.applying = None
        if self.held is item:
            self.held = None
        cars, kept = [*self.kept, *self.chain], len(self.kept)
        place = next((at for at, car in enumerate(cars) if car.item is item), None)
        if place is None:
            return []
        stay = cars[:place]
        self.kept, self.chain = stay[:kept], stay[kept:]
        self.applying = None
        self._next = self.order.index(item)
        return cars[place:]

    def keeps(self, item: P) -> bool:
        """Return whether an item is proven and kept."""
        return any(car.item is item for car in self.kept)

    def is_bare(self, base: Tip) -> bool:
        """Return whether nothing is applied, or being applied, to the commit that it begins on."""
        return self.settled == base and not (self.kept or self.chain or self.applying)

    def car_of(self, commit: str) -> Car[P] | None:
        """Return the car of a commit that is not proven; None when there is none any more."""
        return next((car for car in self.chain if car.tip.commit == commit), None)
