"""The queue of a target over several runs, each with a core of its own: hand-overs, answers, deaths.

The record between the processes, the branch and the gates are played here. All order is drawn at random:
which core hears what next, when it looks at the record, when the process dies that holds the target.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from maingate.clock import ManualClock
from maingate.commits import Candidate, LandingIntent, Tip
from maingate.ids import WorkstreamId
from maingate.orchestrator.core.core import Core
from maingate.orchestrator.core.core_assembly import RunLimits
from maingate.orchestrator.core.decision import Decision
from maingate.orchestrator.core.effects import Effect, JudgeChain, LandCar, LookAtTarget
from maingate.orchestrator.core.events import (
    CancelRequested,
    ChainJudged,
    CoreEvent,
    FoundLanding,
    OverrideRequested,
    QueueAnswered,
    QueueOrdersRead,
    QueueRead,
    TargetLanded,
    TargetLetGo,
    TargetMoved,
    TargetSeen,
    TargetTaken,
)
from maingate.orchestrator.core.queue_items import QueueAnswer, QueueItem, Recall, Removal, Taking
from maingate.orchestrator.progress import HANDED_OVER
from maingate.orchestrator.run_view import RunView
from maingate.plan.model import Plan
from maingate.reasons import Reason, ReasonCode
from maingate.state.queue_control import QueueLeave
from maingate.state.queue_item import QueueItemState
from maingate.state.task import TaskState
from maingate.state.workstream import WORKSTREAM
from maingate.verdicts.blame import GateAnswer
from orchestrator.core.test_core import BASE, ROOM, picture_of
from orchestrator.core.test_landing_queue import Queue, states
from support.examples import examples

if TYPE_CHECKING:
    from maingate.verdicts.service import VerdictService

STOPPED = Reason(code=ReasonCode.CANCELLED, message="enough")
TURNS = 4000
"""More than any story takes; one that takes more hangs."""


@dataclass
class Row:
    """A row of the record between processes."""

    item: QueueItem
    answer: QueueAnswer
    is_wanted_back: bool = False


@dataclass
class Process:
    """The process of one run; what it has read of the record waits for its core, in order."""

    world: Queue
    core: Core
    waiting: list[Effect] = field(default_factory=list)
    unread: list[CoreEvent] = field(default_factory=list)
    told: set[str] = field(default_factory=set)

    @property
    def has_news_of_taking(self) -> bool:
        """Return whether it has taken the target, and its core has not heard of that."""
        return any(isinstance(event, TargetTaken) for event in self.unread)


@dataclass
class Target:
    """A branch with the processes of several runs on it.

    Args:
        seed: Of all order.
        red_sets: Sets of workstreams with which, all together, the gates fail.
        conflicting: Pairs of which the second cannot be merged onto the first.
    """

    seed: int
    red_sets: Sequence[set[str]] = ()
    conflicting: set[tuple[str, str]] = field(default_factory=set)
    processes: list[Process] = field(default_factory=list)
    head: Tip = BASE
    history: list[str] = field(default_factory=lambda: [BASE.commit])
    rows: dict[WorkstreamId, Row] = field(default_factory=dict)
    intents: dict[WorkstreamId, list[LandingIntent]] = field(default_factory=dict)
    holder: Process | None = None
    positions: list[str] = field(default_factory=list)
    cars: list[tuple[str, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def add(self, names: str, *, is_deferred: bool = True) -> Process:
        """Start the process of a run with workstreams of these names."""
        gate: dict[str, Any] = {"run": "true"} if is_deferred else {"run": "true", "on": ["landing"]}
        plan = Plan.from_json(
            {
                "maingate": 1,
                "name": names,
                "gates": {"unit": gate},
                "workstreams": {name: {"tasks": {"t": {"patch": "x"}}, "critical": False} for name in names},
            }
        )
        world = Queue(plan, {}, seed=0, red_sets=[*self.red_sets], conflicting=self.conflicting)
        holds = self.holder is None
        limits = RunLimits(worker_id="wrk", capacity=ROOM, window=3, gate_runs=3, holds_target=holds)
        process = Process(world, Core(picture_of(plan), limits))
        self.holder = process if holds else self.holder
        self.processes.append(process)
        self.write(process, process.core.begin())
        return process

    def write(self, process: Process, decision: Decision) -> None:
        """Record a decision, as one transaction, and note its effects."""
        process.waiting += process.world.follow(decision)
        for intent in decision.intents:
            self.intents.setdefault(intent.workstream, []).append(intent)
        over = {*decision.intents_landed, *decision.intents_abandoned}
        assert over <= {intent.id for meant in self.intents.values() for intent in meant}, "settled already"
        for workstream, meant in self.intents.items():
            self.intents[workstream] = [intent for intent in meant if intent.id not in over]
        for step in decision.queue:
            match step:
                case QueueItem(id=id):
                    assert process is not self.holder or process.has_news_of_taking
                    self.rows[id] = Row(step, QueueAnswer(workstream=id, state=QueueItemState.WAITING))
                case Recall(workstream=id):
                    self.rows[id].is_wanted_back = True
                case Removal(workstream=id):
                    del self.rows[id]
                case Taking(workstream=id):
                    assert process is self.holder
                    assert self.rows[id].answer.state in {QueueItemState.WAITING, QueueItemState.LANDING}
                    self.rows[id].answer = QueueAnswer(workstream=id, state=QueueItemState.LANDING)
                case QueueAnswer(workstream=id) if id in self.rows:
                    assert process is self.holder
                    self.rows[id].answer = step

    def play(self) -> None:
        """Play until no process has anything to do."""
        for _ in range(TURNS):
            if all(self.is_done(process) for process in self.processes):
                return
            self.turn(self.chance.choice(self.processes))
        raise AssertionError("it does not end")

    def is_done(self, process: Process) -> bool:
        """Return whether a process has come to its end; it lets the target go."""
        done = process.core.is_over and not process.waiting
        if done and self.holder is process:
            self.holder = None
        return done

    def turn(self, process: Process) -> None:
        """Let a process hear of an effect, or look at the record."""
        if self.is_done(process):
            return
        if process.waiting and self.chance.random() < 0.7:
            effect = process.waiting.pop(self.chance.randrange(len(process.waiting)))
            event = self.answer(process, effect)
            if event is not None:
                self.write(process, process.core.handle(event))
            return
        if process.unread:
            self.write(process, process.core.handle(process.unread.pop(0)))
            return
        process.unread = [*self.news(process)]
        if self.holder is process and process.core.may_let_target_go and self.chance.random() < 0.3:
            self.write(process, process.core.handle(TargetLetGo()))
            self.holder = None

    def news(self, process: Process) -> Iterator[CoreEvent]:
        """Return what a look at the record tells a process."""
        others = [row for row in self.rows.values() if not self.is_own(process, row)]
        if self.holder is process:
            waiting = [row for row in others if row.answer.state is QueueItemState.WAITING]
            waiting = [row for row in waiting if not self.is_dead(row)]
            yield QueueRead(
                waiting=tuple(row.item for row in waiting if not row.is_wanted_back),
                wanted_back=tuple(row.item.id for row in waiting if row.is_wanted_back),
            )
            return
        for row in [*self.rows.values()]:
            state = row.answer.state
            is_answered = state not in {QueueItemState.WAITING, QueueItemState.LANDING}
            if self.is_own(process, row) and is_answered and row.item.offer not in process.told:
                process.told.add(row.item.offer)
                meant = tuple(self.intents.get(row.item.id, ()))
                yield QueueAnswered(answer=row.answer, intents=meant)
        if self.holder is None and process.core.wants_target:
            self.holder = process
            yield TargetTaken(landing=tuple(self.in_doubt(process)))

    def in_doubt(self, process: Process) -> Iterator[QueueItem]:
        """Return what a process that is gone was landing, or had landed of this one's own."""
        for row in self.rows.values():
            state, is_own = row.answer.state, self.is_own(process, row)
            if state is QueueItemState.LANDING or (is_own and state is QueueItemState.LANDED):
                meant = tuple(self.intents.get(row.item.id, ()))
                landing = replace(row.item.input, intents=meant, open_intent=meant[-1].id if meant else None)
                yield replace(row.item, input=landing)

    def is_own(self, process: Process, row: Row) -> bool:
        """Return whether a row is of a process's run."""
        return row.item.input.run == process.core.run.id

    def is_dead(self, row: Row) -> bool:
        """Return whether no process is at work on a row's run."""
        return all(not self.is_own(process, row) for process in self.processes)

    def answer(self, process: Process, effect: Effect) -> CoreEvent | None:
        """Carry an effect out."""
        match effect:
            case LookAtTarget(look=look, meant=meant):
                found = [
                    FoundLanding(
                        workstream=each.workstream,
                        intent=intent.id,
                        tip=Tip(commit=intent.new, tree=intent.new),
                    )
                    for each in meant
                    for intent in each.intents
                    if intent.new in self.history
                ]
                return TargetSeen(look=look, head=self.head, found=tuple(found))
            case JudgeChain():
                return self.judge(process, effect)
            case LandCar(members=members):
                return self.land(process, [member.candidate for member in members], effect)
            case _:
                return process.world.answer(process.core, effect)

    def judge(self, process: Process, effect: JudgeChain) -> CoreEvent:
        """Run gates."""
        process.world.seconds += 2
        on_it = set(effect.tip.commit.split("|"))
        passed = not any(bad <= on_it for bad in self.red_sets)
        answers = tuple(GateAnswer(gate=gate, passed=passed, message="no") for gate in effect.gates)
        now = process.world.seconds
        return ChainJudged(run=effect.run, answers=answers, started=now - 1, ended=now)

    def land(self, process: Process, candidates: Sequence[Candidate], effect: LandCar) -> CoreEvent:
        """Move the branch by compare-and-swap."""
        assert process is self.holder
        for member in effect.members:
            assert member.intent in {intent.id for intent in self.intents[member.workstream]}
        if candidates[0].onto.commit != self.head.commit:
            return TargetMoved(car=effect.car)
        self.head = candidates[-1].tip
        self.history += [candidate.tip.commit for candidate in candidates]
        self.positions.append(self.head.commit)
        self.cars.append(tuple(member.name for member in effect.members))
        return TargetLanded(car=effect.car)

    def kill(self, process: Process) -> None:
        """End a process at once; a landing that it had begun may have happened or not."""
        if self.chance.random() < 0.5:
            for effect in process.waiting:
                if isinstance(effect, LandCar):
                    self.land(process, [member.candidate for member in effect.members], effect)
        self.processes.remove(process)
        if self.holder is process:
            self.holder = None

    def restart(self, process: Process) -> None:
        """Give a process the knowledge of one that has read the record anew: which landings are in doubt."""
        for workstream in process.core.run.order:
            meant = self.intents.get(workstream.id, [])
            if workstream.is_offered and meant:
                workstream.intents, workstream.open_intent = [*meant], meant[-1].id

    @property
    def landed(self) -> list[str]:
        """Return the names on the branch, in order."""
        return self.head.commit.split("|")[1:]


