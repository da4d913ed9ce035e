"""The state of the queue of a target, which its parts share, and the values that it is made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from maingate.commits import Candidate, LandingIntent, Tip
from maingate.ids import WorkstreamId
from maingate.orchestrator.core.approvals import Approvals
from maingate.orchestrator.core.events import (
    CancelRequested,
    FoundLanding,
    OverrideRequested,
    QueueOrdersRead,
    WorkstreamBroken,
)
from maingate.orchestrator.core.lane_renewal import LaneRenewal
from maingate.orchestrator.core.patch_lanes import Lanes
from maingate.orchestrator.core.queue.board import LandingBoard, Member
from maingate.orchestrator.core.queue.built_chains import BuiltChains
from maingate.orchestrator.core.queue.chain_answers import ChainAnswers
from maingate.orchestrator.core.queue.company import Company
from maingate.orchestrator.core.queue.doubts import Doubts
from maingate.orchestrator.core.queue.flake_record import FlakeRecord
from maingate.orchestrator.core.queue.gate_order import GateOrder
from maingate.orchestrator.core.queue.hand_over import HandOver
from maingate.orchestrator.core.queue.passengers import Passengers
from maingate.orchestrator.core.queue.queue_view import QueueSight
from maingate.orchestrator.core.queue_items import Passenger, QueueAnswer
from maingate.orchestrator.core.turn import Turn
from maingate.orchestrator.train.chains import CandidateChain
from maingate.orchestrator.train.facts import TrainFacts
from maingate.orchestrator.train.record import TrainRecord
from maingate.orchestrator.train.values import TrainPolicy, WantedRun
from maingate.plan.choices import LandingStyle
from maingate.wording import listed

if TYPE_CHECKING:
    from maingate.reasons import Reason

_NAMES = 3
"""Workstreams that a merged result of several is named by."""


Request = CancelRequested | OverrideRequested | WorkstreamBroken
"""A request to end or change a workstream, which may have to wait for its landing."""


@dataclass(kw_only=True)
class LandingCar:
    """Workstreams that land by one move of the target.

    Args:
        id: Identifier.
        chain: The chain that they make.
        members: The workstreams, in order.
        candidates: The candidate of each, on that of the one before it.
        intents: The intents on record; empty until they are.
    """

    id: str
    chain: CandidateChain
    members: Sequence[Member]
    candidates: Sequence[Candidate]
    intents: Sequence[LandingIntent] = ()


@dataclass(frozen=True, kw_only=True)
class Build:
    """Candidates that are being built.

    Args:
        id: Identifier.
        chains: The chains that they end.
        head: The target's head at the time.
    """

    id: str
    chains: Sequence[CandidateChain]
    head: Tip


class QueueState:
    """The state of the queue.

    Args:
        turn: The current turn.
        approvals: The patches that wait for a person.
        lanes: The way of patches onto their workstream's ref.
        renewal: Lays lanes anew.
        apply: Applies a deferred request.
        workers: How many runs of gates may be under way at once.
        policy: The promises and costs of the train.
        record: The past that the train expects to go on.
        holds_target: Whether this process holds the target from the beginning.
    """

    def __init__(
        self,
        turn: Turn,
        approvals: Approvals,
        lanes: Lanes,
        renewal: LaneRenewal,
        *,
        apply: Callable[[Request], None],
        workers: int,
        policy: TrainPolicy,
        record: TrainRecord,
        holds_target: bool = True,
    ) -> None:
        self.turn, self.lanes, self.renewal, self.apply = turn, lanes, renewal, apply
        self.workers, self.policy, self.past = workers, policy, record
        self.gates = {ws.gates for ws in turn.run.order}
        self.seconds = {each: record.seconds_of(each) for each in self.gates}
        self.board = LandingBoard(turn.run, approvals)
        self.facts, self.chains = TrainFacts(), BuiltChains()
        self.flakes = FlakeRecord(record)
        self.answers = ChainAnswers(turn.run.plan, GateOrder(turn.run.plan, record), self.flakes)
        self.doubts, self.company = Doubts(self.flakes), Company()
        self.sight = QueueSight(record=record, workers=workers, node=self.member, id_of=id_of)
        self.seals_before_gates = any(gate.needs_commit for gate in turn.run.plan.gates.values())
        self.hand_over = HandOver(turn, self.board)
        self.passengers = Passengers()
        self.holds_target = holds_target
        self.head: Tip | None = None
        self.look: str | None = None
        self.looked_for: set[WorkstreamId] = set()
        self.found: dict[WorkstreamId, FoundLanding] = {}
        self.build: Build | None = None
        self.running: dict[str, WantedRun] = {}
        self.car: LandingCar | None = None
        self.held: dict[WorkstreamId, WorkstreamId] = {}
        self.conflicts: dict[str, set[str]] = {}
        self.repeats: set[str] = set()
        self.untried: dict[WorkstreamId, Member] = {}
        self.refusals: dict[str, tuple[Reason, bool]] = {}
        self.is_narrow = False
        self.blamed_count, self.landed_count, self.foreign_moves = 0, 0, 0
        self.deferred: dict[WorkstreamId, list[Request]] = {}
        self.numbers = count(1)
        self.orders = QueueOrdersRead()
        self.is_due = True

    @property
    def is_looking(self) -> bool:
        """Return whether the target is being read."""
        return self.look is not None

    @property
    def is_at_rest(self) -> bool:
        """Return whether nothing is being read, built, tested or landed."""
        return self.car is None and self.build is None and not self.running and not self.is_looking

    def changed(self) -> None:
        """Note that the next steps may be others."""
        self.is_due = True

    def to_plan(self, on_board: Sequence[Member]) -> Sequence[Member]:
        """Return those on board that the planner is told of: not those that are to be merged alone first."""
        return [ws for ws in on_board if ws.id not in self.untried and ws.id not in self.found]

    def seconds_of(self, gates: tuple[str, ...]) -> float:
        """Return the time that some gates are expected to take, in seconds."""
        if gates not in self.seconds:
            self.seconds[gates] = self.past.seconds_of(gates)
        return self.seconds[gates]

    def suspect(self, members: Sequence[Member]) -> CandidateChain:
        """Return the target's head with the first workstream on it, the only one that may be refused."""
        return self.facts.root.then(item_of(members[0]))

    def members(self, path: Sequence[CandidateChain]) -> list[Member]:
        """Return the workstreams of a path."""
        return [self.member(id_of(chain.item)) for chain in path]

    def member(self, workstream_id: WorkstreamId) -> Member:
        """Return a workstream, of this run or of another."""
        return self.turn.workstreams.get(workstream_id) or self.passengers.known[workstream_id]

    def style_of(self, workstream: Member) -> LandingStyle:
        """Return how a workstream lands."""
        return workstream.style if isinstance(workstream, Passenger) else self.turn.run.plan.landing

    def is_sealed_before(self, workstream: Member) -> bool:
        """Return whether its commit is sealed before it is judged: gates look at it, or none judges it."""
        return self.seals_before_gates or not workstream.gates

    def answer(self, answer: QueueAnswer) -> None:
        """Record an answer to another run's process."""
        self.turn.decision.queue.append(answer)

    def is_being_landed(self, passenger: Passenger) -> bool:
        """Return whether a passenger may be on the target at any moment."""
        return passenger.open_intent is not None or self.is_in_car(passenger)

    def is_in_car(self, workstream: Member) -> bool:
        """Return whether a workstream is in the car that is under way."""
        return self.car is not None and any(member is workstream for member in self.car.members)


def item_of(workstream: Member) -> str:
    """Return the identifier of what a workstream would land as: it is another when its patches are others."""
    return f"{workstream.id}@{workstream.tip_to_land().commit}"


def id_of(item: str) -> WorkstreamId:
    """Return the workstream of an item."""
    return WorkstreamId(item.partition("@")[0])


def label_of(names: Sequence[str]) -> str:
    """Return the name of a merged result for people; of the target itself, without workstreams."""
    if not names:
        return "the target"
    return f"the merged result of {listed(names, _NAMES)}"
