"""Hands on the controls: what an operator may decide instead of the program (docs/SPECIFICATION.md §5.4).

Each override is one transaction: the transitions, which the tables must allow, and an event of the type
``manual_override`` with the operator and the reason. Breakers and patches in quarantine are nobody's, so
what is decided about them is written here. Tasks and workstreams belong to the process that controls their
run: here it is only said what suits them, and its core decides (`core.operator_decisions`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from maingate.db.columns import storable
from maingate.db.connection import Connection
from maingate.db.dao import approvals, breakers, events, tasks, workstreams
from maingate.db.dao.approvals import Approval
from maingate.db.dao.patches import PatchRow
from maingate.db.dao.requests import Override
from maingate.db.new_event import new_event
from maingate.db.transitions import write
from maingate.errors import UsageError
from maingate.events import Event, EventType, Severity
from maingate.reasons import Reason, ReasonCode
from maingate.recovery.breaker_store import new_row
from maingate.recovery.circuit_breaker import Guard
from maingate.state.circuit_breaker import BreakerState
from maingate.state.patch_ledger import PATCH_LEDGER, PatchState
from maingate.state.steps import breakers as breaker_steps
from maingate.state.steps import patches as patch_steps
from maingate.state.steps.step import HasHead
from maingate.state.task import TASK, TaskState
from maingate.state.workstream import WORKSTREAM, WorkstreamState


def by_hand(message: str, operator: str, code: ReasonCode = ReasonCode.REJECTED) -> Reason:
    """Make the reason of what an operator decided."""
    return Reason(code=code, message=f"{operator}: {message}", detail={"operator": operator})


def event_of(
    entity: HasHead, action: str, *, state: str, message: str, operator: str, at: datetime, **facts: Any
) -> Event:
    """Make the event that puts an override on record, beside the transitions that it makes.

    Args:
        entity: What it is about.
        action: What was decided.
        state: The state that it was in before.
        message: Why.
        operator: Who decided it.
        at: When.
        **facts: What else to keep.
    """
    return new_event(
        EventType.MANUAL_OVERRIDE,
        entity.head,
        at,
        severity=Severity.WARNING,
        trigger=action,
        reason=message,
        metadata={"action": action, "state_before": state, **facts},
        operator=operator,
    )


def _note(
    conn: Connection,
    entity: HasHead,
    action: str,
    *,
    message: str,
    operator: str,
    at: datetime,
    **facts: Any,
) -> None:
    state = entity.head.state
    events.record(
        conn, event_of(entity, action, state=state, message=message, operator=operator, at=at, **facts)
    )


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
    step = breaker_steps.reset(row, by_hand(message, operator), operator=operator)
    write(conn, {row.id: row.head}, [step], at=at)
    _note(conn, row, "reset", message=message, operator=operator, at=at, tool=tool)


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
    step = breaker_steps.trip(row, by_hand(message, operator), operator=operator)
    write(conn, {row.id: row.head}, [step], at=at)
    _note(conn, row, "trip", message=message, operator=operator, at=at, tool=tool)


# -- patches -------------------------------------------------------------------------------------------------


def drop_patch(conn: Connection, patch: PatchRow, *, message: str, operator: str, at: datetime) -> None:
    """Give a quarantined patch up.

    Raises:
        UsageError: It is not in quarantine.
    """
    if patch.state is not PatchState.QUARANTINED:
        raise UsageError(
            f"patch {patch.id} is {patch.state}; only what is quarantined can be dropped"
            + ("; `maingate rollback` takes it back" if patch.state is PatchState.COMMITTED else "")
        )
    step = patch_steps.drop(patch, by_hand(message, operator), operator=operator)
    write(conn, {patch.id: patch.head}, [step], at=at)
    _note(conn, patch, "drop", message=message, operator=operator, at=at)


def approve_patch(conn: Connection, patch: PatchRow, *, message: str, operator: str, at: datetime) -> bool:
    """Note that somebody approves a patch; False when that person had done so before.

    Raises:
        UsageError: It is decided already what becomes of it.
    """
    if PATCH_LEDGER.is_terminal(patch.state) or patch.state is PatchState.COMMITTED:
        raise UsageError(f"patch {patch.id} is {patch.state}; an approval changes nothing any more")
    given = Approval(patch_id=patch.id, operator=storable(operator), message=message, created_at=at)
    if not approvals.add(conn, given):
        return False
    event = new_event(
        EventType.PATCH_APPROVED,
        patch.head,
        at,
        reason=message,
        metadata={"approvals": approvals.count(conn, patch.id)},
        operator=operator,
    )
    events.record(conn, event)
    return True


# -- tasks and workstreams -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class TaskFacts:
    """What tells whether something may be decided by hand about a task.

    Args:
        name: The plan's own id of it.
        kind: What it does.
        state: Where it is.
        workstream: Where its workstream is.
        unmet: The names of the tasks that it needs and that are not completed.
    """

    name: str
    kind: str
    state: TaskState
    workstream: WorkstreamState
    unmet: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class WorkstreamFacts:
    """What tells whether something may be decided by hand about a workstream.

    Args:
        name: The plan's own id of it.
        state: Where it is.
        indispensable: The names of its critical tasks that have not ended.
    """

    name: str
    state: WorkstreamState
    indispensable: Sequence[str] = ()


Facts = TaskFacts | WorkstreamFacts

OF_WORKSTREAMS: Final[frozenset[Override]] = frozenset({"fail", "validate"})
"""What can be decided about a workstream; the rest is about tasks."""


def facts_of(conn: Connection, override: Override, entity_id: str) -> tuple[str, Facts]:
    """Read what tells whether an override suits its entity, and the run that the entity belongs to.

    Raises:
        UnknownEntityError: There is no such task, or no such workstream.
    """
    if override in OF_WORKSTREAMS:
        stream = workstreams.get(conn, entity_id)
        open_ones = [
            row.name
            for row in tasks.of_workstream(conn, entity_id)
            if row.is_critical and not TASK.is_terminal(row.state)
        ]
        return stream.run_id, WorkstreamFacts(name=stream.name, state=stream.state, indispensable=open_ones)
    task = tasks.get(conn, entity_id)
    needed = tasks.get_many(conn, tasks.needs(conn, task.run_id).get(task.id, ())).values()
    return task.run_id, TaskFacts(
        name=task.name,
        kind=task.kind,
        state=task.state,
        workstream=workstreams.get(conn, task.workstream_id).state,
        unmet=[row.name for row in needed if row.state is not TaskState.COMPLETED],
    )


def refusal(override: Override, facts: Facts) -> str | None:
    """Say why an override does not suit its entity as that is now; None when it does."""
    if isinstance(facts, WorkstreamFacts) is not (override in OF_WORKSTREAMS):
        return f"`{override}` is nothing that can be decided about {facts.name}"
    return next((why for ask in _QUESTIONS[override] if (why := ask(facts)) is not None), None)


def _makes_a_patch(task: TaskFacts) -> str | None:
    if task.kind in {"command", "noop"}:
        return None
    return (
        f"task {task.name} makes a patch, and a patch counts only when its gates passed; "
        "`maingate patch recover` tries another one, `maingate cancel` gives the task up"
    )


def _not_ended_by_hand(task: TaskFacts) -> str | None:
    if TASK.is_terminal(task.state):
        return f"task {task.name} is {task.state} already; what has ended stays ended"
    if task.workstream is not WorkstreamState.EXECUTING:
        return f"the workstream of task {task.name} has not begun; `maingate cancel` ends it"
    if task.state is TaskState.BLOCKED or task.unmet:
        return (
            f"task {task.name} waits for {', '.join(task.unmet) or 'others'} and has not begun; "
            "`maingate cancel` ends it"
        )
    return None


def _not_reset(task: TaskFacts) -> str | None:
    if task.state is TaskState.RETRYING:
        return None
    hint = (
        "what has ended stays ended; `maingate patch recover` makes a new run of it"
        if TASK.is_terminal(task.state)
        else "it goes on by itself"
    )
    return f"task {task.name} is {task.state}; {hint}"


def _not_free(task: TaskFacts) -> str | None:
    if task.state is not TaskState.BLOCKED:
        return f"task {task.name} is {task.state}, not blocked"
    if task.unmet:
        return f"task {task.name} waits for {', '.join(task.unmet)}; complete or cancel that first"
    return None


def _not_under_way(workstream: WorkstreamFacts) -> str | None:
    if workstream.state in {WorkstreamState.EXECUTING, WorkstreamState.VALIDATING}:
        return None
    is_over = WORKSTREAM.is_terminal(workstream.state)
    hint = "what has ended stays ended" if is_over else "it has not begun; `maingate cancel` ends it"
    return f"workstream {workstream.name} is {workstream.state}; {hint}"


def _not_validated_early(workstream: WorkstreamFacts) -> str | None:
    if workstream.state is WorkstreamState.VALIDATING:
        return f"workstream {workstream.name} is validating already; its gates decide, nobody else"
    if workstream.indispensable:
        return (
            f"workstream {workstream.name} cannot land without {', '.join(workstream.indispensable)}: what "
            "is critical must be completed first; `maingate override fail` gives the workstream up"
        )
    return None


_QUESTIONS: Final[Mapping[Override, Sequence[Callable[[Any], str | None]]]] = MappingProxyType(
    {
        "force-complete": (_makes_a_patch, _not_ended_by_hand),
        "force-fail": (_not_ended_by_hand,),
        "reset": (_not_reset,),
        "unblock": (_not_free,),
        "fail": (_not_under_way,),
        "validate": (_not_under_way, _not_validated_early),
    }
)
"""What may speak against each override, in the order in which it is asked."""
