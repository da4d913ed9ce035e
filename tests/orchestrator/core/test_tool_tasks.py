"""Tasks whose patch a tool makes: attempts, feedback, rest, money, and who may work beside whom."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from maingate.db.dao.patches import PatchRow
from maingate.ids import PatchId, TaskId, new_id
from maingate.orchestrator.core.core import Core
from maingate.orchestrator.core.core_assembly import RunLimits
from maingate.orchestrator.core.decision import Decision
from maingate.orchestrator.core.effects import Effect, RunTool, WaitForRetry, WaitForTool
from maingate.orchestrator.core.events import (
    BreakersRead,
    CoreEvent,
    PatchTaken,
    RetryDue,
    ToolDue,
    ToolEnd,
    ToolEnded,
)
from maingate.plan.choices import TaskKind
from maingate.plan.model import Plan
from maingate.reasons import Reason, ReasonCode
from maingate.recovery.circuit_breaker import Guard, Probe
from maingate.state.circuit_breaker import BreakerState
from maingate.state.run import RunState
from maingate.state.task import TaskState
from maingate.state.tool_run import MICROS, ToolRun
from orchestrator.core.test_core import World, picture_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GOOD = "good"


@dataclass(kw_only=True)
class Workshop(World):
    """The world of the core, with tools in it.

    Args:
        plays: What comes of each attempt of a task, one after the other, by its label, ``good`` after the
            last: ``red``, ``conflict``, ``refused``, ``failed``, ``lost`` and ``limited`` say what is wrong.
        cost: What each attempt costs, in dollars.
    """

    plays: Mapping[str, Sequence[str]] = field(default_factory=dict)
    cost: float = 0.0
    attempts: "Counter[str]" = field(default_factory=Counter)
    at_work: set[str] = field(default_factory=set)
    beside: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    bases: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    order: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    budgets: list[float | None] = field(default_factory=list)

    def follow(self, decision: Decision) -> list[Effect]:
        """Note which tools begin beside which."""
        todo = super().follow(decision)
        for effect in todo:
            if isinstance(effect, RunTool):
                self.at_work.add(effect.task)
        for one in self.at_work:
            self.beside[one] |= self.at_work - {one}
        return todo

    def answer(self, core: Core, effect: Effect) -> CoreEvent | None:
        """Play a tool, or do what the world does."""
        match effect:
            case RunTool():
                return self.played(core, effect)
            case WaitForRetry(task=task_id, attempt=attempt, seconds=seconds):
                self.waits.append(seconds)
                return RetryDue(task=task_id, attempt=attempt)
            case WaitForTool(tool=tool, of_breaker=of_breaker):
                return ToolDue(tool=tool, of_breaker=of_breaker)
            case _:
                return super().answer(core, effect)

    def played(self, core: Core, effect: RunTool) -> CoreEvent:
        """Let a tool end."""
        task = core.task(effect.task)
        self.at_work.discard(task.id)
        self.order.append(task.label)
        self.bases[task.label].append(effect.tip.tree)
        self.budgets.append(effect.budget_usd)
        plays = self.plays.get(task.label, ())
        number = self.attempts[task.label]
        self.attempts[task.label] += 1
        play = plays[number] if number < len(plays) else GOOD
        self.bad = {**self.bad, task.label: play if play in {"red", "conflict"} else ""}
        ended = self.tool_run(core, task.id, effect.attempt)
        ends = {
            "failed": ToolEnd.FAILED,
            "unfiltered": ToolEnd.FAILED,
            "lost": ToolEnd.LOST,
            "limited": ToolEnd.LIMITED,
        }
        code = ReasonCode.FILTER_FAILED if play == "unfiltered" else ReasonCode.TOOL_FAILED
        reason = Reason(code=code, message=play)
        if play in ends:
            return ToolEnded(
                task=task.id,
                attempt=effect.attempt,
                end=ends[play],
                reason=reason,
                seconds=9.0,
                tool_run=None if play == "lost" else ended,
            )
        row = PatchRow(
            id=PatchId(new_id("patch")), run_id=core.run.id, workstream_id=task.workstream.id, task_id=task.id
        )
        is_refused = play == "refused"
        return PatchTaken(
            task=task.id,
            patch=row,
            diff=b"",
            material=None if is_refused else task.name,
            refusal=reason if is_refused else None,
            is_policy=is_refused,
            tool_run=ended,
        )

    def tool_run(self, core: Core, task: TaskId, attempt: int) -> ToolRun:
        """Say how a tool ended."""
        return ToolRun(
            task_id=task,
            attempt=attempt,
            run_id=core.run.id,
            tool="fixer",
            outcome="patch",
            cost_micros=round(self.cost * MICROS),
            ended_at=NOW,
        )


def plan_of(tasks: Mapping[str, Any], *, tool: Mapping[str, Any] | None = None, **plan: Any) -> Plan:
    """Make a plan of one workstream whose tasks have a tool."""
    streams = plan.pop("workstreams", {"a": {"tasks": tasks}})
    return Plan.from_json(
        {
            "maingate": 1,
            "name": "p",
            "gates": {"unit": {"run": "true"}},
            "tools": {"fixer": {"run": ["fix"], **(tool or {})}},
            "workstreams": streams,
            **plan,
        }
    )


def a_task(*scope: str, **more: Any) -> dict[str, Any]:
    """Plan a task of the tool."""
    return {"tool": "fixer", **({"scope": list(scope)} if scope else {}), **more}


def by_label(core: Core, label: str) -> Any:
    """Find a task."""
    return next(task for task in core.tasks if task.label == label)


def beside(world: Workshop, core: Core, label: str) -> set[str]:
    """Name the tasks whose tools worked beside a task's."""
    return {core.task(TaskId(each)).label for each in world.beside[by_label(core, label).id]}


