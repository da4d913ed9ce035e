"""Each entity that has not ended has an explanation: why it waits, since when, and what will move it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from maingate.db.dao.entity import EntityRow
from maingate.db.dao.gates import GateRow
from maingate.db.dao.patches import PatchRow
from maingate.db.dao.tasks import TaskRow
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.queries.waits.explain import why_waiting
from maingate.queries.waits.explanation import Explanation
from maingate.queries.waits.run_rows import RunRows
from maingate.reasons import Reason, ReasonCode
from maingate.state.gate import GateState
from maingate.state.holds import EndedBy, Hold, HoldCode
from maingate.state.machines import MACHINES
from maingate.state.patch_ledger import PatchState
from maingate.state.queue_control import OrderInForce, QueueControl, QueueOrder
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


def order_in_force(kind: QueueOrder, **fields: Any) -> OrderInForce:
    """Arrange an order about the queue of the run's target."""
    plain: dict[str, Any] = {"key": "k", "operator": "ada", "reason": "release", "since": NOW}
    control = QueueControl(kind=kind, **(plain | fields))
    return OrderInForce(control=control, since=NOW, until=control.until)


def of(
    *rows: EntityRow,
    run: Any = RUN,
    needs: Mapping[str, Sequence[str]] | None = None,
    landing: Sequence[str] = (),
    is_alive: bool = True,
    **more: Any,
) -> dict[str, Explanation]:
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


def hold(code: HoldCode, **about: Any) -> Hold:
    """Return a hold as the core publishes it."""
    return Hold(code=code, about=about, since=NOW, ends_by=EndedBy.RUN)


def front(task: TaskRow, place: int = 1) -> dict[str, Hold]:
    """Return the published front of a lane."""
    return {task.workstream_id: hold(HoldCode.PARTS, first=task.id, place=place)}


def lands_next(stream: WorkstreamRow) -> dict[str, Hold]:
    """Return the published next workstream to land."""
    return {RUN.id: hold(HoldCode.PARTS, next=stream.id)}


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
    answers = of(stream, first, second, third, needs={first.id: [second.id]}, holds=front(second))
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
    first, behind = a_task(stream, "a", TaskState.VALIDATING), a_task(stream, "b", TaskState.VALIDATING)
    ahead, patch = a_patch(first, PatchState.APPLIED), a_patch(behind, PatchState.QUEUED)
    gate = a_gate(ahead, "unit")
    holds = front(first)
    answers = of(stream, first, behind, ahead, patch, gate, holds=holds)
    assert answers[behind.id].what == (
        "the patch of parser/a, which is ahead of it in its lane: gates unit, running since 12:00:00 UTC"
    )
    running = replace(first, state=TaskState.RUNNING)
    answers = of(stream, running, behind, patch, holds=holds)
    assert answers[behind.id].what == "parser/a (running) at place 1 of its lane"
    ended = replace(first, state=TaskState.FAILED)
    answers = of(stream, ended, behind, patch, holds=front(behind, 2))
    assert answers[behind.id].what == "its turn to be applied"


