"""Requests of an operator to a run, through the database, whichever process controls the run.

A request is recorded first. A process at work reads it within a moment and answers; without one, the next
process that takes hold of the run reads it before all else. So no request is lost between two processes.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from maingate.clock import Clock, RunningTime
from maingate.db.dao import requests, runs, tasks, workstreams
from maingate.db.dao.answers import Note, unnoted
from maingate.db.dao.names import lookup
from maingate.db.dao.requests import Request, RequestKind
from maingate.db.engine import Database
from maingate.db.sql.connection import Connection
from maingate.errors import ChangedMeanwhileError, UsageError
from maingate.ids import new_id
from maingate.orchestrator.core.events import CancelRequested, OverrideRequested
from maingate.reasons import Reason, ReasonCode
from maingate.state import operator_rules
from maingate.state.machines import MACHINES
from maingate.state.operator_rules import OF_WORKSTREAMS, Facts, Override, TaskFacts, WorkstreamFacts
from maingate.state.task import TASK, TaskState

ANSWER_PATIENCE: Final = timedelta(seconds=10)
"""Maximum time that a process at work on a run may take to answer."""

LOOK_SECONDS: Final = 0.05
"""Seconds between two looks at the answer."""


def to_cancel(
    database: Database, clock: Clock, entity_id: str, *, message: str, operator: str, note: Note = unnoted
) -> Request:
    """Record the request that a run, workstream or task is cancelled.

    Args:
        database: The record.
        clock: The time.
        entity_id: The run, workstream or task.
        message: Why.
        operator: The person.
        note: Notes the request in its transaction.

    Raises:
        UsageError: It has ended already.
        UnknownEntityError: There is no such entity.
    """
    with database.write() as conn:
        run_id, state, is_over = _where(conn, entity_id)
        if (refused := operator_rules.cancel_refusal(entity_id, state, is_over=is_over)) is not None:
            raise UsageError(refused)
        request = _ask(conn, clock, run_id, "cancel", entity_id, message=message, operator=operator)
        note(conn, request.id)
        return request


def to_override(
    database: Database,
    clock: Clock,
    override: Override,
    entity_id: str,
    *,
    message: str,
    operator: str,
    version: int | None = None,
    note: Note = unnoted,
) -> Request:
    """Record the request that a task or workstream is overridden.

    Args:
        database: The record.
        clock: The time.
        override: The decision.
        entity_id: The task or workstream.
        message: Why.
        operator: The person.
        version: The version of the entity that the decision was made about; None for any.
        note: Notes the request in its transaction.

    Raises:
        ChangedMeanwhileError: The entity has another version, or another request about it waits.
        UsageError: It does not suit the state that the entity is in.
        UnknownEntityError: There is no such entity.
    """
    with database.write() as conn:
        run_id, facts = facts_of(conn, override, entity_id)
        if version is not None:
            _require_version(conn, run_id, entity_id, version)
        if (refused := operator_rules.refusal(override, facts)) is not None:
            raise UsageError(refused)
        request = _ask(conn, clock, run_id, override, entity_id, message=message, operator=operator)
        note(conn, request.id)
        return request


def _require_version(conn: Connection, run_id: str, entity_id: str, version: int) -> None:
    """Refuse a decision about an entity that has changed, or about which another decision waits.

    Raises:
        ChangedMeanwhileError: It has, or one does.
    """
    found = (tasks.get_many(conn, [entity_id]) | workstreams.get_many(conn, [entity_id]))[entity_id].version
    if found != version:
        raise ChangedMeanwhileError(
            f"{entity_id} has version {found} by now, and the decision was made about version {version}; "
            "read it again and decide anew"
        )
    if any(request.entity_id == entity_id for request in requests.waiting(conn, run_id)):
        raise ChangedMeanwhileError(
            f"another decision about {entity_id} waits for its process; read it again in a moment"
        )


def _ask(
    conn: Connection,
    clock: Clock,
    run_id: str,
    kind: RequestKind,
    entity_id: str,
    *,
    message: str,
    operator: str,
) -> Request:
    request = Request(
        id=new_id("req"),
        run_id=run_id,
        kind=kind,
        entity_id=entity_id,
        message=message,
        operator=operator,
        created_at=clock.now(),
    )
    requests.ask(conn, request)
    return request


def heard(request: Request) -> CancelRequested | OverrideRequested:
    """Return the event by which the core learns of a request."""
    if request.kind != "cancel":
        return OverrideRequested(
            override=request.kind,
            entity=request.entity_id,
            message=request.message,
            operator=request.operator,
            request=request.id,
        )
    said = f"{request.operator} cancelled it" + (f": {request.message}" if request.message else "")
    reason = Reason(code=ReasonCode.CANCELLED, message=said, detail={"operator": request.operator})
    return CancelRequested(reason=reason, entity=request.entity_id, request=request.id)


def answer_to(database: Database, request: Request) -> str | None:
    """Return the answer to a request; None while there is none.

    Raises:
        UsageError: It was refused: it did not suit the state that the entity was in by then.
    """
    with database.read() as conn:
        found = requests.find(conn, request.id)
    if found.answer is not None and found.is_refused:
        raise UsageError(found.answer)
    return found.answer


def await_answer(
    database: Database,
    clock: Clock,
    request: Request,
    *,
    is_alive: Callable[[], bool],
    patience: timedelta = ANSWER_PATIENCE,
) -> str | None:
    """Wait for the answer of the process at work on the run; None when there is no such process any more.

    Args:
        database: The database.
        clock: The time.
        request: The request.
        is_alive: Returns whether there is such a process.
        patience: Maximum time that it may take to answer.

    Raises:
        UsageError: It does not answer, or refuses.
    """
    waited = RunningTime(clock.monotonic)
    while True:
        is_answerable = is_alive()
        if (answer := answer_to(database, request)) is not None or not is_answerable:
            return answer
        if waited.now() > patience.total_seconds():
            raise UsageError(
                f"run {request.run_id} did not respond within {patience.total_seconds():.0f} s. "
                f"The request is queued; the run, or the next `maingate resume {request.run_id}`, handles it"
            )
        time.sleep(LOOK_SECONDS)


def facts_of(conn: Connection, override: Override, entity_id: str) -> tuple[str, Facts]:
    """Read the facts on which an override depends, and the run that its entity belongs to.

    A validating task may be proven; only the process at work knows, and refuses what does not suit it.

    Raises:
        UnknownEntityError: There is no such task or workstream.
    """
    if override in OF_WORKSTREAMS:
        stream = workstreams.get(conn, entity_id)
        open_ones = [
            row.name
            for row in tasks.of_workstream(conn, entity_id)
            if row.is_critical and not (TASK.is_terminal(row.state) or row.state is TaskState.VALIDATING)
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


def _where(conn: Connection, entity_id: str) -> tuple[str, str, bool]:
    """Return the run that an entity belongs to, its state, and whether that is terminal."""
    found = lookup.find(conn, entity_id, kinds=["run", "workstream", "task"])
    read = {"run": runs.get, "workstream": workstreams.get, "task": tasks.get}[found.machine]
    row = read(conn, found.id)
    return row.context.run_id or found.id, str(row.state), MACHINES[found.machine].is_terminal(row.state)
