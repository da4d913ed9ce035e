"""Each entity that has not ended has an explanation: why it waits, since when, and what will move it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from maingate.db.dao.breakers import BreakerRow
from maingate.db.dao.entity import EntityRow
from maingate.db.dao.gates import GateRow
from maingate.db.dao.patches import PatchRow
from maingate.db.dao.tasks import TaskRow
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.orchestrator.core.holds import HoldCode
from maingate.plan.model import Plan
from maingate.queries.explain import why_waiting
from maingate.queries.explanation import Waiting
from maingate.queries.wait_causes import RunRows
from maingate.reasons import Reason, ReasonCode
from maingate.state.circuit_breaker import BreakerState
from maingate.state.gate import GateState
from maingate.state.machines import MACHINES
from maingate.state.patch_ledger import PatchState
from maingate.state.run import RunState
from maingate.state.task import TaskState
from maingate.state.workstream import WorkstreamState
from support.database_factories import make_gate, make_patch, make_run, make_task, make_workstream

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
RUN = make_run(state=RunState.RUNNING, changed_at=NOW)
MACHINES_OF_A_RUN = ("run", "workstream", "task", "patch_ledger", "test_gate")


def a_stream(
    name: str = "parser", state: WorkstreamState = WorkstreamState.EXECUTING, **fields: Any
) -> WorkstreamRow:
    """Arrange a workstream of the run."""
    return make_workstream(RUN, name=name, state=state, changed_at=NOW, **fields)


def a_task(stream: WorkstreamRow, name: str, state: TaskState, **fields: Any) -> TaskRow:
    """Arrange a task."""
    return make_task(stream, name=name, state=state, changed_at=NOW, **fields)


def a_patch(task: TaskRow, state: PatchState, **fields: Any) -> PatchRow:
    """Arrange a patch of a task."""
    return make_patch(task, state=state, changed_at=NOW, **fields)


def a_gate(patch: PatchRow, name: str, state: GateState = GateState.RUNNING, **fields: Any) -> GateRow:
    """Arrange a gate that looks at a patch."""
    return make_gate(patch, name=name, state=state, changed_at=NOW, **fields)


def of(
    *rows: EntityRow,
    run: Any = RUN,
    needs: Mapping[str, Sequence[str]] | None = None,
    landing: Sequence[str] = (),
    is_alive: bool = True,
    **more: Any,
) -> dict[str, Waiting]:
    """Ask why the rows wait."""
    given = RunRows(
        run=run,
        workstreams=[row for row in rows if isinstance(row, WorkstreamRow)],
        tasks=[row for row in rows if isinstance(row, TaskRow)],
        patches=[row for row in rows if isinstance(row, PatchRow)],
        gates=[row for row in rows if isinstance(row, GateRow)],
        landing=landing,
        needs=needs or {},
        **more,
    )
    return why_waiting(given, is_alive=is_alive)


def open_states(machine: str) -> list[Any]:
    """List the states from which an entity goes on by itself."""
    table = MACHINES[machine]
    return [state for state in table.states if not table.is_terminal(state) and state != PatchState.COMMITTED]


COMBINATIONS: list[tuple[Any, ...]] = list(
    product(*(list(MACHINES[machine].states) for machine in MACHINES_OF_A_RUN[1:]))
)


@pytest.mark.parametrize("is_alive", [True, False])
@pytest.mark.parametrize("run_state", open_states("run"))
def test_no_entity_that_has_not_ended_is_without_an_answer(run_state: RunState, is_alive: bool) -> None:
    """Whatever the states of a run and of one of everything in it, together: each open one is answered."""
    run = replace(RUN, state=run_state)
    for stream_state, task_state, patch_state, gate_state in COMBINATIONS:
        stream = a_stream(state=stream_state)
        task = a_task(stream, "drop-regex", task_state)
        patch = a_patch(task, patch_state)
        rows = (run, stream, task, patch, a_gate(patch, "unit", gate_state))
        answers = of(*rows, run=run, is_alive=is_alive)
        assert set(answers) == {row.id for row in rows if row.state in open_states(row.machine)}
        assert all(one.what and one.until and one.since == NOW for one in answers.values())


@pytest.mark.parametrize("run_state", [RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELED])
def test_nothing_of_a_run_that_has_ended_waits(run_state: RunState) -> None:
    """A gate that was blocked stays so for ever; nobody waits for it any more."""
    stream = a_stream(state=WorkstreamState.FAILED)
    patch = a_patch(a_task(stream, "a", TaskState.FAILED), PatchState.QUARANTINED)
    assert (
        of(stream, patch, a_gate(patch, "unit", GateState.BLOCKED), run=replace(RUN, state=run_state)) == {}
    )


def test_where_nobody_is_at_work_resuming_moves_everything() -> None:
    """The answer is the same for all: the process is gone, and a command goes on."""
    stream = a_stream()
    answers = of(stream, a_task(stream, "a", TaskState.RUNNING), is_alive=False)
    assert {(one.what, one.until, one.is_moving) for one in answers.values()} == {
        ("a process: its own has exited", f"`maingate resume {RUN.id}`", False)
    }


def test_what_is_blocked_names_what_it_needs_and_where_that_is() -> None:
    """What is completed already is not named."""
    done, open_one = a_stream("docs", WorkstreamState.COMPLETED), a_stream("lexer")
    stream = a_stream("parser", WorkstreamState.BLOCKED)
    first = a_task(open_one, "a", TaskState.RUNNING)
    second = a_task(open_one, "b", TaskState.RETRYING)
    third = a_task(open_one, "c", TaskState.BLOCKED)
    needs = {stream.id: [done.id, open_one.id], third.id: [first.id, second.id]}
    answers = of(done, open_one, stream, first, second, third, needs=needs)
    assert (answers[stream.id].what, answers[stream.id].until) == (
        "the workstream lexer (executing)",
        "it completes",
    )
    assert (answers[third.id].what, answers[third.id].until) == (
        "the tasks a (running), b (retrying)",
        "they complete",
    )


def test_a_queued_task_tells_who_is_ahead_in_its_lane() -> None:
    """The front of the lane, which needs may put elsewhere than the plan's list does."""
    stream = a_stream()
    first = a_task(stream, "a", TaskState.BLOCKED)
    second = a_task(stream, "b", TaskState.RUNNING)
    third = a_task(stream, "c", TaskState.QUEUED)
    answers = of(stream, first, second, third, needs={first.id: [second.id]})
    assert answers[third.id].what == "a free worker, behind parser/b (running) at place 1 of its lane"
    assert answers[third.id].kind == "a free worker"
    assert answers[third.id].until == "one of the running tasks ends"
    alone = of(stream, third)
    assert alone[third.id].what == "a free worker (0 tasks run)"


