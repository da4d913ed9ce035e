"""The rules that the core is held against: the consequences of a change for the entities around it."""

from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maingate.state.machine import Machine
from maingate.state.patch_ledger import PATCH_LEDGER, PatchState
from maingate.state.run import RUN, RunState
from maingate.state.run_outcome import WorkstreamFact, derive_run
from maingate.state.task import TASK, TaskState
from maingate.state.workstream import WORKSTREAM, WorkstreamState
from support import propagation
from support.propagation import Move, TaskFact

UNDER_WAY = {TaskState.RUNNING, TaskState.VALIDATING, TaskState.RETRYING}
LOST = {TaskState.FAILED, TaskState.CANCELLED}
NOT_BEGUN = {TaskState.PENDING, TaskState.QUEUED, TaskState.BLOCKED}

task_facts = st.builds(
    TaskFact, state=st.sampled_from(TaskState), is_critical=st.booleans(), has_started=st.booleans()
)
some_tasks = st.lists(task_facts, min_size=1, max_size=6)
workstream_facts = st.builds(
    WorkstreamFact,
    state=st.sampled_from(WorkstreamState),
    is_critical=st.booleans(),
    lost_dependency=st.booleans(),
)


def critical(state: TaskState, *, has_started: bool = False) -> TaskFact:
    """Make a critical task in a state."""
    return TaskFact(state=state, is_critical=True, has_started=has_started)


def optional(state: TaskState) -> TaskFact:
    """Make a task that the workstream can do without."""
    return TaskFact(state=state, is_critical=False)


def assert_in_table(machine: Machine, state: str, moves: Sequence[Move | None]) -> None:
    """Assert that a chain of moves from a state is allowed by the machine."""
    for move in moves:
        if move is not None:
            machine.check(entity_id="x", state=state, to=move.to, trigger=move.trigger)
            state = move.to


# -- a workstream from its tasks -----------------------------------------------------------------------------


@given(tasks=some_tasks, met=st.booleans(), broken=st.booleans())
def test_a_workstream_executes_while_any_task_is_under_way(
    tasks: list[TaskFact], met: bool, broken: bool
) -> None:
    """First rule: any task running, validating or retrying means executing, whatever else is true."""
    derived = propagation.derive_workstream(tasks, needs_met=met, needs_broken=broken)
    if any(task.state in UNDER_WAY for task in tasks):
        assert derived == WorkstreamState.EXECUTING


@given(tasks=some_tasks, met=st.booleans())
def test_a_workstream_fails_with_a_critical_task(tasks: list[TaskFact], met: bool) -> None:
    """Second rule: with nothing under way a critical task that failed fails it, and nothing else does."""
    derived = propagation.derive_workstream(tasks, needs_met=met)
    has_loss = any(task.is_critical and task.state in LOST for task in tasks)
    if any(task.is_critical and task.state == TaskState.FAILED for task in tasks):
        assert derived in {WorkstreamState.FAILED, WorkstreamState.EXECUTING}
    if derived == WorkstreamState.FAILED:
        assert has_loss
    if has_loss:
        assert derived not in {WorkstreamState.VALIDATING, WorkstreamState.READY}


@given(tasks=some_tasks, met=st.booleans())
def test_a_workstream_validates_only_when_all_its_tasks_ended(tasks: list[TaskFact], met: bool) -> None:
    """Third rule: validating means that every task has ended and every critical one is completed."""
    if propagation.derive_workstream(tasks, needs_met=met) == WorkstreamState.VALIDATING:
        assert all(TASK.is_terminal(task.state) for task in tasks)
        assert all(task.state == TaskState.COMPLETED for task in tasks if task.is_critical)


@given(
    tasks=st.lists(
        task_facts.filter(lambda task: task.state in NOT_BEGUN and not task.has_started), max_size=5
    )
)
def test_a_workstream_that_has_not_begun_waits_for_its_needs(tasks: list[TaskFact]) -> None:
    """Before any task began the needs decide: ready, blocked, or skipped when they can never be met."""
    assert propagation.derive_workstream(tasks, needs_met=True) == WorkstreamState.READY
    assert propagation.derive_workstream(tasks, needs_met=False) == WorkstreamState.BLOCKED
    skipped = propagation.derive_workstream(tasks, needs_met=False, needs_broken=True)
    assert skipped == WorkstreamState.SKIPPED


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ([critical(TaskState.COMPLETED), critical(TaskState.QUEUED)], WorkstreamState.EXECUTING),
        ([critical(TaskState.QUEUED, has_started=True)], WorkstreamState.EXECUTING),
        ([critical(TaskState.FAILED), critical(TaskState.RUNNING)], WorkstreamState.EXECUTING),
        ([critical(TaskState.FAILED), critical(TaskState.QUEUED)], WorkstreamState.FAILED),
        ([optional(TaskState.FAILED), critical(TaskState.CANCELLED)], WorkstreamState.FAILED),
        ([optional(TaskState.FAILED), critical(TaskState.COMPLETED)], WorkstreamState.VALIDATING),
        ([optional(TaskState.FAILED), optional(TaskState.CANCELLED)], WorkstreamState.VALIDATING),
        ([optional(TaskState.FAILED), critical(TaskState.PENDING)], WorkstreamState.EXECUTING),
        ([critical(TaskState.CANCELLED), critical(TaskState.PENDING)], WorkstreamState.CANCELLED),
        ([optional(TaskState.CANCELLED)], WorkstreamState.CANCELLED),
    ],
    ids=[
        "one completed, the next queued",
        "between two attempts",
        "critical failure while another runs",
        "critical failure, another queued",
        "critical one cancelled because the optional one it needs failed",
        "optional failure is passed over",
        "only optional failures",
        "optional failure, more to do",
        "critical one stopped before anything began",
        "all stopped before anything began",
    ],
)
def test_derive_workstream_in_mixed_company(tasks: list[TaskFact], expected: WorkstreamState) -> None:
    """The rules in their order, on the mixtures that meet in practice."""
    assert propagation.derive_workstream(tasks, needs_met=True) == expected


