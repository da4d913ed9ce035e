"""A workstream's lane: the ordered way of its patches onto its ref, as pure values.

Patches are applied in the plan's order, each on the result of the one before it. A patch may be applied and
its gates started *ahead* of the verdict on those before it; what is ahead is a guess and leaves no trace in
the ledger. Only the front of the chain is fact: once its gates passed it is settled and the next car becomes
the front. When the front fails, everything behind it was built on something that will not be, and is built
again from what is settled.

    settled ── front ── car ── car            chain: applied, verdicts awaited
                                  └─ applying  the next ones are being applied, onto the last car

A refusal to apply is final only on what is settled: onto a guess it merely waits until the guess is decided.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

from maingate.orchestrator.core.commits import Tip
from maingate.reasons import Reason


class Passenger(Protocol):
    """What rides in a lane: a task whose patch may or may not be ready to be applied."""

    @property
    def is_boarding(self) -> bool:
        """Tell whether its patch was taken in and waits to be applied."""
        ...

    @property
    def has_left(self) -> bool:
        """Tell whether it ended and takes no place in the lane any more."""
        ...


P = TypeVar("P", bound=Passenger)


class Opinion(Enum):
    """What gates came to about a tree."""

    PASSED = "passed"
    FAILED = "failed"
    UNDECIDED = "undecided"
    """Nobody's patch is to blame: the base is red, or a gate could not be run."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The gates' opinion, the names of those asked, and the reason where it is not ``PASSED``."""

    opinion: Opinion
    gates: tuple[str, ...] = ()
    reason: Reason | None = None


@dataclass(kw_only=True)
class Car(Generic[P]):
    """A patch applied on what was ahead of it.

    Args:
        passenger: Whose patch it is.
        onto: What it was applied on.
        tip: What came out of it.
        method: How it applied: ``exact``, ``offset`` or ``three_way``.
        repairs: All that was done to it.
        judgement: What the gates came to; None while they run.
    """

    passenger: P
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
        settled: The newest state whose gates passed.
    """

    order: Sequence[P]
    settled: Tip
    chain: list[Car[P]] = field(default_factory=list)
    applying: tuple[Sequence[P], Tip] | None = None
    held: P | None = None
    _next: int = 0

    @property
    def tip(self) -> Tip:
        """What the next patch is applied on."""
        return self.chain[-1].tip if self.chain else self.settled

    @property
    def boarding_place(self) -> int:
        """The place of the next patch to be applied; those that ended have none any more."""
        while self._next < len(self.order) and self.order[self._next].has_left:
            self._next += 1
        return self._next

    @property
    def front(self) -> Car[P] | None:
        """The car whose verdict decides next."""
        return self.chain[0] if self.chain else None

    def board(self, *, window: int) -> tuple[Sequence[P], Tip] | None:
        """Choose the next patches to apply and what to apply the first on, or None while nothing can be.

        While cars wait, boarding waits until half the window is free: several patches applied in one go
        cost little more than one.

        Args:
            window: How many cars there may be.
        """
        room = window - len(self.chain)
        if self.applying is not None or (self.chain and 2 * room < window):
            return None
        boarding: list[P] = []
        for place in range(self.boarding_place, len(self.order)):
            passenger = self.order[place]
            if passenger.has_left:
                continue
            if not passenger.is_boarding or len(boarding) == room:
                break
            boarding.append(passenger)
        if not boarding or (boarding[0] is self.held and self.chain):
            return None
        self.held = None
        self.applying = (boarding, self.tip)
        return self.applying

    def arrived(self, passengers: Sequence[P], onto: Tip) -> bool:
        """Take an answer to what was asked for last; False for any other, which is to be ignored."""
        if self.applying is None or self.applying[1] != onto or list(self.applying[0]) != list(passengers):
            return False
        self.applying = None
        return onto == self.tip

    def couple(
        self, passenger: P, tip: Tip, method: str, repairs: Sequence[Mapping[str, Any]] = ()
    ) -> Car[P]:
        """Couple a patch that was applied on the tip."""
        car = Car(passenger=passenger, onto=self.tip, tip=tip, method=method, repairs=repairs)
        self.chain.append(car)
        self._next = self.order.index(passenger, self._next) + 1
        return car

    def refuse(self, passenger: P) -> bool:
        """Hear that a patch does not apply on the tip; True when that is final: the tip is settled."""
        if self.chain:
            self.held = passenger
            return False
        return True

    def settle(self) -> Car[P]:
        """Make the front a fact and return it."""
        car = self.chain.pop(0)
        self.settled = car.tip
        return car

    def derail(self) -> tuple[Car[P], list[Car[P]]]:
        """Take the failed front off, and everything behind it, which will be applied anew; return both.

        The front's passenger keeps its place for as long as it has not ended: it may come with another patch.
        """
        front, *behind = self.chain
        self.chain.clear()
        self.applying = None
        self.held = None
        self._next = self.order.index(front.passenger)
        return front, behind

    def remove(self, passenger: P) -> list[Car[P]]:
        """Take a passenger out wherever it is; return the cars built on it, and its own, to be made anew."""
        if self.applying is not None and passenger in self.applying[0]:
            self.applying = None
        if self.held is passenger:
            self.held = None
        place = next((at for at, car in enumerate(self.chain) if car.passenger is passenger), None)
        if place is None:
            return []
        removed = self.chain[place:]
        del self.chain[place:]
        self.applying = None
        self._next = self.order.index(passenger)
        return removed

    def car_of(self, commit: str) -> Car[P] | None:
        """Find the car that a verdict on this commit is about."""
        return next((car for car in self.chain if car.tip.commit == commit), None)