def test_a_task_that_is_tried_again_tells_which_attempt_when_and_why() -> None:
    """Attempts lost with their worker are on top of those that the task may have."""
    reason = Reason(code=ReasonCode.TOOL_FAILED, message="it exited with 1")
    task = a_task(
        a_stream(),
        "a",
        TaskState.RETRYING,
        attempt=2,
        retry_count=1,
        lost_count=1,
        max_retries=2,
        not_before=NOW + timedelta(seconds=5),
        reason=reason,
    )
    answer = of(a_stream(id=task.workstream_id), task)[task.id]
    assert answer.what == "attempt 3 of 4, because tool_failed: it exited with 1"
    assert answer.until == "12:00:05 UTC"
    assert not answer.is_moving


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("patch", "its patch to be read (attempt 1)"),
        ("tool", "its tool to end (attempt 1)"),
        ("command", "its command to end (attempt 1)"),
        ("noop", "its turn to be recorded (attempt 1)"),
    ],
)
def test_a_running_task_moves(kind: str, what: str) -> None:
    """What it does is named by its kind."""
    stream = a_stream()
    task = a_task(stream, "a", TaskState.RUNNING, kind=kind, attempt=1)
    answers = of(stream, task)
    assert (answers[task.id].what, answers[task.id].is_moving) == (what, True)
    assert answers[stream.id].what == "its task a (running)"


def test_a_patch_waits_for_its_gates_or_for_a_worker_that_runs_them() -> None:
    """Gates that another patch with the same tree asked for are its own too; the task says the same."""
    stream = a_stream()
    task, twin = a_task(stream, "a", TaskState.VALIDATING), a_task(stream, "b", TaskState.VALIDATING)
    tree = "b" * 40
    patch = a_patch(task, PatchState.APPLIED, tree=tree)
    assert of(stream, task, patch)[task.id].what == "a free worker for its gates"
    other = a_patch(twin, PatchState.QUEUED)
    gates = [a_gate(other, "lint", tree=tree), a_gate(other, "unit", tree=tree)]
    answers = of(stream, task, twin, patch, other, *gates)
    assert answers[patch.id].what == "gates lint, unit, running since 12:00:00 UTC"
    assert answers[patch.id].is_moving
    assert answers[task.id] == answers[patch.id]
    assert answers[gates[0].id].is_moving


