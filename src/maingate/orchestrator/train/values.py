"""Values that go into the planner of the train and come out of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from maingate.orchestrator.train.chains import CandidateChain
from maingate.plan.choices import Proof

FALSE_BLAME: Final = 0.001
"""The most likely that a failure which was only a flake may be believed."""

MOST_CONFIRMATIONS: Final = 5

SPECULATION: Final[Mapping[str, float]] = {"fast": 0.01, "balanced": 0.05, "frugal": 0.2}
"""Names of thresholds: no run is started whose chance of being needed is below."""


class Purpose(Enum):
    """The reason for a run of the gates."""

    SEARCH = "search"
    CONFIRM = "confirm"
    """The chain has failed: a pass would show that it was a flake."""

    BASE = "base"
    """The chain that the suspect was put on: it may have begun to fail by itself."""

    SCOUT = "scout"
    """Some items alone on the target's head, to find out where culprits are."""


class TrainPause(Enum):
    """The reason why a train starts nothing and blames no item until its base changes."""

    BASE_RED = "base_red"
    ENVIRONMENT_CHANGED = "environment_changed"
    """The base passed once, and fails now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainItem:
    """A workstream in the queue of a target, or a patch in the lane of a workstream.

    Args:
        id: Identifier, unique in the queue.
        risk: Probability that it fails.
        seconds: Expected time of its gates.
        needs: Items that it cannot be without; it falls with them.
        conflicts: Items that it cannot be merged with.
        may_land: False while its own gates still run.
        failing_since: When the first of the failures began for which it was refused before, if it was.
    """

    id: str
    risk: float
    seconds: float = 1.0
    needs: frozenset[str] = frozenset()
    conflicts: frozenset[str] = frozenset()
    may_land: bool = True
    failing_since: float = math.inf


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainPolicy:
    """The promises and costs of a train.

    Args:
        proof: The positions that must have passed.
        theta: Least probability of being needed with which a run is started.
        flake_rate: Probability that the gates fail on a tree that is right, as recorded.
        confirms: Whether failures are confirmed and bases asked again before an item is blamed.
        scouts: Whether items may be tested without those before them; not where each builds on the others.
        asked_again: Confirmations of the next failure, where more is known than a flake rate.
    """

    proof: Proof = Proof.REF
    theta: float = SPECULATION["balanced"]
    flake_rate: float = 0.0
    confirms: bool = True
    scouts: bool = True
    asked_again: int | None = None

    @property
    def confirmations(self) -> int:
        """Runs, after a failure, that must fail too before it is believed."""
        if not self.confirms:
            return 0
        return confirmations(self.flake_rate) if self.asked_again is None else self.asked_again


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedRun:
    """A run of the gates that is worth a worker.

    Args:
        chain: The chain to test.
        without: Items that it leaves out because it assumes that they will be refused.
        chance: Probability that its verdict will be needed; for a scout, that of a chain worth as much.
        scouted: The items that a scout tests.
    """

    chain: CandidateChain
    without: frozenset[str]
    chance: float
    purpose: Purpose = Purpose.SEARCH
    scouted: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainPlan:
    """The next steps of a train; all follow from its state alone.

    Args:
        land: The chains that the target is to move to, in this order.
        blame: The item to refuse: it failed, confirmed, and the target without it passes.
        hold: Items that wait until another one ahead has left, by their ids, with that one's id.
        start: Runs to start.
        keep: Runs under way that are still worth it, by identifier.
        cancel: Identifiers of the runs to cancel.
        pause: The reason why nothing is started.
    """

    land: tuple[CandidateChain, ...] = ()
    blame: str | None = None
    hold: Mapping[str, str] = field(default_factory=dict)
    start: tuple[WantedRun, ...] = ()
    keep: Mapping[str, WantedRun] = field(default_factory=dict)
    cancel: tuple[str, ...] = ()
    pause: TrainPause | None = None


def confirmations(flake_rate: float) -> int:
    """Return how many runs, after a failure, must fail too before the failure is believed.

    All of them fail on a tree that is right with a probability of at most ``FALSE_BLAME``, or there are
    ``MOST_CONFIRMATIONS`` of them.
    """
    if flake_rate <= FALSE_BLAME:
        return 1
    if flake_rate >= 1:
        return MOST_CONFIRMATIONS
    return min(math.ceil(math.log(FALSE_BLAME) / math.log(flake_rate)), MOST_CONFIRMATIONS)