@pytest.mark.parametrize("play", ["red", "conflict", "refused", "failed"])
@pytest.mark.parametrize("seed", range(5))
def test_a_tool_is_asked_again_after_a_bad_attempt(play: str, seed: int) -> None:
    """Whatever was wrong, the next attempt may be good; what was refused is quarantined."""
    plan = plan_of({"t1": a_task("x"), "t2": a_task("y"), "t3": a_task("z")})
    world = Workshop(plan=plan, bad={}, seed=seed, plays={"a/t2": [play, play]})
    core = world.run()
    assert core.run.state is RunState.SUCCEEDED
    assert by_label(core, "a/t2").retries == 2
    assert core.run.tip.tree == "base|base+a/t1+a/t2+a/t3"
    refused = sum(chain[-1] == "quarantined" for chain in world.chains.values())
    assert refused == (0 if play == "failed" else 2)


@pytest.mark.parametrize("play", ["red", "conflict", "refused", "failed"])
def test_attempts_are_counted(play: str) -> None:
    """A tool that never makes it fails its task after the attempts that it has."""
    world = Workshop(plan=plan_of({"t": a_task(max_retries=2)}), bad={}, seed=1, plays={"a/t": [play] * 9})
    core = world.run()
    assert world.attempts["a/t"] == 3
    assert by_label(core, "a/t").state is TaskState.FAILED
    assert core.run.state is RunState.FAILED


def test_a_tool_is_not_asked_again_where_a_filter_failed() -> None:
    """Another attempt would cost as much and be stored no better; its breaker stays closed."""
    plays = {"a/t": ["unfiltered"] * 9}
    world = Workshop(plan=plan_of({"t": a_task(max_retries=2)}), bad={}, seed=1, plays=plays)
    core = world.run()
    assert world.attempts["a/t"] == 1
    assert by_label(core, "a/t").state is TaskState.FAILED


def test_neither_a_lost_worker_nor_a_provider_that_refuses_burns_an_attempt() -> None:
    """Both are followed by another attempt, the latter after the time that the provider wants."""
    plays = {"a/t": ["lost", "limited", "limited", "limited", "lost", "limited"]}
    world = Workshop(plan=plan_of({"t": a_task(max_retries=0)}), bad={}, seed=1, plays=plays)
    core = world.run()
    assert core.run.state is RunState.SUCCEEDED
    assert by_label(core, "a/t").retries == 0
    assert world.waits == [9.0] * 4


def test_tasks_that_may_write_the_same_paths_follow_each_other() -> None:
    """The later one begins on what the earlier one has made; others work beside them."""
    plan = plan_of({"t1": a_task("src/**"), "t2": a_task("src/a/*"), "t3": a_task("docs/**")})
    world = Workshop(plan=plan, bad={}, seed=3)
    core = world.run()
    assert world.bases["a/t2"] == ["base+a/t1"]
    assert beside(world, core, "a/t1") == {"a/t3"}
    assert "a/t1" not in beside(world, core, "a/t2")


def test_a_plan_may_let_them_overlap() -> None:
    """Then they work side by side."""
    plan = plan_of({"t1": a_task("x"), "t2": a_task("x")}, overlap="allow")
    world = Workshop(plan=plan, bad={}, seed=3)
    core = world.run()
    assert beside(world, core, "a/t1") == {"a/t2"}


@pytest.mark.parametrize("seed", range(5))
def test_tasks_without_a_scope_work_side_by_side(seed: int) -> None:
    """A patch that conflicts with what came in meanwhile is made again on that; the order is the plan's."""
    plan = plan_of({"t1": a_task(), "t2": a_task()})
    world = Workshop(plan=plan, bad={}, seed=seed, plays={"a/t2": ["conflict"]})
    core = world.run()
    assert beside(world, core, "a/t1") == {"a/t2"}
    assert world.bases["a/t2"] == ["base", "base+a/t1"]
    assert by_label(core, "a/t2").retries == 1
    assert core.run.tip.tree == "base|base+a/t1+a/t2"


