"""Tool tasks are held by their tool, by paths and by breakers, and by nothing else; money is added up."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from maingate.orchestrator.core.lane_order import Lane
from maingate.orchestrator.core.snapshot import RunNode, TaskNode
from maingate.orchestrator.core.tool_limits import ToolDesk, ToolHold
from maingate.plan.model import Plan
from maingate.reasons import ReasonCode
from maingate.recovery.breakers import Breakers
from maingate.recovery.circuit_breaker import Guard, Probe
from maingate.state.circuit_breaker import BreakerState
from maingate.state.holds import EndedBy, HoldCode
from maingate.state.task import TaskState
from maingate.state.tool_run import MICROS, ToolRun
from orchestrator.core.test_core import BASE, picture_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_task(*scope: str, **keys: Any) -> dict[str, Any]:
    """Return a task of the tool ``sh`` that may write these paths."""
    return {"tool": "sh", "prompt": "p", "scope": list(scope), **keys}


def run_of(workstreams: Mapping[str, Mapping[str, Any]], **tool: Any) -> RunNode:
    """Return a run whose tool tasks are queued."""
    plan = Plan.model_validate(
        {
            "maingate": 1,
            "name": "p",
            "tools": {"sh": {"run": "true", **tool}},
            "workstreams": {name: {"tasks": tasks} for name, tasks in workstreams.items()},
        }
    )
    run = picture_of(plan)
    for workstream in run.order:
        workstream.lane = Lane(order=workstream.patch_tasks(), settled=BASE)
        for task in workstream.tasks:
            task.state = TaskState.QUEUED
    return run


def desk_of(
    run: RunNode,
    guards: Sequence[Guard] = (),
    spent: Mapping[str, int] | None = None,
    budget: float | None = None,
) -> ToolDesk:
    """Return a desk at which no attempt has begun."""
    breakers = Breakers(guards, is_running=lambda _: True)
    return ToolDesk(run.plan, spent or {}, breakers, budget_usd=budget)


def named(run: RunNode) -> dict[str, TaskNode]:
    """Return the tasks by name."""
    return {task.name: task for workstream in run.order for task in workstream.tasks}


def of_tool(ends_by: EndedBy = EndedBy.RUN, **about: Any) -> ToolHold:
    """Return a hold by the tool ``sh``."""
    return ToolHold(
        until_released="tool sh", code=HoldCode.TOOL, about={"tool": "sh", **about}, ends_by=ends_by
    )


def of_paths(rival: TaskNode, key: str) -> ToolHold:
    """Return a hold by a task that may write the same paths."""
    return ToolHold(until_released=key, code=HoldCode.PATHS, about={"task": rival.id})


@pytest.mark.parametrize(("limit", "is_held"), [(None, False), (2, False), (1, True)])
def test_a_tool_is_held_at_its_limit_until_an_attempt_ends(limit: int | None, is_held: bool) -> None:
    """The key of the tool is released with the end of an attempt."""
    run = run_of(
        {"w": {"a": a_task("a/**"), "b": a_task("b/**")}}, **({"max_concurrent": limit} if limit else {})
    )
    tasks, desk = named(run), desk_of(run)
    desk.began(tasks["a"])
    assert desk.hold(tasks["b"], NOW) == (of_tool(limit=1) if is_held else None)
    assert "tool sh" in desk.ended(tasks["a"])
    assert desk.hold(tasks["b"], NOW) is None


def test_a_task_waits_for_the_one_before_it_with_the_same_paths() -> None:
    """Whether or not that one runs; it is released by its end, and other paths hold nothing up."""
    run = run_of({"w": {"a": a_task("src/**"), "b": a_task("docs/**"), "c": a_task("src/**")}})
    tasks, desk = named(run), desk_of(run)
    assert desk.hold(tasks["a"], NOW) is None
    assert desk.hold(tasks["b"], NOW) is None
    assert desk.hold(tasks["c"], NOW) == of_paths(tasks["a"], tasks["a"].id)
    tasks["a"].state = TaskState.COMPLETED
    assert desk.hold(tasks["c"], NOW) is None


def test_a_task_of_another_workstream_holds_only_while_it_is_at_work() -> None:
    """Its end releases the key; before it begins there is nothing to wait for."""
    run = run_of({"v": {"a": a_task("src/**")}, "w": {"b": a_task("src/**")}})
    tasks, desk = named(run), desk_of(run)
    assert desk.hold(tasks["b"], NOW) is None
    desk.began(tasks["a"])
    assert desk.hold(tasks["b"], NOW) == of_paths(tasks["a"], f"work of {tasks['a'].id}")
    assert f"work of {tasks['a'].id}" in desk.ended(tasks["a"])
    assert desk.hold(tasks["b"], NOW) is None


def test_a_pause_of_the_provider_holds_until_it_is_over() -> None:
    """A second pause while one lasts starts no second timer."""
    run = run_of({"w": {"a": a_task("a")}})
    task, desk = named(run)["a"], desk_of(run)
    assert desk.rest("sh")
    assert not desk.rest("sh")
    assert desk.hold(task, NOW) == of_tool(EndedBy.TIME, rests=True)
    assert desk.rest_over("sh", of_breaker=False) == "tool sh"
    assert desk.hold(task, NOW) is None


def test_an_open_breaker_starts_one_timer_for_all_that_wait() -> None:
    """The first task that is held names the seconds; once it is over a probe may start."""
    run = run_of({"w": {"a": a_task("/a/**"), "b": a_task("/b/**")}})
    tasks = named(run)
    guard = Guard(tool="sh", state=BreakerState.OPEN, opened_at=NOW, cooldown=timedelta(seconds=60))
    desk = desk_of(run, [guard])
    held = of_tool(EndedBy.TIME, breaker="OPEN")
    assert desk.hold(tasks["a"], NOW) == replace(held, seconds=60.0)
    assert desk.hold(tasks["b"], NOW) == held
    assert desk.rest_over("sh", of_breaker=True) == "tool sh"
    assert desk.hold(tasks["a"], NOW + timedelta(seconds=60)) is None


@pytest.mark.parametrize(
    ("breaker", "probe", "is_held"),
    [
        (BreakerState.OPEN, None, True),
        (BreakerState.HALF_OPEN, TaskState.RUNNING, True),
        (BreakerState.HALF_OPEN, TaskState.FAILED, False),
    ],
)
def test_a_breaker_holds_until_its_cooldown_is_over_or_while_its_probe_runs(
    breaker: BreakerState, probe: TaskState | None, is_held: bool
) -> None:
    """An open one until its cooldown is over, a half-open one while its probe is under way."""
    run = run_of({"w": {"a": a_task("/a/**"), "b": a_task("/b/**")}})
    tasks = named(run)
    guard = Guard(
        tool="sh",
        state=breaker,
        opened_at=NOW,
        cooldown=timedelta(seconds=60),
        probe=Probe(task=tasks["b"].id, attempt=1) if probe else None,
    )
    breakers = Breakers([guard], is_running=lambda _: probe is TaskState.RUNNING)
    desk = ToolDesk(run.plan, {}, breakers, budget_usd=None)
    held = desk.hold(tasks["a"], NOW + timedelta(seconds=59))
    assert (held is not None and held.about == {"tool": "sh", "breaker": str(breaker)}) == is_held
    later = desk.hold(tasks["a"], NOW + timedelta(seconds=60))
    assert (later is not None) == (is_held and breaker is BreakerState.HALF_OPEN)


def paid(desk: ToolDesk, task: TaskNode, dollars: float | None) -> None:
    """Record an attempt with its cost."""
    cost = None if dollars is None else round(dollars * MICROS)
    desk.paid(
        ToolRun(
            task_id=task.id,
            attempt=1,
            run_id="r",
            tool="sh",
            outcome="failed",
            cost_micros=cost,
            ended_at=NOW,
        )
    )


@pytest.mark.parametrize(
    ("of_tool", "of_task", "of_run", "spent", "left"),
    [
        (None, None, None, 1.0, None),
        (5.0, None, None, 1.0, 4.0),
        (5.0, 2.0, None, 1.0, 1.0),
        (5.0, 2.0, 1.5, 1.0, 0.5),
        (None, None, 3.0, None, 3.0),
    ],
)
def test_an_attempt_may_cost_what_the_tightest_limit_leaves(
    of_tool: float | None,
    of_task: float | None,
    of_run: float | None,
    spent: float | None,
    left: float | None,
) -> None:
    """Limits of the tool and of the task count the task's attempts, that of the run counts all."""
    task = a_task("a", **({"budget_usd": of_task} if of_task else {}))
    run = run_of({"w": {"a": task}}, **({"max_cost_usd": of_tool} if of_tool else {}))
    desk = desk_of(run, budget=of_run)
    paid(desk, named(run)["a"], spent)
    assert desk.left_for(named(run)["a"]) == left


def test_a_spent_budget_ends_a_task_or_the_run() -> None:
    """Costs of earlier processes count; what is exactly spent is spent."""
    run = run_of({"w": {"a": a_task("a", budget_usd=2.0), "b": a_task("b")}})
    tasks = named(run)
    desk = desk_of(run, spent={tasks["a"].id: MICROS}, budget=3.0)
    assert desk.exhausted(tasks["a"]) is None
    paid(desk, tasks["a"], 1.0)
    reason = desk.exhausted(tasks["a"])
    assert reason is not None
    assert reason.code is ReasonCode.BUDGET_EXCEEDED
    assert desk.exhausted(tasks["b"]) is None
    assert desk.run_exhausted() is None
    paid(desk, tasks["b"], 1.0)
    assert desk.run_exhausted() == "the run has cost $3.00 of the $3.00 that it may cost"
