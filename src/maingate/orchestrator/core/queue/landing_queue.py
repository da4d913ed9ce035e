"""The queue of the target: workstreams are built and tested together, land in order, and are blamed rightly.

The planner of the train decides what is tested, what lands and which workstream is to blame
(`maingate.orchestrator.train`); this module keeps what the planner is told, and carries its steps out.
Several workstreams land by one move of the target: a *car*. Each has an intent of its own, from the commit of
the one before it to its own, so the history of the target tells of each whether it has landed.

While an intent is open, the target may have moved already without a record of it. Requests about such a
workstream are deferred until it is known whether it has landed.

Several runs on a target have a process each. The one that holds the target lands the workstreams of all that
it can (`maingate.orchestrator.core.queue_items`); in any other, this module hands over what is on board
(`maingate.orchestrator.core.queue.hand_over`) and waits for the answers.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from maingate.ids import TaskId, WorkstreamId
from maingate.orchestrator.core.approvals import Approvals
from maingate.orchestrator.core.events import (
    CarSealed,
    ChainBuilt,
    ChainJudged,
    LandingFailed,
    LandingObstructed,
    QueueAnswered,
    QueueOrdersRead,
    QueueRead,
    TargetLanded,
    TargetLetGo,
    TargetMoved,
    TargetSeen,
    TargetTaken,
)
from maingate.orchestrator.core.lane_renewal import LaneRenewal
from maingate.orchestrator.core.patch_lanes import Lanes
from maingate.orchestrator.core.queue.board import Member
from maingate.orchestrator.core.queue.cars import Cars
from maingate.orchestrator.core.queue.chain_builder import ChainBuilder
from maingate.orchestrator.core.queue.chain_tests import ChainTests
from maingate.orchestrator.core.queue.departures import Departures
from maingate.orchestrator.core.queue.other_runs import OtherRuns
from maingate.orchestrator.core.queue.queue_state import QueueState, Request, id_of, item_of, label_of
from maingate.orchestrator.core.queue.queue_view import QueueFacts, QueueView
from maingate.orchestrator.core.queue.target_sightings import TargetSightings
from maingate.orchestrator.core.snapshot import WorkstreamNode
from maingate.orchestrator.core.turn import Turn, stated
from maingate.orchestrator.train.chains import CandidateChain
from maingate.orchestrator.train.facts import TrainState
from maingate.orchestrator.train.planner import plan_train
from maingate.orchestrator.train.record import TrainRecord
from maingate.orchestrator.train.search import doubted_since
from maingate.orchestrator.train.values import TrainItem, TrainPlan, TrainPolicy
from maingate.verdicts.blame import Opinion


class LandingQueue:
    """Lands workstreams.

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
        self._turn = turn
        self._queue = queue = QueueState(
            turn,
            approvals,
            lanes,
            renewal,
            apply=apply,
            workers=workers,
            policy=policy,
            record=record,
            holds_target=holds_target,
        )
        self._departures = Departures(queue)
        self._builder = ChainBuilder(queue, self._departures)
        self._tests = ChainTests(queue, self._builder, self._departures)
        self._cars = Cars(queue, self._builder, self._tests, self._departures)
        self._sightings = TargetSightings(queue, self._departures)
        self._others = OtherRuns(queue, self._departures, self._sightings)

    def handlers(self) -> Mapping[type, Callable[[Any], None]]:
        """Return the part that hears each event about the queue."""
        return {
            TargetSeen: self._sightings.seen,
            ChainBuilt: self._builder.built,
            ChainJudged: self._tests.judged,
            CarSealed: self._cars.sealed,
            TargetLanded: self._cars.landed,
            TargetMoved: self._cars.moved,
            LandingObstructed: self._cars.obstructed_by,
            LandingFailed: self._cars.failed,
            TargetTaken: self._others.taken,
            TargetLetGo: self._others.let_go,
            QueueRead: self._others.queue_read,
            QueueAnswered: self._others.answered,
            QueueOrdersRead: self.ordered,
        }

    def defer(self, workstream: WorkstreamNode, request: Request) -> None:
        """Keep a request about a workstream until it is known whether it has landed."""
        self._departures.defer(workstream, request)

    def release(self, workstream: WorkstreamNode) -> None:
        """Release the target from a workstream that ends without landing."""
        self._departures.release(workstream)

    def ended(self, workstream: WorkstreamNode) -> None:
        """Apply what was requested about a workstream that has ended meanwhile."""
        self._departures.ended(workstream)

    def taken(self, event: TargetTaken) -> None:
        """Land from now on; find out first what a process that is gone was about to land."""
        self._others.taken(event)

    def changed(self) -> None:
        """Note that the next steps may be others."""
        self._queue.changed()

    @property
    def holds_target(self) -> bool:
        """Return whether this process is the one that lands."""
        return self._queue.holds_target

    def may_have_landed(self, entity: str) -> bool:
        """Return whether a task, a workstream or some of the run may be on the target, unrecorded."""
        if entity == self._turn.run.id:
            return any(ws.is_in_doubt for ws in self._turn.run.order)
        node = self._turn.tasks.get(TaskId(entity)) or self._turn.workstreams.get(WorkstreamId(entity))
        return node is not None and node.is_in_doubt

    @property
    def wants_target(self) -> bool:
        """Return whether this process has something to land and does not hold the target."""
        has_more = bool(self._queue.board.on_board) or self._queue.hand_over.is_under_way
        return (
            not self._queue.holds_target
            and not self._turn.is_over
            and not self._turn.drain.is_on
            and has_more
        )

    @property
    def may_let_go(self) -> bool:
        """Return whether this process holds the target and has nothing to land on it."""
        return self._queue.holds_target and self._queue.is_at_rest and not self._queue.board.on_board

    @property
    def is_landing(self) -> bool:
        """Return whether a car is under way."""
        return self._queue.car is not None

    @property
    def has_passengers(self) -> bool:
        """Return whether workstreams of other runs are on board."""
        return bool(self._queue.passengers.aboard)

    @property
    def commits_of_others(self) -> Collection[str]:
        """The merged results that gates run on for other runs, after this run's own end."""
        if not self.has_passengers:
            return frozenset()
        chains = (self._queue.chains.known(run.chain) for run in self._queue.running.values())
        return {built.tip.commit for built in chains if built is not None}

    @property
    def blocker(self) -> WorkstreamNode | None:
        """The workstream that holds up all behind it in the queue; None without one."""
        blocker = self._queue.board.blocker
        return None if blocker is None or blocker.has_ended else blocker

    def ahead_of(self, workstream: WorkstreamNode) -> WorkstreamNode | None:
        """Return the workstream that must leave before one that is done can land; None without one."""
        obstacle = self._queue.held.get(workstream.id)
        if obstacle in self._turn.workstreams:
            return self._turn.workstreams[obstacle]
        is_behind = self.blocker is not None and workstream not in self._queue.board.on_board
        return self.blocker if is_behind else None

    @property
    def kept_by_drain(self) -> frozenset[str] | None:
        """The workstreams that a drain still lands, where its order does not say so yet; None elsewhere."""
        return self._queue.board.kept

    def view(self, now: datetime) -> QueueView:
        """Return what people and programs are shown of the queue at a moment."""
        facts = QueueFacts(
            board=self._queue.board,
            root=self._queue.facts.root,
            running=self._queue.running,
            held=self._queue.held,
            conflicts=self._queue.conflicts,
            repeats=self._queue.repeats,
            leave=self._queue.orders.leave,
            landing=[member.id for member in self._queue.car.members] if self._queue.car is not None else (),
            item=item_of,
            risk=self._queue.past.risk(refused=self._queue.blamed_count, landed=self._queue.landed_count),
            flake_rate=self._flake_rate,
        )
        return self._queue.sight.look(facts, now)

    def board(self, workstream: WorkstreamNode) -> None:
        """Add a workstream to those on board, because its tasks are done.

        One that was refused, and whose patches have all passed by themselves, is refused with what is ahead.
        """
        if workstream.id in self._queue.found:
            self._sightings.book_found(workstream)
            return
        refusal = self._queue.refusals.pop(item_of(workstream), None) if workstream.lane is not None else None
        if refusal is not None and not self._queue.doubts.are_open(item_of(workstream)):
            reason, blames = refusal
            self._departures.fail(workstream, reason, blames=blames)
            return
        self._queue.board.put(workstream, self._turn.now)
        self._queue.changed()

    def ordered(self, event: QueueOrdersRead) -> None:
        """Follow what people have ordered about the queue; tests and landings under way are not stopped."""
        self._queue.orders = event
        self._queue.board.order(event)
        self._queue.changed()

    def step(self) -> bool:
        """Take the next steps; return whether workstreams ended, whose consequences are to be drawn."""
        is_finishing = self._turn.is_over
        if (is_finishing and not self.has_passengers) or not (
            self._queue.is_due or self._queue.board.is_outdated
        ):
            return False
        self._queue.is_due = False
        on_board = self._queue.board.look()
        if self._turn.drain.is_on or self._queue.is_looking:
            return False
        if empty := [
            ws for ws in on_board if isinstance(ws, WorkstreamNode) and not ws.has_something_to_land
        ]:
            for workstream in empty:
                self._departures.complete(workstream, None)
            return True
        if not self._queue.holds_target:
            self._others.wait_for_others(on_board)
        elif is_finishing:
            self._finish_for_others(on_board)
        elif not self._queue.orders.leave.may_test:
            return False
        elif self._queue.head is None:
            self._sightings.look(on_board)
        elif on_board or self._queue.car is not None:
            return self._go_on(on_board) or self._turn.has_follow_ups
        else:
            self._rest()
        return False

    def _go_on(self, on_board: Sequence[Member]) -> bool:
        """Take the steps of the train; return whether a workstream was refused."""
        self._builder.try_again()
        members = self._queue.to_plan(on_board)
        while True:
            plan = self._plan(members)
            if self._has_open_question(plan, members):
                self._queue.facts.root.forget_runs()
                continue
            if self._refuse(plan, members):
                return True
            if not self._follow(plan):
                return False

    def _finish_for_others(self, on_board: Sequence[Member]) -> None:
        """Land and refuse what is proven of other runs after the end of this one; begin nothing new."""
        if self._queue.head is not None and on_board:
            while self._go_on(on_board):
                on_board = self._queue.board.look()
        if self._queue.is_at_rest:
            for passenger in tuple(self._queue.passengers.aboard.values()):
                self._departures.put_off(passenger)

    def _rest(self) -> None:
        """Stop what runs: there is nothing to land. The target may move before there is again."""
        self._tests.stop(tuple(self._queue.running))
        self._queue.head = None

    def _plan(self, on_board: Sequence[Member]) -> TrainPlan:
        risk = self._queue.past.risk(refused=self._queue.blamed_count, landed=self._queue.landed_count)
        items = [self._train_item(ws, risk) for ws in (on_board[:1] if self._queue.is_narrow else on_board)]
        state = TrainState(
            facts=self._queue.facts,
            items=items,
            running=self._queue.running,
            workers=1 if self._queue.is_narrow else self._queue.workers,
            policy=self._policy_now(on_board),
        )
        plan = plan_train(state)
        self._queue.held = {id_of(one): id_of(other) for one, other in plan.hold.items()}
        self._tests.stop(plan.cancel)
        self._queue.running |= plan.keep
        return plan

    def _policy_now(self, members: Sequence[Member]) -> TrainPolicy:
        """Return the policy with the flakes that were seen, where failures are confirmed at all."""
        policy = replace(self._queue.policy, scouts=self._queue.policy.scouts and not self._queue.is_narrow)
        if not policy.confirms or not members:
            return policy
        suspect = self._queue.suspect(members)
        again = self._queue.doubts.confirmations(suspect, members[0], self._queue.answers.failed_on(suspect))
        return replace(policy, flake_rate=self._flake_rate, asked_again=again)

    @property
    def _flake_rate(self) -> float:
        """The probability that gates fail on a tree that is right, on record or seen in this run."""
        return max(
            self._queue.flakes.rate if self._queue.policy.confirms else 0.0, self._queue.policy.flake_rate
        )

    def _train_item(self, workstream: Member, risk: float) -> TrainItem:
        return TrainItem(
            id=item_of(workstream),
            risk=risk if workstream.gates else 0.0,
            seconds=self._queue.seconds_of(workstream.gates),
            conflicts=frozenset(self._queue.conflicts.get(item_of(workstream), ())),
            failing_since=self._queue.doubts.failing_since(item_of(workstream)),
        )

    def _has_open_question(self, plan: TrainPlan, members: Sequence[Member]) -> bool:
        """Return whether the target's own answers, which are about to decide, are those of other gates."""
        if plan.blame is None and plan.pause is None:
            return False
        suspect = self._queue.suspect(members)
        if plan.pause is not None:
            return self._queue.answers.blames(suspect)
        since = doubted_since(suspect, self._train_item(members[0], risk=0.0), self._queue.policy)
        return self._queue.answers.is_base_open(suspect, since=since)

    def _refuse(self, plan: TrainPlan, members: Sequence[Member]) -> bool:
        """Fail the workstream that is to blame, or the first one while no workstream can be proven."""
        if plan.blame is None and plan.pause is None:
            return False
        workstream = members[0]
        suspect = self._queue.suspect(members)
        base = self._queue.head.commit if self._queue.head is not None else ""
        judgement = self._queue.answers.judgement(suspect, label=label_of([workstream.name]), base=base)
        reason = stated(judgement.reason, workstream.name)
        blames = judgement.opinion is Opinion.FAILED
        is_sound_alone = self._queue.company.is_sound_alone(suspect.item)
        if blames and (
            workstream.defers_gates or is_sound_alone or self._queue.doubts.has_come_back(suspect.item)
        ):
            reason = self._queue.company.explained(reason, suspect.item)
        self._attach(workstream, suspect)
        self._departures.fail(workstream, reason, blames=blames, suspect=suspect if blames else None)
        return True

    def _attach(self, workstream: Member, suspect: CandidateChain) -> None:
        """Record what gates said of a workstream that is refused, and of the target without it."""
        candidate = self._queue.chains.known(suspect)
        if candidate is None:
            return
        evidence = self._turn.decision.evidence
        evidence += self._queue.answers.evidence(suspect, candidate.tip.tree, [workstream.id])
        if suspect.before is not None:
            evidence += self._queue.answers.evidence(suspect.before, candidate.onto.tree, [workstream.id])

    def _follow(self, plan: TrainPlan) -> bool:
        """Start what a plan wants; return whether the plan is another now, because facts were added."""
        if plan.land and self._queue.car is None and self._queue.orders.leave.may_land:
            self._cars.prepare(plan.land)
        if self._queue.board.is_filling or self._turn.is_over:
            return False
        passed = [self._tests.start(wanted) for wanted in plan.start]
        return any(passed)
