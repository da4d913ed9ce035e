"""The pure core, driven without git, SQL or processes: seeded answers in a seeded order."""

import random
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maingate.commits import Candidate, Tip
from maingate.db.dao.patches import PatchRow
from maingate.ids import PatchId, RunId, TaskId, WorkstreamId, new_id
from maingate.orchestrator.core.core import Core
from maingate.orchestrator.core.core_assembly import RunLimits
from maingate.orchestrator.core.decision import Decision
from maingate.orchestrator.core.effects import (
    ApplyPatches,
    BuildChain,
    Effect,
    JudgeChain,
    JudgePatch,
    LandCar,
    LookAtTarget,
    SealCar,
    TakePatch,
)
from maingate.orchestrator.core.events import (
    AppliedPatch,
    CancelRequested,
    CarSealed,
    ChainBuilt,
    ChainJudged,
    CoreEvent,
    LinkRefused,
    PatchesApplied,
    PatchJudged,
    PatchTaken,
    TargetLanded,
    TargetMoved,
    TargetSeen,
)
from maingate.orchestrator.core.snapshot import RunNode, TaskNode, WorkstreamNode
from maingate.orchestrator.task_scheduler import dependents_of
from maingate.plan.choices import TaskKind
from maingate.plan.model import Plan
from maingate.reasons import Reason, ReasonCode
from maingate.state.holds import Hold
from maingate.state.machines import MACHINES
from maingate.state.patch_ledger import PatchState
from maingate.state.run import RunState
from maingate.state.run_outcome import WorkstreamFact
from maingate.state.steps.step import Context, Head
from maingate.state.task import TaskState
from maingate.state.workstream import WorkstreamState
from maingate.verdicts.blame import GateAnswer, Judgement, Opinion
from support.examples import examples
from support.propagation import (
    Move,
    TaskFact,
    are_needs_broken,
    are_needs_met,
    derive_workstream,
    patch_after_workstream,
    run_after_workstreams,
    task_after_needs,
    task_after_patch,
    task_after_siblings,
    task_after_workstream,
    workstream_after_run,
    workstream_moves,
)
from support.published_holds import check, take

BASE = Tip(commit="base", tree="base")
ROOM = dict.fromkeys(TaskKind, 2)
WHY = Reason(code=ReasonCode.GATE_FAILED, message="because")


def plan_of(workstreams: Mapping[str, Any]) -> Plan:
    """Make a plan with one gate from a mapping of workstreams."""
    return Plan.from_json(
        {"maingate": 1, "name": "p", "gates": {"unit": {"run": "true"}}, "workstreams": workstreams}
    )


def picture_of(plan: Plan) -> RunNode:
    """Build the picture of an admitted run without a database."""
    nodes = {}
    run_id = RunId(new_id("run"))
    for name, ws in plan.workstreams.items():
        ws_id = WorkstreamId(new_id("ws"))
        node = WorkstreamNode(
            id=ws_id,
            run=run_id,
            head=Head(
                machine="workstream", id=ws_id, state="planned", version=1, chain_hash="", context=Context()
            ),
            name=name,
            plan=ws,
            is_critical=ws.critical,
            needs=ws.needs,
            gates=tuple(plan.landing_gates(name)),
            ref=f"refs/maingate/r/{name}",
            may_defer_gates=plan.defers_gates(name),
            defers_gates=plan.defers_gates(name),
            state=WorkstreamState.PLANNED,
        )
        node.seat([task_of(plan, node, task) for task in ws.tasks])
        nodes[name] = node
    order = [nodes[name] for name in plan.workstream_order()]
    for place, node in enumerate(order):
        node.landing, node.unmet = place, len(set(node.needs))
    return RunNode(
        id=run_id,
        head=Head(machine="run", id=run_id, state="pending", version=1, chain_hash="", context=Context()),
        name="p",
        plan=plan,
        target="refs/heads/main",
        state=RunState.PENDING,
        admitted=datetime(2026, 1, 1, tzinfo=UTC),
        base=BASE,
        workstreams=nodes,
        order=order,
        dependents=dependents_of(order),
        open_workstreams=len(order),
        tip=BASE,
    )