def test_a_patch_waits_behind_the_front_of_its_lane() -> None:
    """The front's patch and the gates that run on it, or the task that has none yet."""
    stream = a_stream()
    front, behind = a_task(stream, "a", TaskState.VALIDATING), a_task(stream, "b", TaskState.VALIDATING)
    ahead, patch = a_patch(front, PatchState.APPLIED), a_patch(behind, PatchState.QUEUED)
    gate = a_gate(ahead, "unit")
    answers = of(stream, front, behind, ahead, patch, gate)
    assert answers[behind.id].what == (
        "the patch of parser/a, which is ahead of it in its lane: gates unit, running since 12:00:00 UTC"
    )
    running = replace(front, state=TaskState.RUNNING)
    assert of(stream, running, behind, patch)[behind.id].what == "parser/a (running) at place 1 of its lane"
    ended = replace(front, state=TaskState.FAILED)
    assert of(stream, ended, behind, patch)[behind.id].what == "its turn to be applied"


def test_a_workstream_waits_to_land_behind_the_one_before_it() -> None:
    """Landing order is priority among those whose needs allow it, not the order of the plan."""
    low = a_stream("low", WorkstreamState.VALIDATING, position=0)
    high = a_stream("high", WorkstreamState.EXECUTING, position=1, priority=5)
    assert of(low, high)[low.id].what == "high (executing), which lands before it"
    assert of(low, high, needs={high.id: [low.id]})[low.id].what == (
        "its merged result and a free worker for its gates"
    )


def test_a_workstream_that_lands_names_its_gates_then_the_branch() -> None:
    """Gates on its patches are none on the merged result; a pending intent is the landing itself."""
    stream = a_stream(state=WorkstreamState.VALIDATING)
    patch = a_patch(a_task(stream, "a", TaskState.COMPLETED), PatchState.VERIFIED)
    merged = a_gate(patch, "unit", patch_id=None)
    answers = of(stream, patch, merged)
    assert answers[stream.id].what == "gates on the merged result unit, running since 12:00:00 UTC"
    assert answers[patch.id].what == "its workstream parser (validating)"
    landing = of(stream, patch, merged, landing=[stream.id])[stream.id]
    assert (landing.what, landing.until) == ("main to be moved to it", "git has moved the branch")


def test_a_workstream_whose_patch_nobody_approved_waits_for_people() -> None:
    """It does not work; who is behind that patch in its lane changes nothing, but who runs does."""
    stream = a_stream()
    first, second = a_task(stream, "a", TaskState.VALIDATING), a_task(stream, "b", TaskState.VALIDATING)
    patch, behind = a_patch(first, PatchState.VALIDATED), a_patch(second, PatchState.QUEUED)
    answers = of(stream, first, second, patch, behind, approvals_missing={patch.id: 2})
    told = answers[stream.id]
    assert told.what == "2 more approvals: `maingate patch approve parser/a`"
    assert (told.until, told.kind, told.is_moving) == ("it is approved", "approvals", False)
    assert (answers[first.id].what, answers[patch.id].what) == (told.what, told.what)
    assert not answers[second.id].is_moving
    running = a_task(stream, "c", TaskState.RUNNING)
    assert of(stream, first, patch, running)[stream.id].is_moving
    judged = a_patch(second, PatchState.APPLIED)
    assert of(stream, first, patch, second, judged)[stream.id].is_moving


def test_a_workstream_waits_for_what_holds_its_first_task() -> None:
    """A tool that is left alone is no lack of workers; another task that could begin does lack one."""
    plan = {
        "maingate": 1,
        "name": "x",
        "tools": {"sh": {"run": "true"}},
        "workstreams": {"parser": {"tasks": {"a": {"tool": "sh", "prompt": "p"}, "b": {"command": "true"}}}},
    }
    stream = a_stream(state=WorkstreamState.READY)
    held = a_task(stream, "a", TaskState.QUEUED, kind="tool")
    free = a_task(stream, "b", TaskState.QUEUED, kind="command")
    run = replace(RUN, plan=plan)
    tripped = [BreakerRow(id="brk_1", tool="sh", state=BreakerState.OPEN, opened_at=NOW)]
    answers = of(stream, held, run=run, breakers=tripped)
    assert answers[stream.id].kind == answers[held.id].kind == "the tool sh"
    assert answers[stream.id].what == answers[held.id].what
    assert of(stream, held, run=run)[stream.id].until == "a worker is free"
    assert of(stream, held, free, run=run, breakers=tripped)[stream.id].until == "a worker is free"


