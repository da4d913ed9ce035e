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

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count

from maingate.commits import Candidate, LandingIntent, Tip
from maingate.ids import WorkstreamId, new_ids
from maingate.orchestrator.core.approvals import Approvals
from maingate.orchestrator.core.effects import (
    BuildChain,
    CarMember,
    ChainLink,
    JudgeChain,
    LandCar,
    LookAtTarget,
    SealCar,
    StopJudging,
)
from maingate.orchestrator.core.events import (
    CancelRequested,
    CarSealed,
    ChainBuilt,
    ChainJudged,
    FoundLanding,
    LandingFailed,
    LandingObstructed,
    LinkRefused,
    OverrideRequested,
    QueueAnswered,
    QueueOrdersRead,
    QueueRead,
    TargetLanded,
    TargetLetGo,
    TargetMoved,
    TargetSeen,
    TargetTaken,
    WorkstreamBroken,
)
from maingate.orchestrator.core.patch_lanes import Lanes
from maingate.orchestrator.core.queue.board import LandingBoard, Member
from maingate.orchestrator.core.queue.built_chains import BuiltChains, path_of
from maingate.orchestrator.core.queue.chain_answers import ChainAnswers
from maingate.orchestrator.core.queue.company import Company
from maingate.orchestrator.core.queue.doubts import Doubts
from maingate.orchestrator.core.queue.flake_record import FlakeRecord
from maingate.orchestrator.core.queue.gate_order import GateOrder
from maingate.orchestrator.core.queue.hand_over import HandOver
from maingate.orchestrator.core.queue.passengers import Passengers
from maingate.orchestrator.core.queue.queue_view import QueueFacts, QueueSight, QueueView
from maingate.orchestrator.core.queue_items import Passenger, QueueAnswer, Taking
from maingate.orchestrator.core.snapshot import WorkstreamNode
from maingate.orchestrator.core.turn import Turn, stated
from maingate.orchestrator.train.chains import CandidateChain, ChainRun
from maingate.orchestrator.train.facts import TrainFacts, TrainState
from maingate.orchestrator.train.planner import plan_train
from maingate.orchestrator.train.record import TrainRecord
from maingate.orchestrator.train.values import Purpose, TrainItem, TrainPlan, TrainPolicy, WantedRun
from maingate.plan.choices import LandingStyle
from maingate.reasons import FAULTS, Reason, ReasonCode
from maingate.state.queue_item import QueueItemState
from maingate.state.steps import patches as patch_steps
from maingate.state.steps import workstreams as workstream_steps
from maingate.state.workstream import WorkstreamState
from maingate.verdicts.blame import GateAnswer, Opinion
from maingate.wording import listed

LANDING_ATTEMPTS = 20
"""Moves of the target by others in a row, each just before a car would land, before its first one fails."""