@pytest.mark.parametrize("seed", range(5))
def test_a_tool_that_begins_later_begins_on_all_that_has_landed(seed: int) -> None:
    """Its workstream waited for a worker: what landed meanwhile is no conflict, as its tool has seen it."""
    names = [f"w{number:02}" for number in range(24)]
    streams = {name: {"tasks": {"t": a_task()}} for name in names}
    world = Workshop(plan=plan_of({}, workstreams=streams, tool={"max_concurrent": 1}), bad={}, seed=seed)
    core = world.run()
    assert core.run.state is RunState.SUCCEEDED
    bases = [world.bases[f"{name}/t"][0] for name in names]
    assert bases == sorted(bases, key=len)
    assert bases[0] == "base" != bases[-1]
    assert core.run.tip.tree.startswith(bases[-1])


@pytest.mark.parametrize("seed", range(8))
def test_workstreams_do_not_write_the_same_paths_at_once(seed: int) -> None:
    """Which one goes first does not matter; both are done."""
    streams = {name: {"tasks": {"t": a_task("src/**")}} for name in ("a", "b", "c")}
    world = Workshop(plan=plan_of({}, workstreams=streams), bad={}, seed=seed, plays={"a/t": ["red"]})
    core = world.run()
    assert core.run.state is RunState.SUCCEEDED
    assert all(not beside(world, core, f"{name}/t") for name in "abc")


def test_a_tool_works_no_more_often_at_once_than_it_may() -> None:
    """Its other tasks wait for it."""
    tasks = {f"t{at}": a_task(f"x{at}") for at in range(6)}
    world = Workshop(plan=plan_of(tasks, tool={"max_concurrent": 1}), bad={}, seed=2)
    core = world.run()
    assert core.run.state is RunState.SUCCEEDED
    assert not any(world.beside.values())


def test_a_task_that_has_cost_enough_is_not_tried_again() -> None:
    """It fails for that reason; what an attempt may cost is what is left."""
    world = Workshop(
        plan=plan_of({"t": a_task(budget_usd=1.0)}), bad={}, seed=1, plays={"a/t": ["red"] * 9}, cost=0.4
    )
    core = world.run()
    assert world.attempts["a/t"] == 3
    assert by_label(core, "a/t").reason.code is ReasonCode.BUDGET_EXCEEDED
    assert world.budgets == pytest.approx([1.0, 0.6, 0.2])


def test_a_run_that_has_cost_enough_stops_and_can_go_on() -> None:
    """Nothing is failed for it: what has not begun stays queued."""
    tasks = {f"t{at}": a_task("x", max_retries=0) for at in range(5)}
    world = Workshop(plan=plan_of(tasks, budget_usd=1.0), bad={}, seed=1, cost=0.5)
    core = world.run()
    assert core.drain.exhausted is not None
    assert core.run.state is RunState.RUNNING
    assert world.order == ["a/t0", "a/t1"]
    assert by_label(core, "a/t4").state is TaskState.QUEUED


def test_only_one_task_tries_a_tool_out() -> None:
    """A probe that another run is at is waited for, until it is known that nobody works on it any more."""
    probe = Probe(task="task_elsewhere", attempt=3)
    guard = Guard(tool="fixer", state=BreakerState.HALF_OPEN, failures=5, opened_at=NOW, probe=probe)
    picture = picture_of(plan_of({"t1": a_task("x"), "t2": a_task("y")}))
    picture.breakers = [guard]
    core = Core(picture, RunLimits(worker_id="wrk_1", capacity={TaskKind.TOOL: 4}, window=3), now=NOW)
    assert begun(core.begin()) == 0
    assert begun(core.handle(BreakersRead(guards=(guard,)))) == 0
    assert begun(core.handle(BreakersRead(guards=(guard,), given_up=frozenset({probe})))) == 1


def test_a_breaker_that_is_reset_by_hand_lets_a_running_run_go_on() -> None:
    """At once, and not when its cooldown would have been over."""
    is_open = Guard(tool="fixer", state=BreakerState.OPEN, failures=5, opened_at=NOW)
    picture = picture_of(plan_of({"t1": a_task("/x"), "t2": a_task("/y")}))
    picture.breakers = [is_open]
    core = Core(picture, RunLimits(worker_id="wrk_1", capacity={TaskKind.TOOL: 4}, window=3), now=NOW)
    decision = core.begin()
    assert begun(decision) == 0
    assert [effect.seconds for effect in decision.effects if isinstance(effect, WaitForTool)] == [60.0]
    is_reset = replace(is_open, state=BreakerState.CLOSED, failures=0, opened_at=None)
    assert begun(core.handle(BreakersRead(guards=(is_reset,)))) == 2


def begun(decision: Decision) -> int:
    """Count the tools that begin."""
    return sum(isinstance(effect, RunTool) for effect in decision.effects)