def task_of(plan: Plan, node: WorkstreamNode, name: str) -> TaskNode:
    """Build a task's node."""
    task, task_id = node.plan.tasks[name], TaskId(new_id("task"))
    return TaskNode(
        id=task_id,
        head=Head(machine="task", id=task_id, state="pending", version=1, chain_hash="", context=Context()),
        name=name,
        label=f"{node.name}/{name}",
        plan=task,
        workstream=node,
        is_critical=task.critical,
        needs=task.needs,
        gates=tuple(plan.task_gates(node.name, name)),
        state=TaskState.PENDING,
    )


@dataclass
class World:
    """A stand-in for everything around the core: trees are the sets of patches in them.

    Args:
        bad: What goes wrong with which task: ``refused``, ``conflict``, ``red``; for workstreams ``merge``,
        ``landing``. seed: Decides in which order answers arrive.
    """

    plan: Plan
    bad: Mapping[str, str]
    seed: int
    duplicates: bool = False
    states: dict[str, str] = field(default_factory=dict)
    chains: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    moved: int = 0
    seconds: float = 0.0
    holds: dict[str, Hold] = field(default_factory=dict)

    def run(self) -> Core:
        """Run the core to its end and return it."""
        chance = random.Random(self.seed)
        core = Core(picture_of(self.plan), RunLimits(worker_id="wrk_1", capacity=ROOM, window=3, lookahead=4))
        waiting = self.follow(core.begin())
        while waiting:
            take(core, self.holds)
            check(core, self.holds)
            effect = waiting.pop(chance.randrange(len(waiting)))
            event = self.answer(core, effect)
            if event is None:
                continue
            waiting += self.follow(core.handle(event))
            _nothing_is_owed(core)
            if self.duplicates and chance.random() < 0.3:
                waiting += self.follow(core.handle(event))
        take(core, self.holds)
        check(core, self.holds)
        return core

    def follow(self, decision: Decision) -> list[Effect]:
        """Hold every step against its machine, as the writer would, and return what is to be done."""
        for row, _ in decision.patches:
            self.states[row.id] = "created"
        for step in decision.steps:
            machine = MACHINES[step.machine]
            now = self.states.get(step.head_id, str(machine.initial))
            machine.check(entity_id=step.head_id, state=now, to=step.to, trigger=step.trigger)
            self.states[step.head_id] = step.to
            self.chains[step.head_id].append(step.to)
        return [*decision.speculative, *decision.effects]

    def answer(self, core: Core, effect: Effect) -> CoreEvent | None:  # noqa: PLR0911 - a table
        """Do what an effect asks for, the way the plan of this world says it ends."""
        match effect:
            case TakePatch(task=task_id):
                task = core.task(task_id)
                row = PatchRow(
                    id=PatchId(new_id("patch")),
                    run_id=core.run.id,
                    workstream_id=task.workstream.id,
                    task_id=task.id,
                )
                refused = self.bad.get(task.label) == "refused"
                return PatchTaken(
                    task=task.id,
                    patch=row,
                    diff=b"",
                    material=None if refused else task.name,
                    refusal=WHY if refused else None,
                )
            case ApplyPatches(tasks=task_ids, onto=onto):
                return self.applied(core, task_ids, onto)
            case JudgePatch(task=task_id, tip=tip):
                task = core.task(task_id)
                red = self.is_red(tip, f"{task.workstream.name}/")
                opinion = Opinion.FAILED if red else Opinion.PASSED
                verdict = Judgement(opinion=opinion, gates=task.gates, reason=WHY if red else None)
                return PatchJudged(task=task.id, commit=tip.commit, judgement=verdict)
            case LookAtTarget(look=look):
                return TargetSeen(look=look, head=core.run.tip)
            case BuildChain():
                return self.built(effect)
            case JudgeChain():
                self.seconds += 1
                names = [core.workstream(ws_id).name for ws_id in effect.workstreams]
                passed = not any(f"|{name}" in effect.tip.commit for name in self.red())
                passed = passed and not self.is_red(effect.tip)
                assert all(f"|{name}" in effect.tip.commit for name in names)
                answers = tuple(
                    GateAnswer(gate=gate, passed=passed, message="because") for gate in effect.gates
                )
                return ChainJudged(run=effect.run, answers=answers, started=self.seconds, ended=self.seconds)
            case SealCar():
                candidates = tuple(candidate for candidate, _ in effect.candidates)
                return CarSealed(car=effect.car, candidates=candidates)
            case LandCar(car=car):
                if self.moved > 0:
                    self.moved -= 1
                    return TargetMoved(car=car)
                return TargetLanded(car=car)
            case _:
                return None

    def applied(self, core: Core, task_ids: tuple[TaskId, ...], onto: Tip) -> CoreEvent:
        """Apply by adding the name to the tree, up to the first patch that conflicts."""
        applied: list[AppliedPatch] = []
        tip = onto
        for task in map(core.task, task_ids):
            if self.bad.get(task.label) == "conflict":
                return PatchesApplied(tasks=task_ids, onto=onto, applied=tuple(applied), refusal=WHY)
            tip = Tip(commit=f"{tip.commit}+{task.name}", tree=f"{tip.tree}+{task.label}")
            applied.append(AppliedPatch(tip=tip, method="exact"))
        return PatchesApplied(tasks=task_ids, onto=onto, applied=tuple(applied))

    def is_red(self, tip: Tip, prefix: str = "") -> bool:
        """Tell whether a tree has a patch that makes the gates fail."""
        labels = re.split(r"[+|]", tip.tree)
        return any(self.bad.get(label) == "red" and label.startswith(prefix) for label in labels)

    def red(self) -> list[str]:
        """Name the workstreams whose merged result fails."""
        return [name for name, what in self.bad.items() if what == "landing"]

    def built(self, effect: BuildChain) -> CoreEvent:
        """Merge by joining trees, up to the first that conflicts."""
        candidates: list[Candidate] = []
        onto = effect.onto
        for link in effect.links:
            workstream = link.input
            if self.bad.get(workstream.name) == "merge":
                refused = LinkRefused(workstream=workstream.workstream, reason=WHY)
                return ChainBuilt(build=effect.build, candidates=tuple(candidates), refused=refused)
            tree = f"{onto.tree}|{workstream.settled.tree}"
            tip = Tip(commit=f"{onto.commit}|{workstream.name}", tree=tree)
            commits = {patch: tip.commit for patch, _ in workstream.commits}
            candidates.append(Candidate(onto=onto, tip=tip, commits=commits))
            onto = tip
        return ChainBuilt(build=effect.build, candidates=tuple(candidates))


