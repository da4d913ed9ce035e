"""Hands on the controls: what an operator may decide instead of the program (SSOT §5, Manual overrides).

Each override is one transaction: the transitions, which the tables must allow, and an event of the type
``manual_override`` with the operator and the reason. Nothing here asks whether a living process controls the
run; the caller holds the run's target.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from headgate.db.columns import keepable
from headgate.db.dao import approvals, breakers, events, patches, tasks, workers, workstreams
from headgate.db.dao.approvals import Approval
from headgate.db.dao.patches import PatchRow
from headgate.db.dao.tasks import TaskRow
from headgate.db.dao.workers import WorkerRow
from headgate.db.transitions import HasHead, Step, write
from headgate.errors import UsageError
from headgate.events import Event, Severity
from headgate.ids import EventId, new_id
from headgate.reasons import Reason, ReasonCode
from headgate.recovery.circuit_breaker import Guard, new_row
from headgate.state.circuit_breaker import BreakerState
from headgate.state.patch_ledger import PATCH_LEDGER, PatchState
from headgate.state.task import TASK, TaskState
from headgate.state.workstream import WORKSTREAM, WorkstreamState

_WAITING: Final = frozenset({TaskState.PENDING, TaskState.QUEUED, TaskState.RETRYING})


def by_hand(message: str, operator: str, code: ReasonCode = ReasonCode.REJECTED) -> Reason:
    """Make the reason of what an operator decided."""
    return Reason(code=code, message=f"{operator}: {message}", detail={"operator": operator})


def note(
    conn: Connection,
    entity: HasHead,
    action: str,
    *,
    message: str,
    operator: str,
    at: datetime,
    **facts: Any,
) -> None:
    """Put an override on record as an event, beside the transitions that it makes."""
    head = entity.head
    event = Event(
        event_id=EventId(new_id("evt")),
        timestamp=at,
        event_type="manual_override",
        severity=Severity.WARNING,
        entity_type=head.machine,
        entity_id=head.id,
        from_state=None,
        trigger=action,
        reason={"message": message},
        metadata={"action": action, "state_before": head.state, **facts},
        operator=operator,
        run_id=head.context.run_id,
        workstream_id=head.context.workstream_id,
        task_id=head.context.task_id,
    )
    events.record(conn, event)


# -- breakers ------------------------------------------------------------------------------------------------


def reset_breaker(conn: Connection, tool: str, *, message: str, operator: str, at: datetime) -> None:
    """Use a tool again that is left alone.

    Raises:
        UsageError: It is not left alone.
    """
    row = breakers.locked(conn, tool)
    if row is None or row.state is not BreakerState.OPEN:
        state = BreakerState.CLOSED if row is None else row.state
        hint = "its probe decides" if state is BreakerState.HALF_OPEN else "there is nothing to reset"
        raise UsageError(f"the breaker of {tool!r} is {state}; {hint}")
    step = breakers.reset(row, by_hand(message, operator), operator=operator)
    write(conn, {row.id: row.head}, [step], at=at)
    note(conn, row, "reset", message=message, operator=operator, at=at, tool=tool)


def trip_breaker(
    conn: Connection, tool: str, new: Guard, *, message: str, operator: str, at: datetime
) -> None:
    """Leave a tool alone.

    Raises:
        UsageError: It is left alone already.
    """
    row = breakers.locked(conn, tool)
    if row is None:
        [row] = breakers.insert_many(conn, [new_row(new)], at=at, operator=operator)
    if row.state is not BreakerState.CLOSED:
        raise UsageError(f"the breaker of {tool!r} is {row.state} already; there is nothing to trip")
    step = breakers.trip(row, by_hand(message, operator), operator=operator)
    write(conn, {row.id: row.head}, [step], at=at)
    note(conn, row, "trip", message=message, operator=operator, at=at, tool=tool)


# -- patches -------------------------------------------------------------------------------------------------


def drop_patch(conn: Connection, patch: PatchRow, *, message: str, operator: str, at: datetime) -> None:
    """Give a quarantined patch up.

    Raises:
        UsageError: It is not in quarantine.
    """
    if patch.state is not PatchState.QUARANTINED:
        raise UsageError(
            f"patch {patch.id} is {patch.state}; only what is quarantined can be dropped"
            + ("; `headgate rollback` takes it back" if patch.state is PatchState.COMMITTED else "")
        )
    step = patches.drop(patch, by_hand(message, operator), operator=operator)
    write(conn, {patch.id: patch.head}, [step], at=at)
    note(conn, patch, "drop", message=message, operator=operator, at=at)


def approve_patch(conn: Connection, patch: PatchRow, *, message: str, operator: str, at: datetime) -> bool:
    """Note that somebody approves a patch; False when that person had done so before.

    Raises:
        UsageError: It is decided already what becomes of it.
    """
    if PATCH_LEDGER.is_terminal(patch.state) or patch.state is PatchState.COMMITTED:
        raise UsageError(f"patch {patch.id} is {patch.state}; an approval changes nothing any more")
    given = Approval(patch_id=patch.id, operator=keepable(operator), message=message, created_at=at)
    if not approvals.add(conn, given):
        return False
    event = Event(
        event_id=EventId(new_id("evt")),
        timestamp=at,
        event_type="patch_approved",
        severity=Severity.INFO,
        entity_type=patch.machine,
        entity_id=patch.id,
        reason={"message": message},
        metadata={"approvals": approvals.count(conn, patch.id)},
        operator=operator,
        run_id=patch.run_id,
        workstream_id=patch.workstream_id,
        task_id=patch.task_id,
    )
    events.record(conn, event)
    return True


# -- tasks ---------------------------------------------------------------------------------------------------


def force_complete(conn: Connection, task: TaskRow, *, message: str, operator: str, at: datetime) -> None:
    """Take a step without a patch as done.

    Raises:
        UsageError: It has ended, waits for others, or makes a patch: what lands is decided by gates alone.
    """
    if task.kind not in {"command", "noop"}:
        raise UsageError(
            f"task {task.name} makes a patch, and a patch counts only when its gates passed; "
            "`headgate patch recover` tries another one, `headgate cancel` gives the task up"
        )
    steps, worker = _to_validating(conn, task, operator, at)
    steps.append(tasks.complete(task, reason=by_hand(message, operator), operator=operator))
    _write_task(conn, task, steps, worker, at)
    note(conn, task, "force-complete", message=message, operator=operator, at=at)
    for waiting in _dependents(conn, task):
        if waiting.state is TaskState.BLOCKED and not _unmet(conn, waiting):
            go_on = [tasks.unblock(waiting), tasks.queue(waiting)]
            write(conn, {waiting.id: waiting.head}, go_on, at=at)
    _close_when_done(conn, task.workstream_id, at)


def force_fail(conn: Connection, task: TaskRow, *, message: str, operator: str, at: datetime) -> None:
    """Let a task fail, and drop its patch with it.

    Raises:
        UsageError: It has ended, or waits for others.
    """
    reason = by_hand(message, operator)
    steps, worker = _to_validating(conn, task, operator, at)
    steps.append(tasks.fail(task, reason, trigger="validation_failed", operator=operator))
    _write_task(conn, task, steps, worker, at)
    _drop_patches(conn, patches.of_task(conn, task.id), reason, operator, at)
    note(conn, task, "force-fail", message=message, operator=operator, at=at)
    if task.is_critical:
        stream = workstreams.get(conn, task.workstream_id)
        _fail(conn, stream, reason, operator, at)
        return
    lost, cause = _dependents(conn, task), _dependency_failed("task", task.name)
    while lost:
        each = lost.pop()
        if not TASK.is_terminal(tasks.get(conn, each.id).state):
            write(conn, {each.id: each.head}, [tasks.cancel(each, cause)], at=at)
            lost += _dependents(conn, each)
    _close_when_done(conn, task.workstream_id, at)


def reset_task(conn: Connection, task: TaskRow, *, message: str, operator: str, at: datetime) -> None:
    """Let a task that waits for its next attempt begin at once, with all its retries before it.

    Raises:
        UsageError: It does not wait for a retry.
    """
    if task.state is not TaskState.RETRYING:
        hint = (
            "what has ended stays ended; `headgate patch recover` makes a new run of it"
            if TASK.is_terminal(task.state)
            else "it goes on by itself"
        )
        raise UsageError(f"task {task.name} is {task.state}; {hint}")
    made = tasks.requeue(task, reason=by_hand(message, operator), operator=operator)
    sets: Mapping[str, Any] = {**made.sets, "retry_count": 0, "lost_count": 0}
    step = Step(
        head_id=made.head_id,
        machine=made.machine,
        to=made.to,
        trigger=made.trigger,
        reason=made.reason,
        operator=operator,
        sets=sets,
    )
    write(conn, {task.id: task.head}, [step], at=at)
    note(conn, task, "reset", message=message, operator=operator, at=at)


def unblock(conn: Connection, task: TaskRow, *, message: str, operator: str, at: datetime) -> None:
    """Look at a blocked task anew whose needs are all completed.

    Raises:
        UsageError: It is not blocked, or what it needs is not completed: that decides, nobody else.
    """
    if task.state is not TaskState.BLOCKED:
        raise UsageError(f"task {task.name} is {task.state}, not blocked")
    if unmet := _unmet(conn, task):
        raise UsageError(f"task {task.name} waits for {', '.join(unmet)}; complete or cancel that first")
    steps = [
        tasks.unblock(task, reason=by_hand(message, operator), operator=operator),
        tasks.queue(task, operator=operator),
    ]
    write(conn, {task.id: task.head}, steps, at=at)
    note(conn, task, "unblock", message=message, operator=operator, at=at)


def _to_validating(
    conn: Connection, task: TaskRow, operator: str, at: datetime
) -> tuple[list[Step], WorkerRow | None]:
    """Lead a task through the states that lie before its end; only such as its table allows."""
    if TASK.is_terminal(task.state):
        raise UsageError(f"task {task.name} is {task.state} already; what has ended stays ended")
    if workstreams.get(conn, task.workstream_id).state is not WorkstreamState.EXECUTING:
        raise UsageError(f"the workstream of task {task.name} has not begun; `headgate cancel` ends it")
    unmet = _unmet(conn, task)
    if task.state is TaskState.BLOCKED or unmet:
        raise UsageError(
            f"task {task.name} waits for {', '.join(unmet) or 'others'} and has not begun; "
            "`headgate cancel` ends it"
        )
    steps: list[Step] = []
    if task.state is TaskState.PENDING:
        steps.append(tasks.queue(task, operator=operator))
    if task.state is TaskState.RETRYING:
        steps.append(tasks.requeue(task, operator=operator))
    worker = None
    if task.state in _WAITING:
        worker = WorkerRow(id=new_id("wrk"), name=f"by hand: {operator}", heartbeat_at=at)
        steps.append(tasks.start(task, worker_id=worker.id, operator=operator))
    if task.state is not TaskState.VALIDATING:
        steps.append(tasks.produced(task, operator=operator))
    return steps, worker


def _write_task(
    conn: Connection, task: TaskRow, steps: Sequence[Step], worker: WorkerRow | None, at: datetime
) -> None:
    heads = {task.id: task.head}
    if worker is not None:
        [made] = workers.insert_many(conn, [worker], at=at)
        heads[made.id] = made.head
        steps = [workers.register(made), *steps, workers.shut_down(made)]
    write(conn, heads, steps, at=at)


def _unmet(conn: Connection, task: TaskRow) -> list[str]:
    needed = tasks.needs(conn, task.run_id).get(task.id, ())
    rows = tasks.get_many(conn, needed).values()
    return [row.name for row in rows if row.state is not TaskState.COMPLETED]


def _drop_patches(
    conn: Connection, rows: Sequence[PatchRow], reason: Reason, operator: str, at: datetime
) -> None:
    open_ones = [
        row
        for row in rows
        if not PATCH_LEDGER.is_terminal(row.state) and row.state is not PatchState.COMMITTED
    ]
    steps = [patches.drop(row, reason, operator=operator) for row in open_ones]
    write(conn, {row.id: row.head for row in open_ones}, steps, at=at)


# -- workstreams ---------------------------------------------------------------------------------------------


def fail_workstream(
    conn: Connection, row: workstreams.WorkstreamRow, *, message: str, operator: str, at: datetime
) -> None:
    """Let a workstream fail that is under way: its tasks are cancelled, its patches dropped.

    Raises:
        UsageError: It has ended, or has not begun.
    """
    if row.state not in {WorkstreamState.EXECUTING, WorkstreamState.VALIDATING}:
        is_over = WORKSTREAM.is_terminal(row.state)
        hint = "what has ended stays ended" if is_over else "it has not begun; `headgate cancel` ends it"
        raise UsageError(f"workstream {row.name} is {row.state}; {hint}")
    _fail(conn, row, by_hand(message, operator), operator, at)
    note(conn, row, "fail", message=message, operator=operator, at=at)


def _fail(
    conn: Connection, row: workstreams.WorkstreamRow, reason: Reason, operator: str, at: datetime
) -> None:
    """Fail a workstream, and skip what can never begin because of that."""
    open_tasks = [each for each in tasks.of_workstream(conn, row.id) if not TASK.is_terminal(each.state)]
    mine = [each for each in patches.of_run(conn, row.run_id) if each.workstream_id == row.id]
    is_landing = row.state is WorkstreamState.VALIDATING
    steps = [
        *(tasks.cancel(each, reason, operator=operator) for each in open_tasks),
        workstreams.fail(
            row,
            reason,
            trigger="validation_failed" if is_landing else "critical_task_failed",
            operator=operator,
        ),
    ]
    write(conn, {each.id: each.head for each in (*open_tasks, row)}, steps, at=at)
    _drop_patches(conn, mine, reason, operator, at)
    _skip_dependents(conn, row, at)


def _skip_dependents(conn: Connection, ended: workstreams.WorkstreamRow, at: datetime) -> None:
    cause = _dependency_failed("workstream", ended.name)
    needs = workstreams.needs(conn, ended.run_id)
    for row in workstreams.of_run(conn, ended.run_id):
        if ended.id not in needs.get(row.id, ()) or WORKSTREAM.is_terminal(row.state):
            continue
        waiting = [each for each in tasks.of_workstream(conn, row.id) if not TASK.is_terminal(each.state)]
        planned = [workstreams.block(row)] if row.state is WorkstreamState.PLANNED else []
        steps = [
            *(tasks.cancel(each, cause) for each in waiting),
            *planned,
            workstreams.skip(row, cause),
        ]
        write(conn, {each.id: each.head for each in (*waiting, row)}, steps, at=at)
        _skip_dependents(conn, row, at)


def _close_when_done(conn: Connection, workstream_id: str, at: datetime) -> None:
    """Send a workstream to the target's lane when its last task has ended."""
    rows = tasks.of_workstream(conn, workstream_id)
    stream = workstreams.get(conn, workstream_id)
    if stream.state is not WorkstreamState.EXECUTING or not all(TASK.is_terminal(row.state) for row in rows):
        return
    ledger = patches.present(patches.of_run(conn, stream.run_id))
    settled = [ledger[row.id].commit for row in rows if row.id in ledger and _is_settled(ledger[row.id])]
    step = workstreams.validate(stream, head_commit=settled[-1] if settled else None)
    write(conn, {stream.id: stream.head}, [step], at=at)


def _is_settled(patch: PatchRow) -> bool:
    return patch.state is PatchState.VERIFIED


def _dependents(conn: Connection, task: TaskRow) -> list[TaskRow]:
    needs = tasks.needs(conn, task.run_id)
    return [row for row in tasks.of_workstream(conn, task.workstream_id) if task.id in needs.get(row.id, ())]


def _dependency_failed(kind: str, name: str) -> Reason:
    return Reason(
        code=ReasonCode.DEPENDENCY_FAILED,
        message=f"it needs {kind} {name}, which did not complete",
        detail={"needs": name},
    )