def check(target: Target, culprits: set[str]) -> None:
    """All innocent workstreams of living runs are on the branch once, and the others are not."""
    names = {ws.name: ws for process in target.processes for ws in process.core.run.order}
    assert len(target.landed) == len(set(target.landed))
    assert {name for name in target.landed if name in names} == {*names} - culprits
    for process in target.processes:
        for name, what in states(process.core).items():
            assert (what == "landed") == (name not in culprits), (name, what)
        assert all(WORKSTREAM.is_terminal(ws.state) for ws in process.core.run.order)
    for position in target.positions:
        assert not any(bad <= set(position.split("|")) for bad in target.red_sets), position


@settings(max_examples=examples(200), deadline=None)
@given(
    runs=st.lists(st.integers(1, 3), min_size=2, max_size=4),
    culprits=st.sets(st.sampled_from("abcdefghijkl"), max_size=3),
    is_deferred=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_each_run_ends_as_if_it_were_alone(
    runs: list[int], culprits: set[str], is_deferred: bool, seed: int
) -> None:
    """Whichever process lands them, innocents land once and culprits are refused in their own run."""
    target = Target(seed, red_sets=[{name} for name in culprits])
    letters = iter("abcdefghijkl")
    for size in runs:
        target.add("".join(next(letters) for _ in range(size)), is_deferred=is_deferred)
        for _ in range(target.chance.randrange(30)):
            target.turn(target.chance.choice(target.processes))
    target.play()
    check(target, culprits & {ws.name for process in target.processes for ws in process.core.run.order})
    assert target.rows == {}


@settings(max_examples=examples(200), deadline=None)
@given(
    is_deferred=st.booleans(),
    deaths=st.lists(st.integers(0, 120), min_size=1, max_size=2),
    seed=st.integers(0, 2**32),
)
def test_the_others_go_on_when_the_process_dies_that_lands(
    is_deferred: bool, deaths: list[int], seed: int
) -> None:
    """A landing that it had begun is found on the branch, or is made by the next process, never twice."""
    target = Target(seed, red_sets=[{"d"}])
    for names in ("ab", "cd", "ef", "gh"):
        target.add(names, is_deferred=is_deferred)
    for turns in deaths:
        for _ in range(turns):
            target.turn(target.chance.choice(target.processes))
        if target.holder is not None:
            target.kill(target.holder)
        for process in target.processes:
            target.restart(process)
    target.play()
    dead = {*"abcdefgh"} - {ws.name for process in target.processes for ws in process.core.run.order}
    check(target, {"d"} - dead)


@settings(max_examples=examples(200), deadline=None)
@given(turns=st.lists(st.integers(0, 40), min_size=1, max_size=8), seed=st.integers(0, 2**32))
@example(turns=[18, 36, 9, 16, 14], seed=60)
@example(turns=[18, 33, 30, 27, 17], seed=307)
def test_each_run_ends_though_the_branch_is_put_back(turns: list[int], seed: int) -> None:
    """A landing that is answered, and then is not on the branch, is settled once, and made again."""
    target = Target(seed, red_sets=[{"d"}])
    for name in "abcdef":
        target.add(name)
    for until in turns:
        for _ in range(until):
            target.turn(target.chance.choice(target.processes))
        target.head, target.history = BASE, [BASE.commit]
    target.play()
    open_intents = [intent for meant in target.intents.values() for intent in meant]
    assert (target.rows, open_intents) == ({}, [])
    for process in target.processes:
        assert {name: what == "landed" for name, what in states(process.core).items()} == {
            ws.name: ws.name != "d" for ws in process.core.run.order
        }


@settings(max_examples=examples(100), deadline=None)
@given(turns=st.integers(0, 120), seed=st.integers(0, 2**32))
def test_a_run_that_is_cancelled_has_landed_before_or_never(turns: int, seed: int) -> None:
    """A cancel waits until it is known whether what was handed over has landed."""
    target = Target(seed)
    target.add("ab")
    asked = target.add("cd")
    for _ in range(turns):
        target.turn(target.chance.choice(target.processes))
    event = CancelRequested(entity=asked.core.run.id, reason=STOPPED, request="req_1")
    target.write(asked, asked.core.handle(event))
    target.play()
    for name, what in states(asked.core).items():
        assert (what == "landed") == (name in target.landed), (name, what)
    assert {"a", "b"} <= set(target.landed)


@settings(max_examples=examples(100), deadline=None)
@given(turns=st.integers(0, 120), is_override=st.booleans(), seed=st.integers(0, 2**32))
def test_a_task_whose_workstream_is_handed_over_ends_before_that_lands_or_lands_with_it(
    turns: int, is_override: bool, seed: int
) -> None:
    """Its gates are those of the merged result, so it is open until its workstream has landed."""
    target = Target(seed)
    target.add("ab")
    asked = target.add("cd")
    for _ in range(turns):
        target.turn(target.chance.choice(target.processes))
    task = next(iter(asked.core.tasks))
    event: CoreEvent = CancelRequested(entity=task.id, reason=STOPPED, request="req_1")
    if is_override:
        event = OverrideRequested(
            override="force-fail", entity=task.id, message="enough", operator="ada", request="req_1"
        )
    target.write(asked, asked.core.handle(event))
    target.play()
    assert target.rows == {}
    assert {*target.landed} == {*("abcd" if task.state is TaskState.COMPLETED else "abd")}


def test_workstreams_of_several_runs_land_by_one_move() -> None:
    """They are tested together, and nobody waits for the run of another to end."""
    target = Target(1)
    first = target.add("ab")
    for names in ("cd", "ef"):
        target.add(names)
    for process in target.processes[1:]:
        while process.waiting:
            event = target.answer(process, process.waiting.pop(0))
            if event is not None:
                target.write(process, process.core.handle(event))
    [read] = [event for event in target.news(first) if isinstance(event, QueueRead)]
    target.write(first, first.core.handle(read))
    target.play()
    assert {*target.landed} == {*"abcdef"}
    assert max(len(car) for car in target.cars) > 2, target.cars


@pytest.mark.parametrize("seed", range(10))
def test_conflicts_are_those_of_the_order_in_which_they_land(seed: int) -> None:
    """One that conflicts with what another run has landed is refused in its own run, with the reason."""
    target = Target(seed, conflicting={("a", "c"), ("c", "a")})
    target.add("ab")
    target.add("cd")
    target.play()
    assert {"b", "d"} <= set(target.landed)
    assert len({"a", "c"} & set(target.landed)) == 1
    ends = {name: what for process in target.processes for name, what in states(process.core).items()}
    assert sorted([ends["a"], ends["c"]]) == ["conflict", "landed"]


def answer_all(target: Target, process: Process, *, but: Callable[[Effect], bool] = lambda _: False) -> None:
    """Let a process hear of its effects in their order, but for some, until it has no others."""
    while effects := [effect for effect in process.waiting if not but(effect)]:
        process.waiting.remove(effects[0])
        event = target.answer(process, effects[0])
        if event is not None:
            target.write(process, process.core.handle(event))


def is_test_of_b(effect: Effect) -> bool:
    """Return whether an effect is a test of a merged result with b in it."""
    return isinstance(effect, JudgeChain) and "b" in effect.tip.commit.split("|")


@pytest.mark.parametrize("leave", [QueueLeave(may_land=False), QueueLeave(may_test=False, may_land=False)])
def test_a_process_whose_own_run_is_over_obeys_orders(leave: QueueLeave) -> None:
    """A queue that is frozen meanwhile lands nothing: the test ends, and the next process has the work."""
    target = Target(1)
    first, second = target.add("a"), target.add("b")
    answer_all(target, first, but=lambda effect: isinstance(effect, JudgeChain))
    answer_all(target, second)
    for event in target.news(first):
        target.write(first, first.core.handle(event))
    answer_all(target, first, but=is_test_of_b)
    assert (first.core.is_over, first.core.serves_others, target.landed) == (True, True, ["a"])
    assert any(is_test_of_b(effect) for effect in first.waiting)
    target.write(first, first.core.handle(QueueOrdersRead(leave=leave)))
    answer_all(target, first)
    assert (first.core.serves_others, target.landed) == (False, ["a"])
    [row] = target.rows.values()
    assert (row.item.input.name, row.answer.state) == ("b", QueueItemState.WAITING)
    target.play()
    assert target.landed == ["a", "b"]


class NoGates:
    """The gates of a process that runs none."""

    running: ClassVar[Mapping[str, Any]] = {}


def test_the_picture_of_a_run_says_that_another_one_has_its_workstream() -> None:
    """It is not landing, whatever its own process is at."""
    target = Target(1)
    target.add("a")
    second = target.add("b")
    answer_all(target, second)
    view = RunView(second.core, cast("VerdictService", NoGates()), ManualClock())
    assert [each.note for each in view.progress().workstreams] == [HANDED_OVER]