def outcome_of(core: Core) -> tuple[str, dict[str, tuple[str, str | None]], dict[str, str], str]:
    """Reduce a finished run to what must not depend on timing."""
    tasks = {
        task.label: (str(task.state), str(task.patch.state) if task.patch else None) for task in core.tasks
    }
    workstreams = {ws.name: str(ws.state) for ws in core.run.order}
    return str(core.run.state), tasks, workstreams, core.run.tip.tree


def test_lands_a_workstream_whole_and_in_order() -> None:
    """Every patch is applied in the listed order and becomes committed together with the others."""
    world = World(plan_of({"a": {"tasks": {"t1": {"patch": "x"}, "t2": {"patch": "x"}}}}), {}, seed=1)
    core = world.run()
    assert outcome_of(core) == (
        "succeeded",
        {"a/t1": ("completed", "committed"), "a/t2": ("completed", "committed")},
        {"a": "completed"},
        "base|base+a/t1+a/t2",
    )


def test_a_failed_critical_task_ends_its_workstream_and_nothing_of_it_lands() -> None:
    """The culprit is quarantined, its neighbours are dropped, the target stays.

    See docs/SPECIFICATION.md §1, rules 7 and 8.
    """
    plan = plan_of({"a": {"tasks": {name: {"patch": "x"} for name in ("t1", "t2", "t3")}}})
    core = World(plan, {"a/t2": "red"}, seed=3).run()
    state, tasks, workstreams, tree = outcome_of(core)
    assert (state, workstreams, tree) == ("failed", {"a": "failed"}, "base")
    assert tasks["a/t1"] == ("completed", "dropped")
    assert tasks["a/t2"] == ("failed", "quarantined")
    assert tasks["a/t3"][0] == "cancelled"


def test_a_failed_non_critical_task_is_passed_over() -> None:
    """What is built on it ahead is built again without it."""
    plan = plan_of(
        {
            "a": {
                "tasks": {"t1": {"patch": "x"}, "t2": {"patch": "x", "critical": False}, "t3": {"patch": "x"}}
            }
        }
    )
    core = World(plan, {"a/t2": "red"}, seed=5).run()
    assert core.run.tip.tree == "base|base+a/t1+a/t3"
    assert core.run.state is RunState.SUCCEEDED


