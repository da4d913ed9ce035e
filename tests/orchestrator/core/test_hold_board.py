"""What waits for something that its own row does not say is published, and only what changes of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from maingate.orchestrator.core.core import Core
from maingate.orchestrator.core.core_assembly import RunLimits
from maingate.orchestrator.core.events import ApprovalsRead, CancelRequested
from maingate.orchestrator.core.hold_board import HoldBoard
from maingate.orchestrator.core.snapshot import RunNode
from maingate.plan.choices import TaskKind
from maingate.plan.model import Plan
from maingate.reasons import Reason, ReasonCode
from maingate.recovery.circuit_breaker import Guard
from maingate.state.circuit_breaker import BreakerState
from maingate.state.holds import EndedBy, Hold, HoldCode
from orchestrator.core.test_core import World, picture_of, plan_of
from support.published_holds import take

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
A, B = (Hold(code=HoldCode.TOOL, about={"tool": name}, since=NOW) for name in "ab")


def test_only_what_differs_from_the_record_is_published() -> None:
    """A hold that comes and goes in one step, or comes again, is no change."""
    board = HoldBoard({})
    board.put("task_1", A)
    board.put("task_2", A)
    board.remove("task_2")
    assert board.take_changes() == {"task_1": A}
    board.remove("task_1")
    board.put("task_1", Hold(code=A.code, about=A.about, since=LATER))
    assert board.take_changes() == {}
    board.put("task_1", B)
    assert board.take_changes() == {"task_1": B}
    board.remove("task_1")
    assert board.take_changes() == {"task_1": None}
    board.remove("task_1")
    assert board.take_changes() == {}


def test_a_hold_keeps_its_beginning_over_a_new_process() -> None:
    """What an earlier process published and does not apply any more is gone with the first changes."""
    board = HoldBoard({"task_1": A, "task_2": A, "task_3": A})
    board.put("task_1", Hold(code=A.code, about=A.about, since=LATER))
    board.put("task_2", Hold(code=B.code, about=B.about, since=LATER))
    changes = board.take_changes()
    assert {key: hold and (hold.about, hold.since) for key, hold in changes.items()} == {
        "task_2": (B.about, LATER),
        "task_3": None,
    }
    board.remove("task_1")
    board.put("task_1", Hold(code=A.code, about=A.about, since=LATER))
    assert board.take_changes() == {}


def test_nothing_waits_when_the_run_is_over() -> None:
    """All holds go with the step that ends the run."""
    core, table = begun(
        plan_of({"a": {"tasks": {"t": {"patch": "x"}}}, "b": {"tasks": {"t": {"patch": "x"}}}})
    )
    assert table
    core.handle(CancelRequested(reason=Reason(code=ReasonCode.CANCELLED, message="enough")))
    take(core, table)
    assert core.is_over
    assert table == {}


def begun(plan: Plan, picture: RunNode | None = None, **limits: Any) -> tuple[Core, dict[str, Hold]]:
    """Begin a run; return the core and what it published."""
    capacity = {TaskKind.PATCH: 4, TaskKind.TOOL: 4}
    picture = picture or picture_of(plan)
    core = Core(picture, RunLimits(worker_id="wrk_1", capacity=capacity, window=3, **limits), now=NOW)
    table: dict[str, Hold] = dict(picture.holds)
    core.begin()
    take(core, table)
    return core, table


def test_the_next_to_land_and_the_first_of_each_lane_are_published() -> None:
    """All that land later, and all behind in a lane, wait for these; the order is that of the landing."""
    plan = plan_of(
        {
            "a": {"tasks": {"t1": {"patch": "x"}, "t2": {"patch": "x"}}},
            "b": {"priority": 5, "tasks": {"t": {"patch": "x"}}},
        }
    )
    core, table = begun(plan)
    a, b = core.run.workstreams["a"], core.run.workstreams["b"]
    assert (table[core.run.id].code, table[core.run.id].about) == (HoldCode.PARTS, {"next": b.id})
    assert table[a.id].about == {"first": a.by_name["t1"].id, "place": 1}
    assert table[b.id].about == {"first": b.by_name["t"].id, "place": 1}


def test_nothing_is_published_again_that_did_not_change() -> None:
    """The cost of publishing is that of the changes."""
    core, table = begun(plan_of({"a": {"tasks": {"t1": {"patch": "x"}}}}))
    assert take(core, table) == {}
    core.handle(ApprovalsRead(counts={}))
    assert take(core, table) == {}


def test_a_run_that_starts_nothing_new_says_so() -> None:
    """From the moment it is told to stop, without another event."""
    core, table = begun(plan_of({"a": {"tasks": {"t1": {"patch": "x"}}}}))
    core.now = LATER
    core.drain.start()
    take(core, table)
    hold = table[core.run.id]
    assert (hold.code, hold.since) == (HoldCode.DRAINING, LATER)
    assert hold.about == {"next": core.run.order[0].id, "why": ""}


def test_missing_approvals_are_published_until_they_are_given() -> None:
    """Each approval leaves fewer; only people end the wait."""
    plan = plan_of({"a": {"tasks": {"t1": {"patch": "x"}}}})
    limits = RunLimits(worker_id="wrk_1", capacity={TaskKind.PATCH: 2}, window=3, reviewers=2)
    core, table, world = Core(picture_of(plan), limits, now=NOW), dict[str, Hold](), World(plan, {}, seed=1)
    for effect in world.follow(core.begin()):
        event = world.answer(core, effect)
        if event is not None:
            core.handle(event)
    take(core, table)
    (patch_id,) = core.unapproved
    hold = table[patch_id]
    assert (hold.code, hold.about, hold.ends_by) == (HoldCode.APPROVALS, {"missing": 2}, EndedBy.PERSON)
    core.handle(ApprovalsRead(counts={patch_id: 1}))
    take(core, table)
    assert table[patch_id].about == {"missing": 1}
    core.handle(ApprovalsRead(counts={patch_id: 2}))
    take(core, table)
    assert patch_id not in table


def tool_plan(**tool: Any) -> Plan:
    """Return a plan of two tool tasks with paths of their own, and a third with those of the first."""
    tasks = {
        name: {"tool": "sh", "prompt": "p", "scope": [f"{path}/**"]}
        for name, path in (("a", "a"), ("b", "b"), ("c", "a"))
    }
    return Plan.model_validate(
        {
            "maingate": 1,
            "name": "p",
            "tools": {"sh": {"run": "true", **tool}},
            "workstreams": {"w": {"tasks": tasks}},
        }
    )


def test_tool_tasks_publish_what_holds_them() -> None:
    """A tool in use and a task with the same paths; a task that runs waits for nothing."""
    core, table = begun(tool_plan())
    tasks = core.run.workstreams["w"].by_name
    assert tasks["a"].id not in table
    assert (table[tasks["c"].id].code, table[tasks["c"].id].about) == (
        HoldCode.PATHS,
        {"task": tasks["a"].id},
    )
    core, table = begun(tool_plan(max_concurrent=1))
    tasks = core.run.workstreams["w"].by_name
    assert table[tasks["b"].id].about == {"tool": "sh", "limit": 1}


def test_a_paused_tool_is_a_hold_that_time_ends_and_survives_a_new_process() -> None:
    """The next process finds the hold on record and keeps its beginning."""
    guard = Guard(tool="sh", state=BreakerState.OPEN, opened_at=NOW, cooldown=timedelta(seconds=60))
    picture = picture_of(tool_plan())
    picture.breakers = [guard]
    core, table = begun(tool_plan(), picture)
    task = core.run.workstreams["w"].by_name["a"]
    assert table[task.id].about == {"tool": "sh", "breaker": str(BreakerState.OPEN)}
    assert table[task.id].ends_by is EndedBy.TIME
    picture.holds = dict(table) | {"task_gone": A}
    again = Core(
        picture,
        RunLimits(worker_id="wrk_1", capacity={TaskKind.TOOL: 2}, window=3),
        now=NOW + timedelta(seconds=30),
    )
    known = dict(picture.holds)
    again.begin()
    assert take(again, known) == {"task_gone": None}
    assert known == table