def with_tools(tasks: Mapping[str, Mapping[str, Any]], **tool: Any) -> Any:
    """Arrange the run with a plan whose tasks use the tool ``sh``."""
    made = {name: {"tool": "sh", "prompt": "p", **task} for name, task in tasks.items()}
    plan = {
        "maingate": 1,
        "name": "x",
        "tools": {"sh": {"run": "true", **tool}},
        "workstreams": {"parser": {"tasks": made}},
    }
    return replace(RUN, plan=Plan.model_validate(plan).as_json())


@pytest.mark.parametrize(
    ("breaker", "probe_state", "is_held"),
    [
        (BreakerState.OPEN, None, True),
        (BreakerState.HALF_OPEN, TaskState.RUNNING, True),
        (BreakerState.HALF_OPEN, TaskState.FAILED, False),
    ],
)
def test_a_tool_is_paused_exactly_while_the_core_holds_its_tasks(
    breaker: BreakerState, probe_state: TaskState | None, is_held: bool
) -> None:
    """An open breaker holds until its cooldown is over, a half-open one while its probe is under way."""
    stream, run = a_stream(), with_tools({"a": {"scope": ["a/**"]}, "b": {"scope": ["b/**"]}})
    held = a_task(stream, "a", TaskState.QUEUED, kind="tool")
    probe = a_task(stream, "b", probe_state or TaskState.QUEUED, kind="tool", attempt=1)
    row = BreakerRow(
        id="brk_1",
        tool="sh",
        state=breaker,
        opened_at=NOW,
        cooldown_ms=60_000,
        probe_task=probe.id if probe_state else None,
        probe_attempt=1 if probe_state else None,
    )
    answer = of(stream, held, probe, run=run, breakers=[row], now=NOW + timedelta(seconds=59))[held.id]
    assert (answer.code is HoldCode.TOOL) == is_held
    later = of(stream, held, probe, run=run, breakers=[row], now=NOW + timedelta(seconds=60))[held.id]
    assert (later.code is HoldCode.TOOL) == (is_held and breaker is BreakerState.HALF_OPEN)


def test_a_tool_that_is_used_as_often_as_it_may_be_is_named() -> None:
    """The limit of the plan holds a task although workers are free."""
    stream = a_stream()
    running = a_task(stream, "a", TaskState.RUNNING, kind="tool")
    queued = a_task(stream, "b", TaskState.QUEUED, kind="tool")
    tasks = {"a": {"scope": ["a/**"]}, "b": {"scope": ["b/**"]}}
    limited = of(stream, running, queued, run=with_tools(tasks, max_concurrent=1))[queued.id]
    assert (limited.code, limited.what) == (HoldCode.TOOL, "the tool sh, of which 1 may run at once")
    free = of(stream, running, queued, run=with_tools(tasks, max_concurrent=2))[queued.id]
    assert free.code is HoldCode.WORKER


def test_a_tool_task_waits_for_the_nearest_one_before_it_with_the_same_paths() -> None:
    """It begins on the result of that one; a task with other paths holds it up no more than a task behind."""
    stream = a_stream()
    run = with_tools({"a": {"scope": ["src/**"]}, "b": {"scope": ["docs/**"]}, "c": {"scope": ["src/**"]}})
    first, other, last = (a_task(stream, name, TaskState.QUEUED, kind="tool") for name in "abc")
    answers = of(stream, first, other, last, run=run)
    assert [answers[task.id].code for task in (first, other, last)] == [
        HoldCode.WORKER,
        HoldCode.WORKER,
        HoldCode.PATHS,
    ]
    assert answers[last.id].what == "parser/a (queued), which may write the same paths"
    ended = replace(first, state=TaskState.COMPLETED)
    assert of(stream, ended, other, last, run=run)[last.id].code is HoldCode.WORKER


def test_the_run_waits_for_its_workstreams() -> None:
    """The first few are named, the rest counted."""
    streams = [a_stream(f"s{number}") for number in range(5)]
    assert of(*streams)[RUN.id].what == (
        "its workstreams s0 (executing), s1 (executing), s2 (executing) and 2 more"
    )


def test_the_json_form_is_the_public_one() -> None:
    """What it waits for, since when, and what will move it."""
    waiting = Waiting(code=HoldCode.WORKER, what="a free worker", since=NOW, until="a worker is free")
    assert waiting.as_json() == {
        "code": "worker",
        "for": "a free worker",
        "since": "2026-01-01T12:00:00.000Z",
        "until": "a worker is free",
        "moving": False,
        "kind": "a free worker",
    }
