"""The next task to start: by landing order and place, within room, lookahead and holds."""

from collections.abc import Mapping
from typing import Any

import pytest

from maingate.orchestrator.core.lane_order import Lane
from maingate.orchestrator.core.snapshot import RunNode, TaskNode
from maingate.orchestrator.task_scheduler import TaskScheduler, dependents_of
from maingate.plan.choices import TaskKind
from maingate.state.task import TaskState
from orchestrator.core.test_core import BASE, picture_of, plan_of

PATCH, COMMAND = {"patch": "p.diff"}, {"command": "make"}


def run_of(workstreams: Mapping[str, Mapping[str, Any]]) -> RunNode:
    """Return a run whose tasks are queued and whose lanes are empty."""
    run = picture_of(plan_of(workstreams))
    for workstream in run.order:
        workstream.lane = Lane(order=workstream.patch_tasks(), settled=BASE)
        for task in workstream.tasks:
            task.state = TaskState.QUEUED
    return run


def tasks_of(run: RunNode) -> dict[str, TaskNode]:
    """Return the tasks by name."""
    return {task.name: task for workstream in run.order for task in workstream.tasks}


def started(scheduler: TaskScheduler) -> str:
    """Return the names of the tasks that start now."""
    found = []
    for task in scheduler.start():
        task.state = TaskState.RUNNING
        found.append(task.name)
    return "".join(found)


def test_earlier_workstreams_start_first_and_then_earlier_tasks() -> None:
    """The order in which tasks were queued does not matter."""
    run = run_of(
        {
            "low": {"tasks": {"c": PATCH, "d": PATCH}},
            "high": {"priority": 1, "tasks": {"a": PATCH, "b": PATCH}},
        }
    )
    scheduler = TaskScheduler(capacity={TaskKind.PATCH: 3})
    for name in "dbca":
        scheduler.queue(tasks_of(run)[name])
    assert started(scheduler) == "abc"
    scheduler.finished(tasks_of(run)["a"])
    assert started(scheduler) == "d"


@pytest.mark.parametrize(("patches", "commands", "expected"), [(1, 1, "ab"), (0, 1, "b"), (1, 0, "a")])
def test_each_kind_has_room_of_its_own(patches: int, commands: int, expected: str) -> None:
    """A kind without room does not hold up another."""
    run = run_of({"w": {"tasks": {"a": PATCH, "b": COMMAND, "c": PATCH, "d": COMMAND}}})
    scheduler = TaskScheduler(capacity={TaskKind.PATCH: patches, TaskKind.COMMAND: commands})
    for task in tasks_of(run).values():
        scheduler.queue(task)
    assert started(scheduler) == expected


def test_room_can_be_changed_while_tasks_run() -> None:
    """More room starts more; less room starts nothing until enough have finished."""
    run = run_of({"w": {"tasks": dict.fromkeys("abcd", COMMAND)}})
    tasks, scheduler = tasks_of(run), TaskScheduler(capacity={TaskKind.COMMAND: 1})
    for task in tasks.values():
        scheduler.queue(task)
    assert started(scheduler) == "a"
    scheduler.resize(TaskKind.COMMAND, 3)
    assert started(scheduler) == "bc"
    scheduler.resize(TaskKind.COMMAND, 1)
    scheduler.finished(tasks["a"])
    scheduler.finished(tasks["b"])
    assert started(scheduler) == ""
    scheduler.finished(tasks["c"])
    assert started(scheduler) == "d"


def test_a_patch_is_produced_no_further_ahead_than_the_lookahead() -> None:
    """The lane's next patch may always start; when the lane moves on, the next ones may."""
    run = run_of({"w": {"tasks": dict.fromkeys("abcd", PATCH)}})
    tasks, scheduler = tasks_of(run), TaskScheduler(capacity={TaskKind.PATCH: 9}, lookahead=2)
    for name in "dcba":
        scheduler.queue(tasks[name])
    assert started(scheduler) == "ab"
    tasks["a"].state = TaskState.COMPLETED
    scheduler.advance(tasks["a"].workstream)
    assert started(scheduler) == "c"
    tasks["b"].state = tasks["c"].state = TaskState.FAILED
    scheduler.advance(tasks["b"].workstream)
    assert started(scheduler) == "d"


def test_a_command_is_never_too_far_ahead() -> None:
    """It has no place in the lane."""
    run = run_of({"w": {"tasks": dict.fromkeys("abc", COMMAND)}})
    scheduler = TaskScheduler(capacity={TaskKind.COMMAND: 9}, lookahead=1)
    for task in tasks_of(run).values():
        scheduler.queue(task)
    assert started(scheduler) == "abc"


def test_a_held_task_takes_no_room_and_waits_for_its_key() -> None:
    """Others start meanwhile; another key releases nothing, and a task that ended stays out."""
    holds = {"a": "tool x", "b": "tool x"}
    run = run_of({"w": {"tasks": dict.fromkeys("abc", COMMAND)}})
    tasks = tasks_of(run)
    scheduler = TaskScheduler(capacity={TaskKind.COMMAND: 1}, hold=lambda task: holds.get(task.name))
    for task in tasks.values():
        scheduler.queue(task)
    assert started(scheduler) == "c"
    scheduler.finished(tasks["c"])
    holds.clear()
    scheduler.release("tool y")
    assert started(scheduler) == ""
    tasks["a"].state = TaskState.CANCELLED
    scheduler.release("tool x")
    assert started(scheduler) == "b"


def test_a_task_that_ended_in_the_queue_does_not_start() -> None:
    """It takes no room either."""
    run = run_of({"w": {"tasks": {"a": COMMAND, "b": COMMAND}}})
    tasks, scheduler = tasks_of(run), TaskScheduler(capacity={TaskKind.COMMAND: 1})
    for task in tasks.values():
        scheduler.queue(task)
    tasks["a"].state = TaskState.CANCELLED
    assert started(scheduler) == "b"


def test_dependents_are_the_needs_turned_around() -> None:
    """Each is listed once, however often it names a need."""
    run = run_of(
        {"w": {"tasks": {"a": PATCH, "b": {**PATCH, "needs": ["a"]}, "c": {**PATCH, "needs": ["a", "b"]}}}}
    )
    assert dependents_of(run.order[0].tasks) == {"a": ["b", "c"], "b": ["c"], "c": []}