_URGENT = 0.5
"""Chance of being needed from which a run of gates goes before other work."""

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
        chains: The chains that they end.
        head: The target's head at the time.
    """

    chains: Sequence[CandidateChain]
    head: Tip


class LandingQueue:
    """Lands workstreams.

    Args:
        turn: The current turn.
        approvals: The patches that wait for a person.
        lanes: The way of patches onto their workstream's ref.
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
        *,
        apply: Callable[[Request], None],
        workers: int,
        policy: TrainPolicy,
        record: TrainRecord,
        holds_target: bool = True,
    ) -> None:
        self._turn, self._lanes, self._apply = turn, lanes, apply
        self._workers, self._policy, self._past = workers, policy, record
        self._gates = {ws.gates for ws in turn.run.order}
        self._seconds = {each: record.seconds_of(each) for each in self._gates}
        self._board = LandingBoard(turn.run, approvals)
        self._facts, self._chains = TrainFacts(), BuiltChains()
        self._flakes = FlakeRecord(record)
        self._answers = ChainAnswers(turn.run.plan, GateOrder(turn.run.plan, record), self._flakes)
        self._doubts, self._company = Doubts(self._flakes), Company()
        self._sight = QueueSight(record=record, workers=workers, node=self._member, id_of=_id_of)
        self._seals_before_gates = any(gate.needs_commit for gate in turn.run.plan.gates.values())
        self._hand_over = HandOver(turn, self._board)
        self._passengers = Passengers()
        self.holds_target = holds_target
        self._head: Tip | None = None
        self._is_looking = self._looks_again = False
        self._looked_for: set[WorkstreamId] = set()
        self._found: dict[WorkstreamId, FoundLanding] = {}
        self._build: Build | None = None
        self._running: dict[str, WantedRun] = {}
        self._car: LandingCar | None = None
        self._held: dict[WorkstreamId, WorkstreamId] = {}
        self._conflicts: dict[str, set[str]] = {}
        self._untried: dict[WorkstreamId, Member] = {}
        self._refusals: dict[str, Reason] = {}
        self._is_narrow = False
        self._blamed, self._landed, self._foreign_moves = 0, 0, 0
        self._deferred: dict[WorkstreamId, list[Request]] = {}
        self._numbers = count(1)
        self._orders = QueueOrdersRead()
        self._is_due = True

    # -- questions -------------------------------------------------------------------------------------------

    def may_have_landed(self, entity: str) -> bool:
        """Return whether the target may have moved, unrecorded, to a workstream, or to one of the run."""
        if entity == self._turn.run.id:
            return any(ws.is_in_doubt for ws in self._turn.run.order)
        workstream = self._turn.workstreams.get(WorkstreamId(entity))
        return workstream is not None and workstream.is_in_doubt

    @property
    def wants_target(self) -> bool:
        """Return whether this process has something to land and does not hold the target."""
        has_more = bool(self._board.on_board) or self._hand_over.is_under_way
        return not self.holds_target and not self._turn.is_over and not self._turn.drain.is_on and has_more

    @property
    def may_let_go(self) -> bool:
        """Return whether this process holds the target and has nothing to land on it."""
        is_at_rest = self._car is None and self._build is None and not self._running
        return self.holds_target and is_at_rest and not self._is_looking and not self._board.on_board

    @property
    def is_landing(self) -> bool:
        """Return whether a car is under way."""
        return self._car is not None

    @property
    def has_passengers(self) -> bool:
        """Return whether workstreams of other runs are on board."""
        return bool(self._passengers.aboard)

    @property
    def blocker(self) -> WorkstreamNode | None:
        """The workstream that holds up all behind it in the queue; None without one."""
        blocker = self._board.blocker
        return None if blocker is None or blocker.has_ended else blocker

    def ahead_of(self, workstream: WorkstreamNode) -> WorkstreamNode | None:
        """Return the workstream that must leave before one that is done can land; None without one."""
        obstacle = self._held.get(workstream.id)
        if obstacle in self._turn.workstreams:
            return self._turn.workstreams[obstacle]
        is_behind = self.blocker is not None and workstream not in self._board.on_board
        return self.blocker if is_behind else None

    @property
    def kept_by_drain(self) -> frozenset[str] | None:
        """The workstreams that a drain still lands, where its order does not say so yet; None elsewhere."""
        return self._board.kept

    def view(self, now: datetime) -> QueueView:
        """Return what people and programs are shown of the queue at a moment."""
        facts = QueueFacts(
            board=self._board,
            root=self._facts.root,
            running=self._running,
            held=self._held,
            conflicts=self._conflicts,
            leave=self._orders.leave,
            landing=[member.id for member in self._car.members] if self._car is not None else (),
            item=_item,
            risk=self._past.risk(refused=self._blamed, landed=self._landed),
            flake_rate=self._flake_rate,
        )
        return self._sight.look(facts, now)

    # -- requests --------------------------------------------------------------------------------------------

    def defer(self, workstream: WorkstreamNode, request: Request) -> None:
        """Keep a request about a workstream until it is known whether it has landed."""
        self._deferred.setdefault(workstream.id, []).append(request)
        if workstream.is_offered:
            self._hand_over.recall(workstream)

    def board(self, workstream: WorkstreamNode) -> None:
        """Add a workstream to those on board, because its tasks are done.

        One that was refused, and whose patches have all passed by themselves, is refused with what is ahead.
        """
        if workstream.id in self._found:
            self._book_found(workstream)
            return
        reason = self._refusals.pop(_item(workstream), None) if workstream.lane is not None else None
        if reason is not None and not self._doubts.are_open(_item(workstream)):
            self._fail(workstream, reason, blames=True)
            return
        self._board.put(workstream, self._turn.now)
        self.changed()

    def ordered(self, event: QueueOrdersRead) -> None:
        """Follow what people have ordered about the queue; tests and landings under way are not stopped."""
        self._orders = event
        self._board.order(event)
        self.changed()

    def changed(self) -> None:
        """Note that the next steps may be others."""
        self._is_due = True

    def release(self, workstream: WorkstreamNode) -> None:
        """Release the target from a workstream that ends without landing."""
        if self._is_in_car(workstream):
            self._car = None
        if workstream.lane is not None:
            self._facts.left(_item(workstream))
            self._answers.forget_last(_item(workstream))
        self._leave(workstream)

    def ended(self, workstream: WorkstreamNode) -> None:
        """Apply what was requested about a workstream that has ended meanwhile."""
        for request in self._deferred.pop(workstream.id, ()):
            self._apply(request)

    # -- the next steps --------------------------------------------------------------------------------------

    def step(self) -> bool:
        """Take the next steps; return whether workstreams ended, whose consequences are to be drawn."""
        is_finishing = self._turn.is_over
        if (is_finishing and not self.has_passengers) or not (self._is_due or self._board.is_outdated):
            return False
        self._is_due = False
        on_board = self._board.look()
        if self._turn.drain.is_on or self._is_looking:
            return False
        if empty := [
            ws for ws in on_board if isinstance(ws, WorkstreamNode) and not ws.has_something_to_land
        ]:
            for workstream in empty:
                self._complete(workstream, None)
            return True
        if not self.holds_target:
            self._wait_for_others(on_board)
        elif is_finishing:
            self._finish_for_others(on_board)
        elif not self._orders.leave.may_test:
            return False
        elif self._head is None:
            self._look(on_board)
        elif on_board or self._car is not None:
            return self._go_on(on_board) or self._turn.has_follow_ups
        else:
            self._rest()
        return False

    def _go_on(self, on_board: Sequence[Member]) -> bool:
        """Take the steps of the train; return whether a workstream was refused."""
        self._try_again()
        members = self._to_plan(on_board)
        while True:
            plan = self._plan(members)
            if self._has_open_question(plan, members):
                self._facts.root.forget_runs()
                continue
            if self._refuse(plan, members):
                return True
            if not self._follow(plan):
                return False

    def _to_plan(self, on_board: Sequence[Member]) -> Sequence[Member]:
        """Return those on board that the planner is told of: not those that are to be merged alone first."""
        return [ws for ws in on_board if ws.id not in self._untried and ws.id not in self._found]

    def _look(self, on_board: Sequence[Member]) -> None:
        """Read the target, if there is anything to land or to be found."""
        meant = self._meant()
        if on_board or meant:
            self._look_for(meant)

    def _look_for(self, meant: Sequence[Member]) -> None:
        self._is_looking, self._looked_for = True, {workstream.id for workstream in meant}
        inputs = tuple(workstream.landing_input() for workstream in meant)
        self._turn.speculate(LookAtTarget(meant=inputs, is_held=self.holds_target))

    def _meant(self) -> Sequence[Member]:
        """Return the workstreams that were to land: of this run, and of others those in doubt."""
        own = [ws for ws in self._turn.run.order if ws.intents and not ws.has_ended]
        return [*(ws for ws in own if ws.id not in self._found), *self._passengers.in_doubt()]

    def _wait_for_others(self, on_board: Sequence[Member]) -> None:
        """Hand over what is on board; first find out what an earlier process of this run has landed."""
        meant = [ws for ws in self._turn.run.order if ws.open_intent is not None and not ws.has_ended]
        if unsure := [ws for ws in meant if not ws.is_offered and ws.id not in self._found]:
            self._look_for(unsure)
            return
        own = [ws for ws in on_board if isinstance(ws, WorkstreamNode) and ws.id not in self._found]
        self._hand_over.offer(own)

    def _finish_for_others(self, on_board: Sequence[Member]) -> None:
        """Land and refuse what is proven of other runs after the end of this one; begin nothing new."""
        if self._head is not None and on_board:
            while self._go_on(on_board):
                on_board = self._board.look()
        if self._car is None and self._build is None and not self._running and not self._is_looking:
            for passenger in tuple(self._passengers.aboard.values()):
                self._put_off(passenger)

    def _rest(self) -> None:
        """Stop what runs: there is nothing to land. The target may move before there is again."""
        self._stop(tuple(self._running))
        self._head = None

    def _plan(self, on_board: Sequence[Member]) -> TrainPlan:
        risk = self._past.risk(refused=self._blamed, landed=self._landed)
        items = [self._item(ws, risk) for ws in (on_board[:1] if self._is_narrow else on_board)]
        state = TrainState(
            facts=self._facts,
            items=items,
            running=self._running,
            workers=1 if self._is_narrow else self._workers,
            policy=self._policy_now(on_board),
        )
        plan = plan_train(state)
        self._held = {_id_of(one): _id_of(other) for one, other in plan.hold.items()}
        self._stop(plan.cancel)
        self._running |= plan.keep
        return plan

    def _policy_now(self, members: Sequence[Member]) -> TrainPolicy:
        """Return the policy with the flakes that were seen, where failures are confirmed at all."""
        policy = replace(self._policy, scouts=self._policy.scouts and not self._is_narrow)
        if not policy.confirms or not members:
            return policy
        suspect = self._suspect(members)
        again = self._doubts.confirmations(suspect, members[0], self._answers.failed_on(suspect))
        return replace(policy, flake_rate=self._flake_rate, asked_again=again)

    @property
    def _flake_rate(self) -> float:
        """The probability that gates fail on a tree that is right, on record or seen in this run."""
        return max(self._flakes.rate if self._policy.confirms else 0.0, self._policy.flake_rate)

    def _seconds_of(self, gates: tuple[str, ...]) -> float:
        if gates not in self._seconds:
            self._seconds[gates] = self._past.seconds_of(gates)
        return self._seconds[gates]

    def _item(self, workstream: Member, risk: float) -> TrainItem:
        return TrainItem(
            id=_item(workstream),
            risk=risk if workstream.gates else 0.0,
            seconds=self._seconds_of(workstream.gates),
            conflicts=frozenset(self._conflicts.get(_item(workstream), ())),
        )

    def _suspect(self, members: Sequence[Member]) -> CandidateChain:
        """Return the target's head with the first workstream on it, the only one that may be refused."""
        return self._facts.root.then(_item(members[0]))

    def _has_open_question(self, plan: TrainPlan, members: Sequence[Member]) -> bool:
        """Return whether the target's own answers, which are about to decide, are those of other gates."""
        if plan.blame is None and plan.pause is None:
            return False
        suspect = self._suspect(members)
        if plan.pause is not None:
            return self._answers.blames(suspect)
        since = suspect.first_failure if self._policy.confirms else float("-inf")
        return self._answers.is_base_open(suspect, since=since)

    def _refuse(self, plan: TrainPlan, members: Sequence[Member]) -> bool:
        """Fail the workstream that is to blame, or the first one while no workstream can be proven."""
        if plan.blame is None and plan.pause is None:
            return False
        workstream = members[0]
        suspect = self._suspect(members)
        base = self._head.commit if self._head is not None else ""
        judgement = self._answers.judgement(suspect, label=_label([workstream.name]), base=base)
        reason = stated(judgement.reason, workstream.name)
        blames = judgement.opinion is Opinion.FAILED
        is_sound_alone = self._company.is_sound_alone(suspect.item)
        if blames and (workstream.defers_gates or is_sound_alone or self._doubts.has_come_back(suspect.item)):
            reason = self._company.explained(reason, suspect.item)
        self._attach(workstream, suspect)
        self._fail(workstream, reason, blames=blames, suspect=suspect if blames else None)
        return True

    def _attach(self, workstream: Member, suspect: CandidateChain) -> None:
        """Record what gates said of a workstream that is refused, and of the target without it."""
        candidate = self._chains.known(suspect)
        if candidate is None:
            return
        evidence = self._turn.decision.evidence
        evidence += self._answers.evidence(suspect, candidate.tip.tree, [workstream.id])
        if suspect.before is not None:
            evidence += self._answers.evidence(suspect.before, candidate.onto.tree, [workstream.id])

    def _follow(self, plan: TrainPlan) -> bool:
        """Start what a plan wants; return whether the plan is another now, because facts were added."""
        if plan.land and self._car is None and self._orders.leave.may_land:
            self._prepare(plan.land)
        if self._board.is_filling or self._turn.is_over:
            return False
        passed = [self._start(wanted) for wanted in plan.start]
        return any(passed)

    # -- runs of gates ---------------------------------------------------------------------------------------

    def _start(self, wanted: WantedRun) -> bool:
        """Start a run, or the building of its chain; return whether it passed at once, without gates."""
        path = path_of(wanted.chain)
        built = self._built(path)
        if built is None or self._head is None:
            return False
        members = self._members(path)
        gates = self._answers.to_ask(wanted, members)
        run_id = f"run_{next(self._numbers)}"
        if not gates:
            self._facts.record(wanted, ChainRun(id=run_id, passed=True, started=0.0, ended=float("inf")))
            return True
        self._running[run_id] = wanted
        self._sight.begin(run_id, gates, self._turn.now)
        self._turn.speculate(
            JudgeChain(
                run=run_id,
                workstreams=tuple(member.id for member in members),
                asked_for=(members or self._board.on_board)[-1 if members else 0].id,
                label=_label([member.name for member in members]),
                gates=gates,
                tip=built[-1].tip if built else self._head,
                is_asked_again=wanted.purpose in {Purpose.CONFIRM, Purpose.BASE},
                is_urgent=wanted.chance >= _URGENT,
            )
        )
        return False

    def _stop(self, run_ids: Sequence[str]) -> None:
        """Cancel runs that are not needed any more, unless another one is on the same commit."""
        stopped = [self._running.pop(run_id).chain for run_id in run_ids if run_id in self._running]
        kept = {run.chain for run in self._running.values()}
        for chain in stopped:
            candidate = self._chains.known(chain)
            if chain not in kept and candidate is not None:
                self._turn.request(StopJudging(commit=candidate.tip.commit))

    def judged(self, event: ChainJudged) -> None:
        """Record what gates said of a chain; one that could not be asked says nothing."""
        wanted = self._running.pop(event.run, None)
        if wanted is None:
            return
        self._sight.end(event.run, seconds=event.ended - event.started)
        self.changed()
        fault = event.unanswered()
        if fault is None:
            self._record(wanted, event)
        elif fault.code is not ReasonCode.CANCELLED:
            self._not_judged(wanted.chain, fault)

    def _record(self, wanted: WantedRun, event: ChainJudged) -> None:
        """Record the answers of the gates of those workstreams that a chain puts on the target."""
        chain, asked = wanted.chain, self._asked_of(wanted.chain)
        is_base = wanted.purpose is Purpose.BASE
        answers = [each for each in event.answers if each.gate in asked or is_base]
        if not answers:
            return
        are_refuted = self._answers.add(chain, answers, ended=event.ended)
        has_passed = self._answers.all_passed(chain, asked)
        if not (is_base or has_passed):
            if are_refuted:
                chain.forget_runs()
            if not self._answers.failed_on(chain):
                return  # gates that were given up because of another's failure are to be asked still
        passed = self._is_sound(chain, answers) if is_base else has_passed
        run = ChainRun(id=event.run, passed=passed, started=event.started, ended=event.ended)
        if passed and not is_base:
            self._answers.vouch(chain)
        self._facts.record(wanted, run)
        if not is_base:
            self._company.record(chain.items(), passed=passed)

    def _is_sound(self, base: CandidateChain, answers: Sequence[GateAnswer]) -> bool:
        """Return whether a base passed what matters: the target, those gates that its suspect fails."""
        members = self._to_plan(self._board.on_board)
        if base is self._facts.root and members:
            doubted = self._answers.doubted(self._suspect(members))
            return all(answer.passed for answer in answers if answer.gate in doubted)
        return all(answer.passed for answer in answers)

    def _asked_of(self, chain: CandidateChain) -> Collection[str]:
        return {gate for member in self._members(path_of(chain)) for gate in member.gates}

    def _not_judged(self, chain: CandidateChain, fault: Reason) -> None:
        """Fail the one workstream that gates could not be run on; of several, try the first alone."""
        path = path_of(chain)
        members = self._members(path) if path else list(self._board.on_board[:1])
        if len(members) != 1:
            self._is_narrow = True
        elif not members[0].has_ended:
            self._fail(members[0], fault, blames=False)

    # -- conflicts -------------------------------------------------------------------------------------------

    def _try_again(self) -> None:
        """Merge a workstream onto the target alone that conflicted with one which has landed.

        It most likely conflicts with the target, and chains behind it would be built and tested for nothing.
        """
        workstream = next(iter(self._untried.values()), None)
        if workstream is None or self._build is not None or self._head is None:
            return
        chain = self._facts.root.then(_item(workstream))
        self._start_build([chain], [], self._head)

    # -- chains ----------------------------------------------------------------------------------------------

    def _members(self, path: Sequence[CandidateChain]) -> list[Member]:
        return [self._member(_id_of(chain.item)) for chain in path]

    def _member(self, workstream_id: WorkstreamId) -> Member:
        return self._turn.workstreams.get(workstream_id) or self._passengers.known[workstream_id]

    def _built(self, path: Sequence[CandidateChain]) -> list[Candidate] | None:
        """Return the candidates of a chain; None while some are being built."""
        if self._head is None:
            return None
        built = self._chains.built(path, self._head)
        if len(built) == len(path):
            return built
        if self._build is None:
            self._start_build(path, built, self._head)
        return None

    def _start_build(self, path: Sequence[CandidateChain], built: Sequence[Candidate], head: Tip) -> None:
        members = self._members(path)
        before = [(member.id, candidate.tip) for member, candidate in zip(members, built, strict=False)]
        missing = path[len(built) :]
        links = [
            ChainLink(
                input=member.landing_input(),
                style=self._style_of(member),
                is_sealed=self._is_sealed_before(member),
                made=self._chains.known(chain),
            )
            for member, chain in zip(members[len(built) :], missing, strict=True)
        ]
        self._build = Build(chains=missing, head=head)
        self._turn.speculate(
            BuildChain(
                onto=before[-1][1] if before else head,
                links=tuple(links),
                before=((None, head), *before),
            )
        )

    def _style_of(self, workstream: Member) -> LandingStyle:
        return workstream.style if isinstance(workstream, Passenger) else self._turn.run.plan.landing

    def _is_sealed_before(self, workstream: Member) -> bool:
        """Return whether its commit is sealed before it is judged: gates look at it, or none judges it."""
        return self._seals_before_gates or not workstream.gates

    def built(self, event: ChainBuilt) -> None:
        """Keep candidates; hold or fail a workstream that could not be merged."""
        build, self._build = self._build, None
        if build is None:
            return
        self.changed()
        for chain, candidate in zip(build.chains, event.candidates, strict=False):
            self._chains.put(chain, candidate)
        if build.head != self._head:
            return
        for member in self._members(build.chains):
            self._untried.pop(member.id, None)
        if event.refused is not None and self._are_as_built(build.chains):
            self._not_built(event.refused)

    def _not_built(self, refused: LinkRefused) -> None:
        """Fail a workstream that cannot be merged onto the target; hold one that conflicts with another."""
        workstream = self._member(refused.workstream)
        if workstream.has_ended:
            return
        is_fault = refused.reason.code in FAULTS
        if refused.behind is None or is_fault:
            reason = stated(refused.reason, workstream.name)
            if (
                is_fault
                or isinstance(workstream, Passenger)
                or not self._lanes.refuse_only(workstream, reason)
            ):
                self._fail(workstream, reason, blames=not is_fault)
        else:
            behind = self._member(refused.behind)
            self._conflicts.setdefault(_item(workstream), set()).add(_item(behind))

    # -- landing ---------------------------------------------------------------------------------------------

    def _prepare(self, positions: Sequence[CandidateChain]) -> None:
        """Build the commits that are to land, where they are not; then seal them and record the intents.

        Args:
            positions: The next positions of the target; the first that passed vouches for those before it.
        """
        chain = positions[0]
        path = path_of(chain)
        candidates = self._built(path)
        if candidates is None:
            return
        members = self._members(path)
        self._car = LandingCar(
            id=f"car_{next(self._numbers)}", chain=chain, members=members, candidates=candidates
        )
        self._attach_proof(next(each for each in positions if each.has_passed), members)
        if all(self._is_sealed_before(member) for member in members):
            self._intend(self._car)
            return
        self._turn.request(  # once the evidence is on record, which the seal is to cover
            SealCar(
                car=self._car.id,
                workstreams=tuple(member.id for member in members),
                candidates=tuple(
                    (candidate, self._is_sealed_before(member))
                    for member, candidate in zip(members, candidates, strict=True)
                ),
            )
        )

    def _attach_proof(self, proven: CandidateChain, members: Sequence[Member]) -> None:
        """Record what gates said of a chain that proves all before it, for workstreams that are to land."""
        candidate = self._chains.known(proven)
        if candidate is not None:
            proof = self._answers.evidence(
                proven,
                candidate.tip.tree,
                [member.id for member in members],
                is_shared=len(path_of(proven)) > 1,
            )
            self._turn.decision.evidence += proof

    def sealed(self, event: CarSealed) -> None:
        """Record the intents to land a car, and land it once that is recorded."""
        car = self._car_of(event.car)
        if car is None or car.intents:
            return
        if self._orders.leave.may_land and self._are_as_built(path_of(car.chain)):
            car.candidates = event.candidates
            self._intend(car)
        else:
            self._car = None
            self.changed()

    def _are_as_built(self, path: Sequence[CandidateChain]) -> bool:
        """Return whether workstreams have the patches still that they were built with."""
        members = zip(path, self._members(path), strict=True)
        return all(not member.has_ended and _item(member) == chain.item for chain, member in members)

    def _intend(self, car: LandingCar) -> None:
        ids = new_ids("intent", len(car.members))
        car.intents = [
            LandingIntent(
                id=intent_id,
                run=member.run,
                workstream=member.id,
                old=candidate.onto.commit,
                new=candidate.tip.commit,
                commits=candidate.commits,
            )
            for intent_id, member, candidate in zip(ids, car.members, car.candidates, strict=True)
        ]
        for member, intent in zip(car.members, car.intents, strict=True):
            self._abandon_intent(member)
            if isinstance(member, WorkstreamNode):
                self._lanes.settle_all(member)
            else:
                self._turn.decision.queue.append(Taking(workstream=member.id))
            member.intents.append(intent)
            member.open_intent = intent.id
        self._turn.decision.intents += car.intents
        self._turn.request(LandCar(car=car.id, members=tuple(self._car_members(car))))

    def _car_members(self, car: LandingCar) -> Sequence[CarMember]:
        parts = zip(car.members, car.candidates, car.intents, strict=True)
        return [
            CarMember(workstream=member.id, name=member.name, candidate=candidate, intent=intent.id)
            for member, candidate, intent in parts
        ]

    def landed(self, event: TargetLanded) -> None:
        """Complete the workstreams of a car that the target moved to."""
        car = self._car_of(event.car)
        if car is None:
            return
        self._car, self._head = None, car.candidates[-1].tip
        self._turn.run.tip = self._head
        self._note_untried(car)
        names = [member.name for member in car.members]
        self._company.land(zip(car.chain.items(), names, strict=True))
        for member, candidate, intent in zip(car.members, car.candidates, car.intents, strict=True):
            self._book(member, intent, candidate.tip)
        self._facts.landed(car.chain)
        self._chains.forget_others(car.chain)
        self._answers.forget_others(car.chain)
        self._landed += len(car.members)
        self._is_narrow = False
        if len(self._gates) > 1:
            self._forget_answers_not_asked(car.chain)

    def _note_untried(self, car: LandingCar) -> None:
        """Note the workstreams that could not be merged onto one that has landed now."""
        landed = {_item(member) for member in car.members}
        for item, others in self._conflicts.items():
            if landed & others:
                self._untried[_id_of(item)] = self._member(_id_of(item))

    def _forget_answers_not_asked(self, root: CandidateChain) -> None:
        """Forget what gates said of chains that only workstreams on the target had asked them for."""
        root.forget_runs()
        for chain in self._answers.chains():
            self._answers.keep(chain, self._asked_of(chain))
            if chain.has_failed and not self._answers.failed_on(chain):
                chain.forget_runs()

    def moved(self, event: TargetMoved) -> None:
        """Read the target again, because others have moved it; fail a workstream after too many times."""
        car = self._take_car(event.car)
        if car is None:
            return
        self._head = None
        self._foreign_moves += 1
        left = self._left_of(car)
        if left and self._foreign_moves >= LANDING_ATTEMPTS:
            self._foreign_moves = 0
            reason = Reason(
                code=ReasonCode.CONFLICT,
                message=f"someone else moved {self._turn.run.target} {LANDING_ATTEMPTS} times while "
                f"{left[0].name} was being landed; run it again when the branch is quieter",
            )
            self._fail(left[0], reason, blames=False)

    def obstructed_by(self, event: LandingObstructed) -> None:
        """Drain the run, because a checkout of the target cannot follow."""
        car = self._take_car(event.car)
        if car is not None and (left := self._left_of(car)):
            self._turn.drain.obstruct(left[0].id, left[0].name, event.obstacle)

    def failed(self, event: LandingFailed) -> None:
        """Fail a workstream that the target cannot move to, without blame; of several, try one alone."""
        car = self._take_car(event.car)
        if car is None:
            return
        for member in car.members:
            if self._apply_deferred_requests(member):
                continue
            self._abandon_intent(member)
            if len(car.members) == 1:
                self._fail(member, event.reason, blames=False)
        self._is_narrow = len(car.members) > 1

    def seen(self, event: TargetSeen) -> None:
        """Complete what the target holds already, and begin from its head."""
        if not self._is_looking:
            return
        self._is_looking = False
        self.changed()
        for found in sorted(event.found, key=lambda each: each.intent):  # in the order of their commits
            self._find(found)
        if self._looks_again:
            self._looks_again = False
            return
        if self.holds_target:
            self._begin_from(event.head)
        for member in [self._member(each) for each in sorted(self._looked_for - self._found.keys())]:
            if member.open_intent is not None and not self._apply_deferred_requests(member):
                self._abandon_intent(member)
            if isinstance(member, Passenger):
                self._passengers.drop_if_not_aboard(member)

    def _begin_from(self, head: Tip) -> None:
        self._head = head
        if head.commit != self._turn.run.tip.commit:
            self._company.forget()
        self._facts.root = CandidateChain()

    def _find(self, found: FoundLanding) -> None:
        """Book what the target holds; of a workstream whose patches are not applied yet, once they are."""
        workstream = self._member(found.workstream)
        intent = next((each for each in workstream.intents if each.id == found.intent), None)
        if intent is None or workstream.has_ended:
            return
        if isinstance(workstream, WorkstreamNode):
            self._turn.run.tip = found.tip
            if workstream.state is not WorkstreamState.VALIDATING:
                self._found[workstream.id] = found
                self._book_found(workstream)
                return
        self._book(workstream, intent, found.tip)

    def _book_found(self, workstream: WorkstreamNode) -> None:
        """Record that the target holds a workstream, as far as its tasks have come."""
        if workstream.state is WorkstreamState.VALIDATING:
            found = self._found.pop(workstream.id)
            intent = next(each for each in workstream.intents if each.id == found.intent)
            self._book(workstream, intent, found.tip)
        elif workstream.is_applied:
            self._lanes.settle_all(workstream)

    # -- several runs ----------------------------------------------------------------------------------------

    def taken(self, event: TargetTaken) -> None:
        """Land from now on; find out first what a process that is gone was about to land."""
        self.holds_target, self._head = True, None
        self._looks_again = self._is_looking
        for item in event.landing:
            own = self._turn.workstreams.get(item.id)
            if own is None:
                self._passengers.meet(Passenger(item))
            elif not own.has_ended:
                own.intents, own.open_intent = list(item.input.intents), item.input.open_intent
        for workstream in self._hand_over.end():
            if workstream.open_intent is None:
                self._apply_deferred_requests(workstream)
        self.changed()

    def let_go(self, _: TargetLetGo) -> None:
        """Hand over from now on what comes on board."""
        self.holds_target, self._head = False, None
        self.changed()

    def queue_read(self, event: QueueRead) -> None:
        """Take workstreams of other runs on board, and put those off that have left or are wanted back."""
        if not self.holds_target:
            return
        waiting = self._passengers.unanswered(event.waiting)
        for passenger in tuple(self._passengers.aboard.values()):
            is_there = waiting.get(passenger.id) == passenger.item
            if is_there or self._is_being_landed(passenger):
                waiting.pop(passenger.id, None)
            else:
                self._put_off(passenger)
        for wanted in event.wanted_back:
            known = self._passengers.known.get(wanted)
            if known is None or not self._is_being_landed(known):
                self._answer(QueueAnswer(workstream=wanted, state=QueueItemState.RETURNED))
        if self._turn.is_over or self._turn.drain.is_on:
            return
        for item in waiting.values():
            passenger = Passenger(item)
            self._passengers.board(passenger)
            self._board.join(passenger)
            self._gates.add(passenger.gates)
            self.changed()

    def answered(self, event: QueueAnswered) -> None:
        """Draw the consequences of what the process said that holds the target."""
        answer = event.answer
        workstream = self._turn.workstreams[answer.workstream]
        if not workstream.is_offered or self.holds_target:
            return
        self._hand_over.over(workstream)
        self.changed()
        workstream.intents = list(event.intents) or workstream.intents
        if answer.state is QueueItemState.LANDED and workstream.intents:
            workstream.open_intent = workstream.intents[-1].id  # the branch itself is asked
        elif self._apply_deferred_requests(workstream):
            return
        elif answer.state is QueueItemState.REFUSED and self._is_done(workstream):
            self._fail(workstream, stated(answer.reason, workstream.name), blames=answer.is_blamed)

    def _is_done(self, workstream: WorkstreamNode) -> bool:
        """Return whether it could land now; after a kill, its patches may have to be applied again first."""
        return workstream.state is WorkstreamState.VALIDATING or workstream.is_applied

    def _answer(self, answer: QueueAnswer) -> None:
        self._turn.decision.queue.append(answer)

    def _put_off(self, passenger: Passenger) -> None:
        """Remove a workstream of another run from the board; it waits for the next holder of the target."""
        self._facts.left(_item(passenger))
        self._answers.forget_last(_item(passenger))
        self._passengers.part(passenger)
        self._leave(passenger)

    def _is_being_landed(self, passenger: Passenger) -> bool:
        return passenger.open_intent is not None or self._is_in_car(passenger)

    def _is_in_car(self, workstream: Member) -> bool:
        return self._car is not None and any(member is workstream for member in self._car.members)

    # -- steps -----------------------------------------------------------------------------------------------

    def _car_of(self, car_id: str) -> LandingCar | None:
        return self._car if self._car is not None and self._car.id == car_id else None

    def _take_car(self, car_id: str) -> LandingCar | None:
        """Return the car, which is not under way any more; None for an answer about another one."""
        car = self._car_of(car_id)
        if car is not None:
            self._car = None
            self.changed()
        return car

    def _left_of(self, car: LandingCar) -> Sequence[Member]:
        """Apply what was requested about the members of a car that has not landed; return those left."""
        for member in car.members:
            self._apply_deferred_requests(member)
        return [member for member in car.members if not member.has_ended]

    def _apply_deferred_requests(self, workstream: Member) -> bool:
        """Apply cancels and overrides deferred while a landing was in doubt. Return whether they ended it."""
        deferred = self._deferred.pop(workstream.id, [])
        if deferred:
            self._abandon_intent(workstream)
        for request in deferred:
            self._apply(request)
        return workstream.has_ended

    def _abandon_intent(self, workstream: Member) -> None:
        if workstream.open_intent is None:
            return
        self._turn.decision.intents_abandoned.append(workstream.open_intent)
        workstream.open_intent = None
        if isinstance(workstream, Passenger):
            self._answer(QueueAnswer(workstream=workstream.id, state=QueueItemState.WAITING))

    def _book(self, workstream: Member, intent: LandingIntent, tip: Tip) -> None:
        """Record that a workstream is on the target; of another run, its own process is told."""
        if isinstance(workstream, Passenger):
            self._answer(QueueAnswer(workstream=workstream.id, state=QueueItemState.LANDED))
            self._passengers.part(workstream, is_answered=True)
            self._leave(workstream)
            return
        if workstream.open_intent == intent.id:
            self._turn.decision.intents_landed.append(intent.id)
            workstream.open_intent = None
        self._abandon_intent(workstream)
        for task in workstream.landed_patches():
            patch = task.require_patch()
            patch.commit = intent.commits[patch.id]
            self._turn.move_patch(task, patch_steps.commit(patch.head, commit=patch.commit))
        self._turn.decision.target = tip.commit
        workstream.landed_by = intent.id
        self._complete(workstream, tip)

    def _complete(self, workstream: WorkstreamNode, landed: Tip | None) -> None:
        workstream.landed = landed
        self._leave(workstream)
        step = workstream_steps.complete(workstream.head, landed_commit=landed.commit if landed else None)
        self._turn.move_workstream(workstream, step)
        self._turn.follow_up(workstream)

    def _fail(
        self,
        workstream: Member,
        reason: Reason,
        *,
        blames: bool,
        suspect: CandidateChain | None = None,
    ) -> None:
        """Fail a workstream whose merged result cannot land, and end its patches.

        Where its gates were deferred, each of its patches is judged by itself first, so that one that is to
        blame is named; if all pass, the workstream is refused when it comes on board again (`board`).
        One that is in a car is proven, and may be on the target already: nothing else that is found out fails
        it. It is asked again if the car comes back.
        """
        if self._is_in_car(workstream):
            return
        if isinstance(workstream, Passenger):
            self._abandon_intent(workstream)
            state = QueueItemState.REFUSED
            self._answer(QueueAnswer(workstream=workstream.id, state=state, reason=reason, is_blamed=blames))
            self._blamed += blames
            self._put_off(workstream)
            self._passengers.part(workstream, is_answered=True)
            return
        if workstream.defers_gates:
            self._refusals |= {_item(workstream): reason} if blames else {}
            self._untried.pop(workstream.id, None)
            self._lanes.judge_each(workstream, failures=self._failures_wanted(workstream, suspect))
            self.changed()
            return
        self._abandon_intent(workstream)
        self.release(workstream)
        self._blamed += blames
        for task in workstream.landed_patches():
            if blames:
                self._turn.quarantine(task, reason, "gates_failed")
            else:
                self._turn.drop(task, reason)
        step = workstream_steps.fail(workstream.head, reason, trigger="validation_failed")
        self._turn.move_workstream(workstream, step, reason)
        self._turn.follow_up(workstream)

    def _failures_wanted(self, workstream: Member, suspect: CandidateChain | None) -> int | None:
        """Return how often each patch of a refused workstream must fail, as far as gates refused it."""
        if suspect is None or not self._policy.confirms:
            return None
        return self._doubts.refuse(suspect, workstream, self._answers.failed_on(suspect))

    def _leave(self, workstream: Member) -> None:
        """Forget a workstream that leaves the queue, as far as others are concerned by it."""
        self._foreign_moves = 0
        self._untried.pop(workstream.id, None)
        if isinstance(workstream, Passenger) or workstream.lane is not None:
            item = _item(workstream)
            self._doubts.forget(item)
            self._conflicts.pop(item, None)
            for others in self._conflicts.values():
                others.discard(item)
        self._is_narrow = False
        self.changed()


def _item(workstream: Member) -> str:
    """Return the identifier of what a workstream would land as: it is another when its patches are others."""
    return f"{workstream.id}@{workstream.tip_to_land().commit}"


def _id_of(item: str) -> WorkstreamId:
    return WorkstreamId(item.partition("@")[0])


def _label(names: Sequence[str]) -> str:
    """Return the name of a merged result for people; of the target itself, without workstreams."""
    if not names:
        return "the target"
    return f"the merged result of {listed(names, _NAMES)}"