def test_dependents_of_a_failure_end_with_the_reason() -> None:
    """Nothing hangs on a dependency that will never be (docs/SPECIFICATION.md §1, rule 6)."""
    plan = plan_of(
        {
            "a": {"tasks": {"t": {"patch": "x"}}},
            "b": {"needs": ["a"], "tasks": {"t": {"patch": "x"}}},
            "c": {"needs": ["b"], "critical": False, "tasks": {"t": {"patch": "x"}}},
        }
    )
    core = World(plan, {"a/t": "conflict"}, seed=2).run()
    skipped = core.run.workstreams["c"]
    assert skipped.state is WorkstreamState.SKIPPED
    assert skipped.reason is not None
    assert skipped.reason.code is ReasonCode.DEPENDENCY_FAILED
    assert core.run.state is RunState.FAILED


def test_a_long_chain_of_dependents_is_ended_without_a_deep_stack() -> None:
    """Failing the first of 3,000 tasks that need each other cancels all the others."""
    names = [f"t{at}" for at in range(3000)]
    tasks = {
        name: {"patch": "x", "needs": names[at - 1 : at] if at else [], "critical": False}
        for at, name in enumerate(names)
    }
    core = World(plan_of({"a": {"tasks": tasks}}), {"a/t0": "refused"}, seed=0).run()
    assert {task.state for task in list(core.tasks)[1:]} == {TaskState.CANCELLED}
    assert core.run.workstreams["a"].state is WorkstreamState.COMPLETED


def test_a_target_that_others_move_is_landed_on_again() -> None:
    """Losing the race for the target rebuilds the candidate; the intent is given up each time."""
    plan = plan_of({"a": {"tasks": {"t": {"patch": "x"}}}})
    core = World(plan, {}, seed=1, moved=5).run()
    assert core.run.state is RunState.SUCCEEDED


def test_a_target_that_never_stands_still_fails_the_workstream() -> None:
    """After twenty lost races the workstream ends and blames no patch."""
    plan = plan_of({"a": {"tasks": {"t": {"patch": "x"}}}})
    core = World(plan, {}, seed=1, moved=1000).run()
    (task,) = core.tasks
    assert core.run.state is RunState.FAILED
    assert task.patch is not None
    assert task.patch.state is PatchState.DROPPED


TROUBLE = st.sampled_from(["", "", "", "refused", "conflict", "red"])


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Plan, dict[str, str]]:
    """Draw a plan of up to five workstreams of up to five tasks, with needs and troubles."""
    workstreams: dict[str, Any] = {}
    bad: dict[str, str] = {}
    for at in range(draw(st.integers(1, 5))):
        name = f"w{at}"
        tasks: dict[str, Any] = {}
        for number in range(draw(st.integers(1, 5))):
            tasks[f"t{number}"] = {
                "patch": "x",
                "critical": draw(st.booleans()),
                "needs": draw(st.lists(st.sampled_from(sorted(tasks)), unique=True, max_size=2))
                if tasks
                else [],
                "gates": draw(st.sampled_from([[], ["unit"]])),
            }
            bad[f"{name}/t{number}"] = draw(TROUBLE)
        bad[name] = draw(st.sampled_from(["", "", "", "merge", "landing"]))
        earlier = sorted(workstreams)
        workstreams[name] = {
            "tasks": tasks,
            "critical": draw(st.booleans()),
            "priority": draw(st.integers(0, 2)),
            "needs": draw(st.lists(st.sampled_from(earlier), unique=True, max_size=2)) if earlier else [],
        }
    return plan_of(workstreams), bad


@settings(max_examples=examples(300), deadline=None)
@given(world=worlds(), seeds=st.tuples(st.integers(0, 2**32), st.integers(0, 2**32)))
def test_every_run_ends_and_its_end_does_not_depend_on_timing(
    world: tuple[Plan, dict[str, str]], seeds: tuple[int, int]
) -> None:
    """Whatever fails and in whatever order answers arrive (also twice): all end, legally, and alike."""
    plan, bad = world
    ends = []
    for seed in seeds:
        played = World(plan, bad, seed=seed, duplicates=seed % 2 == 0)
        core = played.run()
        for machine, nodes in (("task", list(core.tasks)), ("workstream", list(core.run.order))):
            for node in nodes:
                assert MACHINES[machine].is_terminal(node.state), (node.name, node.state)
                assert played.states[node.id] == node.state
        _nothing_lands_in_part(core)
        _each_is_built_on_what_it_needs(core)
        ends.append(_without_bystanders(core))
    assert ends[0] == ends[1]