def test_a_workstream_waits_to_land_behind_the_one_before_it() -> None:
    """The core names the next to land; that has its own turn."""
    low = a_stream("low", WorkstreamState.VALIDATING, position=0)
    high = a_stream("high", WorkstreamState.EXECUTING, position=1, priority=5)
    assert of(low, high, holds=lands_next(high))[low.id].what == "high (executing), which lands before it"
    assert of(low, high, holds=lands_next(high))[low.id].about == {"workstream": high.id}
    assert of(low, high, needs={high.id: [low.id]}, holds=lands_next(low))[low.id].what == (
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
    holds = {patch.id: hold(HoldCode.APPROVALS, missing=2), **front(first)}
    answers = of(stream, first, second, patch, behind, holds=holds)
    told = answers[stream.id]
    assert told.what == "2 more approvals: `maingate patch approve parser/a`"
    assert (told.until, told.kind, told.is_moving) == ("it is approved", "approvals", False)
    assert (answers[first.id].what, answers[patch.id].what) == (told.what, told.what)
    assert told.command == "maingate patch approve parser/a"
    assert not answers[second.id].is_moving
    running = a_task(stream, "c", TaskState.RUNNING)
    assert of(stream, first, patch, running, holds=holds)[stream.id].is_moving
    judged = a_patch(second, PatchState.APPLIED)
    assert of(stream, first, patch, second, judged, holds=holds)[stream.id].is_moving


def test_a_workstream_waits_for_what_holds_its_first_task() -> None:
    """A tool that is left alone is no lack of workers; another task that could begin does lack one."""
    stream = a_stream(state=WorkstreamState.READY)
    held = a_task(stream, "a", TaskState.QUEUED, kind="tool")
    free = a_task(stream, "b", TaskState.QUEUED, kind="command")
    holds = {held.id: hold(HoldCode.TOOL, tool="sh", breaker="OPEN")}
    answers = of(stream, held, holds=holds)
    assert answers[stream.id].kind == answers[held.id].kind == "the tool sh"
    assert answers[stream.id].what == answers[held.id].what
    assert of(stream, held)[stream.id].until == "a worker is free"
    assert of(stream, held, free, holds=holds)[stream.id].until == "a worker is free"


@pytest.mark.parametrize(
    ("about", "what", "until", "command"),
    [
        (
            {"breaker": "HALF_OPEN"},
            "the tool sh, which is paused: its breaker is HALF_OPEN",
            "a probe succeeds",
            "maingate breaker reset sh --reason TEXT",
        ),
        ({"limit": 1}, "the tool sh, of which 1 may run at once", "one of the tasks that use it ends", None),
        ({"rests": True}, "the tool sh, whose provider refuses it for a while", "its pause is over", None),
    ],
)
def test_a_task_whose_tool_cannot_be_used_names_why(
    about: Mapping[str, Any], what: str, until: str, command: str | None
) -> None:
    """The limit of the plan holds a task although workers are free; without a hold a worker is missing."""
    stream = a_stream()
    queued = a_task(stream, "b", TaskState.QUEUED, kind="tool")
    since = NOW + timedelta(minutes=5)
    held = Hold(code=HoldCode.TOOL, about={"tool": "sh", **about}, since=since, ends_by=EndedBy.TIME)
    answer = of(stream, queued, holds={queued.id: held})[queued.id]
    assert (answer.code, answer.what, answer.until) == (HoldCode.TOOL, what, until)
    assert (answer.since, answer.kind, answer.command) == (since, "the tool sh", command)
    assert of(stream, queued)[queued.id].code is HoldCode.WORKER


def test_a_tool_task_waits_for_one_with_the_same_paths() -> None:
    """Its name and state are as they are now."""
    stream = a_stream()
    first, last = (a_task(stream, name, TaskState.QUEUED, kind="tool") for name in "ac")
    holds = {last.id: hold(HoldCode.PATHS, task=first.id)}
    answers = of(stream, first, last, holds=holds)
    assert (answers[first.id].code, answers[last.id].code) == (HoldCode.WORKER, HoldCode.PATHS)
    assert answers[last.id].what == "parser/a (queued), which may write the same paths"
    assert answers[last.id].about == {"task": first.id}


def test_a_run_that_starts_nothing_new_says_why_and_until_when() -> None:
    """What is queued waits for the run to be resumed; what runs goes on."""
    stream = a_stream()
    queued, running = a_task(stream, "a", TaskState.QUEUED), a_task(stream, "b", TaskState.RUNNING)
    holds = {RUN.id: hold(HoldCode.DRAINING, next=stream.id, why="its budget is spent")}
    answers = of(stream, queued, running, holds=holds)
    assert answers[RUN.id].sentence == (
        "works: its running work to end, and stops then: its budget is spent; "
        "until nothing of it runs any more"
    )
    assert (answers[queued.id].code, answers[queued.id].command) == (
        HoldCode.DRAINING,
        f"maingate resume {RUN.id}",
    )
    assert answers[running.id].code is HoldCode.WORK


def test_the_run_waits_for_its_workstreams() -> None:
    """The first few are named, the rest counted."""
    streams = [a_stream(f"s{number}") for number in range(5)]
    assert of(*streams)[RUN.id].what == (
        "its workstreams s0 (executing), s1 (executing), s2 (executing) and 2 more"
    )


def test_the_json_form_is_the_public_one() -> None:
    """What it waits for, since when, and what will move it."""
    waiting = Explanation(code=HoldCode.WORKER, what="a free worker", since=NOW, until="a worker is free")
    assert waiting.as_json() == {
        "code": "worker",
        "for": "a free worker",
        "since": "2026-01-01T12:00:00.000Z",
        "until": "a worker is free",
        "moving": False,
        "kind": "a free worker",
        "about": {},
    }


PAUSE = order_in_force(QueueOrder.PAUSE)
DONE = "2026-01-01 12:00:00 UTC: release"


def test_a_workstream_that_is_to_land_waits_for_its_queue() -> None:
    """The sentence has the person and the reason, and the command that ends it."""
    stream = a_stream(state=WorkstreamState.VALIDATING)
    found = of(stream, orders=[PAUSE])[stream.id]
    assert found.sentence == (
        f"waits for its queue to go on: the queue is paused by ada since {DONE}; until "
        "`maingate queue resume main`"
    )
    assert (found.code, found.command) == (HoldCode.QUEUE, "maingate queue resume main")
    assert (found.kind, found.about) == ("the queue to go on", {"order": "pause", "operator": "ada"})


def test_a_freeze_ends_by_itself() -> None:
    """Its end is said before the command."""
    stream = a_stream(state=WorkstreamState.VALIDATING)
    frozen = order_in_force(QueueOrder.FREEZE, until=NOW + timedelta(hours=1))
    found = of(stream, orders=[frozen])[stream.id]
    assert found.until == "2026-01-01 13:00:00 UTC, or `maingate queue resume main`"


def test_patches_that_are_judged_on_the_merged_result_wait_for_the_queue_too() -> None:
    """All of them are applied, and their gates are asked on the merged result alone."""
    stream = a_stream()
    task = a_task(stream, "t", TaskState.VALIDATING)
    patch = a_patch(task, PatchState.APPLIED)
    assert of(stream, task, patch, orders=[PAUSE])[stream.id].code is HoldCode.QUEUE
    queued = replace(patch, state=PatchState.QUEUED)
    assert of(stream, task, queued, orders=[PAUSE])[stream.id].code is HoldCode.PARTS
    gate = a_gate(patch, "unit")
    assert of(stream, task, patch, gate, orders=[PAUSE])[stream.id].code is HoldCode.PARTS


def test_what_runs_lands_or_is_kept_by_a_drain_does_not_wait_for_the_queue() -> None:
    """Nor does anything while no process is at work: it waits for one."""
    stream = a_stream(state=WorkstreamState.VALIDATING)
    assert of(stream, orders=[PAUSE], landing=[stream.id])[stream.id].code is HoldCode.LANDING
    kept = order_in_force(QueueOrder.DRAIN, on_board=(stream.id,))
    assert of(stream, orders=[kept])[stream.id].code is not HoldCode.QUEUE
    unsaid = order_in_force(QueueOrder.DRAIN)
    assert of(stream, orders=[unsaid])[stream.id].code is not HoldCode.QUEUE
    others = order_in_force(QueueOrder.DRAIN, on_board=())
    assert of(stream, orders=[others])[stream.id].code is HoldCode.QUEUE
    assert of(stream, orders=[PAUSE], is_alive=False)[stream.id].code is HoldCode.RESUME


def test_a_proven_patch_off_the_record_waits_for_its_workstream_to_land() -> None:
    """While gates look at it, they are named; a workstream of which all are proven waits for its landing."""
    stream = a_stream()
    task = a_task(stream, "t", TaskState.VALIDATING)
    patch = a_patch(task, PatchState.QUEUED)
    gate = a_gate(patch, "unit")
    answers = of(stream, task, patch, gate, holds=front(task))
    assert answers[task.id].what == "gates unit, running since 12:00:00 UTC"
    kept = {patch.id: hold(HoldCode.WORKSTREAM)}
    answers = of(stream, task, patch, holds=kept)
    assert answers[patch.id].what == "its workstream parser (executing)"
    assert answers[stream.id].what == "its merged result and a free worker for its gates"
    assert of(stream, task, patch, holds=kept, orders=[PAUSE])[stream.id].code is HoldCode.QUEUE
    behind = a_task(stream, "u", TaskState.VALIDATING)
    unapproved = a_patch(behind, PatchState.VALIDATED)
    waits = {**kept, unapproved.id: hold(HoldCode.APPROVALS, missing=1)}
    answers = of(stream, task, patch, behind, unapproved, holds=waits)
    assert answers[stream.id].code is HoldCode.APPROVALS
