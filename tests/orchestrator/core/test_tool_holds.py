"""Tool tasks are held by their tool, by paths and by breakers, and by nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from maingate.orchestrator.core.lane_order import Lane
from maingate.orchestrator.core.snapshot import RunNode, TaskNode
from maingate.orchestrator.core.tool_holds import ToolDesk, ToolHold
from maingate.plan.model import Plan
from maingate.recovery.breakers import Breakers
from maingate.recovery.circuit_breaker import Guard, Probe
from maingate.state.circuit_breaker import BreakerState
from maingate.state.holds import EndedBy, HoldCode
from maingate.state.task import TaskState
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


def desk_of(run: RunNode, guards: Sequence[Guard] = ()) -> ToolDesk:
    """Return a desk at which no attempt has begun."""
    return ToolDesk(run.plan, Breakers(guards, is_running=lambda _: True))


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
    desk = ToolDesk(run.plan, breakers)
    held = desk.hold(tasks["a"], NOW + timedelta(seconds=59))
    assert (held is not None and held.about == {"tool": "sh", "breaker": str(breaker)}) == is_held
    later = desk.hold(tasks["a"], NOW + timedelta(seconds=60))
    assert (later is not None) == (is_held and breaker is BreakerState.HALF_OPEN)