def _nothing_is_owed(core: Core) -> None:
    """After every event each entity is where the rules of propagation want it (docs/SPECIFICATION.md §3)."""
    workstreams = core.run.workstreams
    for workstream in core.run.order:
        needs = [workstreams[name].state for name in workstream.needs]
        for task in workstream.tasks:
            assert task_after_workstream(task.state, workstream.state) is None
            if task.patch is not None:
                assert task_after_patch(task.state, task.patch.state) is None
                if workstream.has_ended:
                    assert patch_after_workstream(task.patch.state, Move(workstream.state, "")) is None
            if workstream.state in {WorkstreamState.READY, WorkstreamState.EXECUTING}:
                owed = task_after_needs(task.state, [workstream.by_name[name].state for name in task.needs])
                assert owed is None, (task.label, owed)
        facts = [
            TaskFact(state=task.state, is_critical=task.is_critical, has_started=task.attempt > 0)
            for task in workstream.tasks
        ]
        assert all(task_after_siblings(task.state, facts) is None for task in workstream.tasks)
        assert workstream_after_run(workstream.state, core.run.state) is None
        derived = derive_workstream(
            facts, needs_met=are_needs_met(needs), needs_broken=are_needs_broken(needs)
        )
        assert workstream_moves(workstream.state, derived) == (), (workstream.name, workstream.state, derived)
    ends = [
        WorkstreamFact(
            state=ws.state,
            is_critical=ws.is_critical,
            lost_dependency=ws.reason is not None and ws.reason.code is ReasonCode.DEPENDENCY_FAILED,
        )
        for ws in core.run.order
    ]
    assert run_after_workstreams(core.run.state, ends) is None


def _nothing_lands_in_part(core: Core) -> None:
    """Patches are committed exactly where their workstream is completed.

    See docs/SPECIFICATION.md §1, rule 8.
    """
    for workstream in core.run.order:
        states = {task.patch.state for task in workstream.tasks if task.patch}
        if workstream.state is WorkstreamState.COMPLETED:
            assert states <= {PatchState.COMMITTED, PatchState.QUARANTINED, PatchState.DROPPED}
        else:
            assert PatchState.COMMITTED not in states


def _each_is_built_on_what_it_needs(core: Core) -> None:
    """A base is what the target was once, and holds all that was needed, directly or not, and landed."""
    for workstream in (ws for ws in core.run.order if ws.base is not None and ws.needs):
        assert workstream.base is not None
        held = workstream.base.commit.split("|")
        assert core.run.tip.commit.split("|")[: len(held)] == held
        assert workstream.name not in held
        assert {name for name in _needed(core, workstream) if core.run.workstreams[name].landed} <= {*held}


def _needed(core: Core, workstream: WorkstreamNode) -> set[str]:
    """Name all that a workstream needs, directly or not."""
    found = set(workstream.needs)
    for name in workstream.needs:
        found |= _needed(core, core.run.workstreams[name])
    return found


def _without_bystanders(core: Core) -> Any:
    """Leave out how far the neighbours of a failed critical task had come: they are dropped, however far."""
    state, tasks, workstreams, tree = outcome_of(core)
    kept = {label: end for label, end in tasks.items() if workstreams[label.split("/")[0]] == "completed"}
    return state, kept, workstreams, tree


@pytest.mark.parametrize("late", [0, 1, 2])
def test_cancel_reaches_everything(late: int) -> None:
    """Cancelling ends every task and workstream at once, however far the run is."""
    plan = plan_of({name: {"tasks": {"t": {"patch": "x"}, "u": {"patch": "x"}}} for name in "ab"})
    world = World(plan, {}, seed=late)
    core = Core(picture_of(plan), RunLimits(worker_id="wrk_1", capacity=ROOM, window=3))
    waiting = world.follow(core.begin())
    for _ in range(late * 2):
        event = world.answer(core, waiting.pop(0))
        if event is not None:
            waiting += world.follow(core.handle(event))
    world.follow(core.handle(CancelRequested(reason=WHY)))
    assert core.run.state is RunState.CANCELED
    assert all(task.has_ended for task in core.tasks)
    assert all(ws.has_ended for ws in core.run.order)