@given(tasks=some_tasks, met=st.booleans(), broken=st.booleans(), current=st.sampled_from(WorkstreamState))
def test_moves_of_a_workstream_are_in_its_table(
    tasks: list[TaskFact], met: bool, broken: bool, current: WorkstreamState
) -> None:
    """From every state towards every derived one the moves are allowed, and end there or are none at all."""
    derived = propagation.derive_workstream(tasks, needs_met=met, needs_broken=broken)
    moves = propagation.workstream_moves(current, derived)
    assert_in_table(WORKSTREAM, current, moves)
    assert moves == () or moves[-1].to == derived
    if current == WORKSTREAM.initial:
        assert moves


@pytest.mark.parametrize(("current", "derived"), list(product(WorkstreamState, WorkstreamState)))
def test_a_workstream_never_goes_back(current: WorkstreamState, derived: WorkstreamState) -> None:
    """Whatever is derived: no move leads out of an end, out of validating, or back to what lies behind."""
    moves = propagation.workstream_moves(current, derived)
    assert_in_table(WORKSTREAM, current, moves)
    if WORKSTREAM.is_terminal(current) or current in {WorkstreamState.VALIDATING, derived}:
        assert moves == ()


def test_a_workstream_whose_only_task_ran_to_its_end_is_carried_over_every_state() -> None:
    """Several states in one step are several transitions, each recorded."""
    moves = propagation.workstream_moves(WorkstreamState.PLANNED, WorkstreamState.VALIDATING)
    assert [move.trigger for move in moves] == ["dependencies_met", "first_task_started", "all_tasks_done"]


def test_a_planned_workstream_whose_needs_are_broken_is_blocked_then_skipped() -> None:
    """The table has no direct way, and the record says both: it had to wait, then could never start."""
    moves = propagation.workstream_moves(WorkstreamState.PLANNED, WorkstreamState.SKIPPED)
    assert [move.trigger for move in moves] == ["dependency_unmet", "dependency_failed"]


@given(task=st.sampled_from(TaskState), siblings=some_tasks)
def test_a_critical_failure_ends_the_tasks_beside_it(task: TaskState, siblings: list[TaskFact]) -> None:
    """A workstream that cannot land any more has no further work: what has not ended is cancelled."""
    move = propagation.task_after_siblings(task, siblings)
    assert_in_table(TASK, task, [move])
    has_loss = any(sibling.is_critical and sibling.state in LOST for sibling in siblings)
    assert (move is not None) == (has_loss and not TASK.is_terminal(task))


# -- a run from its workstreams ------------------------------------------------------------------------------


@given(workstreams=st.lists(workstream_facts, max_size=6))
def test_a_run_ends_with_its_last_workstream(workstreams: list[WorkstreamFact]) -> None:
    """A run has ended exactly when every workstream has, and its end is then one of two."""
    derived = derive_run(workstreams)
    has_ended = all(WORKSTREAM.is_terminal(workstream.state) for workstream in workstreams)
    assert (derived in {RunState.SUCCEEDED, RunState.FAILED}) == has_ended
    assert_in_table(RUN, RunState.RUNNING, [propagation.run_after_workstreams(RunState.RUNNING, workstreams)])


def test_only_a_running_run_is_ended_by_its_workstreams() -> None:
    """A run that was never started, was cancelled or has ended is not moved by how its workstreams ended."""
    landed = [WorkstreamFact(state=WorkstreamState.COMPLETED, is_critical=True)]
    moves = {state: propagation.run_after_workstreams(state, landed) for state in RunState}
    assert moves == dict.fromkeys(RunState) | {
        RunState.RUNNING: Move(RunState.SUCCEEDED, "all_workstreams_done")
    }


# -- needs ---------------------------------------------------------------------------------------------------


@given(task=st.sampled_from(TaskState), needs=st.lists(st.sampled_from(TaskState), max_size=5))
def test_a_task_is_queued_only_when_every_task_it_needs_is_completed(
    task: TaskState, needs: list[TaskState]
) -> None:
    """Rule 6: queued only when all needs are completed; cancelled when one of them never will be."""
    move = propagation.task_after_needs(task, needs)
    assert_in_table(TASK, task, [move])
    if move is not None and move.to == TaskState.QUEUED:
        assert all(need == TaskState.COMPLETED for need in needs)
    if task in {TaskState.PENDING, TaskState.BLOCKED} and LOST & set(needs):
        assert move == Move(TaskState.CANCELLED, "user_cancelled")
    if task not in {TaskState.PENDING, TaskState.BLOCKED}:
        assert move is None


