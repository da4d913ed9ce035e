"""Asking something of a run: through the database, whichever process controls it.

The wish is written down first. A process at work hears it within a moment and answers; where there is none,
whoever takes hold of the run next hears it as the first thing. So a wish is never lost between two processes.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from maingate.clock import Clock
from maingate.db.connection import Connection
from maingate.db.dao import lookup, requests, runs, tasks, workstreams
from maingate.db.dao.requests import Kind, Override, Request
from maingate.db.engine import Database
from maingate.errors import UsageError
from maingate.ids import new_id
from maingate.orchestrator.core.events import CancelRequested, OverrideRequested
from maingate.reasons import Reason, ReasonCode
from maingate.recovery import overrides
from maingate.state.machines import MACHINES

ANSWER_PATIENCE: Final = timedelta(seconds=10)
"""How long a process that controls a run may take to answer."""

LOOK_SECONDS: Final = 0.05
"""How often it is looked whether it has."""


def to_cancel(database: Database, clock: Clock, entity_id: str, *, message: str, operator: str) -> Request:
    """Write down that a run, workstream or task is to be cancelled.

    Raises:
        UsageError: It has ended already.
        UnknownEntityError: There is no such entity.
    """
    with database.write() as conn:
        run_id, state, is_over = _where(conn, entity_id)
        if is_over:
            raise UsageError(f"{entity_id} is {state} already; there is nothing to cancel")
        return _ask(conn, clock, run_id, "cancel", entity_id, message=message, operator=operator)


def to_override(
    database: Database, clock: Clock, override: Override, entity_id: str, *, message: str, operator: str
) -> Request:
    """Write down what somebody decides about a task or workstream.

    Raises:
        UsageError: It does not suit the state that the entity is in.
        UnknownEntityError: There is no such entity.
    """
    with database.write() as conn:
        run_id, facts = overrides.facts_of(conn, override, entity_id)
        if (refused := overrides.refusal(override, facts)) is not None:
            raise UsageError(refused)
        return _ask(conn, clock, run_id, override, entity_id, message=message, operator=operator)


def _ask(
    conn: Connection,
    clock: Clock,
    run_id: str,
    kind: Kind,
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
    """Make the event that the core hears of a request."""
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
    """Read what came of a request; None while nobody has answered.

    Raises:
        UsageError: Nothing came of it: it did not suit the state that the entity was in by then.
    """
    with database.read() as conn:
        found = requests.find(conn, request.id)
    if found.answer is not None and found.is_refused:
        raise UsageError(found.answer)
    return found.answer


def await_answer(
    database: Database, clock: Clock, request: Request, *, is_alive: Callable[[], bool]
) -> str | None:
    """Wait for the process at work on the run to answer; None when there is none, or it ended before.

    Raises:
        UsageError: It does not answer, or refuses.
    """
    deadline = clock.monotonic() + ANSWER_PATIENCE.total_seconds()
    while True:
        is_answerable = is_alive()
        if (answer := answer_to(database, request)) is not None or not is_answerable:
            return answer
        if clock.monotonic() > deadline:
            raise UsageError(
                f"the process at work on run {request.run_id} has not answered yet; "
                "the wish stays, it is heard when that process, or the next one, looks"
            )
        time.sleep(LOOK_SECONDS)


def _where(conn: Connection, entity_id: str) -> tuple[str, str, bool]:
    """Find the run that an entity belongs to, its state, and whether that is terminal."""
    found = lookup.find(conn, entity_id, kinds=["run", "workstream", "task"])
    read = {"run": runs.get, "workstream": workstreams.get, "task": tasks.get}[found.machine]
    row = read(conn, found.id)
    return row.context.run_id or found.id, str(row.state), MACHINES[found.machine].is_terminal(row.state)