def test_a_blocked_task_goes_back_to_pending_and_then_to_queued() -> None:
    """The way out of blocked leads through pending, as the table has it."""
    needs = [TaskState.COMPLETED]
    assert propagation.task_after_needs(TaskState.BLOCKED, needs) == Move(
        TaskState.PENDING, "dependency_satisfied"
    )
    assert propagation.task_after_needs(TaskState.PENDING, needs) == Move(
        TaskState.QUEUED, "scheduler_assigned"
    )
    assert propagation.task_after_needs(TaskState.BLOCKED, [TaskState.RUNNING]) is None
    waiting = propagation.task_after_needs(TaskState.PENDING, [TaskState.RUNNING])
    assert waiting == Move(TaskState.BLOCKED, "dependency_check_failed")


@pytest.mark.parametrize("state", WorkstreamState)
def test_needs_are_met_broken_or_open(state: WorkstreamState) -> None:
    """Completed meets a need, any other end breaks it, and everything else leaves it open."""
    is_met = propagation.are_needs_met([WorkstreamState.COMPLETED, state])
    is_broken = propagation.are_needs_broken([WorkstreamState.COMPLETED, state])
    assert is_met == (state == WorkstreamState.COMPLETED)
    assert is_broken == (WORKSTREAM.is_terminal(state) and not is_met)
    assert propagation.are_needs_met([])


# -- gates, patch, task --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("task", "patch"), list(product(TaskState, PatchState)))
def test_a_validating_task_is_decided_by_its_patch(task: TaskState, patch: PatchState) -> None:
    """Verified completes the task, quarantined fails it, dropped cancels it; an ended task is left alone."""
    move = propagation.task_after_patch(task, patch)
    assert_in_table(TASK, task, [move])
    expected = {
        PatchState.VERIFIED: TaskState.COMPLETED,
        PatchState.COMMITTED: TaskState.COMPLETED,
        PatchState.QUARANTINED: TaskState.FAILED,
        PatchState.DROPPED: TaskState.CANCELLED,
    }
    assert (move and move.to) == (expected.get(patch) if task == TaskState.VALIDATING else None)


# -- downwards -----------------------------------------------------------------------------------------------

ENDS = sorted({Move(to, trigger) for _, to, trigger in WORKSTREAM.transitions if WORKSTREAM.is_terminal(to)})


@pytest.mark.parametrize(("patch", "ended"), list(product(PatchState, ENDS)))
def test_patches_end_with_their_workstream(patch: PatchState, ended: Move) -> None:
    """Verified patches land together or not at all; nothing else of an ended workstream stays open."""
    move = propagation.patch_after_workstream(patch, ended)
    assert_in_table(PATCH_LEDGER, patch, [move])
    is_open = not PATCH_LEDGER.is_terminal(patch) and patch != PatchState.COMMITTED
    if ended == Move(WorkstreamState.COMPLETED, "landed"):
        assert (move and move.to) == (PatchState.COMMITTED if patch == PatchState.VERIFIED else None)
    elif ended == Move(WorkstreamState.FAILED, "validation_failed") and patch == PatchState.VERIFIED:
        assert move == Move(PatchState.QUARANTINED, "gates_failed")
    else:
        assert move == (Move(PatchState.DROPPED, "discarded") if is_open else None)


@pytest.mark.parametrize(("task", "workstream"), list(product(TaskState, WorkstreamState)))
def test_tasks_end_with_their_workstream(task: TaskState, workstream: WorkstreamState) -> None:
    """What has not ended when its workstream has is cancelled; an ended task never changes."""
    move = propagation.task_after_workstream(task, workstream)
    assert_in_table(TASK, task, [move])
    assert (move is not None) == (WORKSTREAM.is_terminal(workstream) and not TASK.is_terminal(task))


@pytest.mark.parametrize(("workstream", "run"), list(product(WorkstreamState, RunState)))
def test_cancelling_a_run_reaches_every_workstream(workstream: WorkstreamState, run: RunState) -> None:
    """A cancelled run cancels whatever of it has not ended; no other state of a run moves a workstream."""
    move = propagation.workstream_after_run(workstream, run)
    assert_in_table(WORKSTREAM, workstream, [move])
    assert (move is not None) == (run == RunState.CANCELED and not WORKSTREAM.is_terminal(workstream))


@pytest.mark.parametrize("patch", PatchState)
def test_a_rule_has_nothing_more_to_say_once_its_move_is_made(patch: PatchState) -> None:
    """The rules are level-triggered: asked again about what they brought about, they are silent."""
    for ended in ENDS:
        move = propagation.patch_after_workstream(patch, ended)
        if move is not None:
            assert propagation.patch_after_workstream(PatchState(move.to), ended) is None
