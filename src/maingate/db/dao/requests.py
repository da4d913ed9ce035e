"""Requests of people to a run that another process controls; that process reads and answers them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection

from maingate.db.ledger.facts import EvidenceTable
from maingate.db.schema import tables
from maingate.db.sql.columns import storable, to_micros
from maingate.db.sql.statements import change
from maingate.errors import UnknownEntityError
from maingate.state.operator_rules import Override, RequestAnswer

RequestKind = Literal["cancel"] | Override
"""The kinds of requests."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request of a person.

    Args:
        id: Its identifier, ``req_…``.
        run_id: The run whose controlling process is asked.
        kind: The action that is requested.
        entity_id: Its object: the run itself, or a workstream or a task of it.
        message: The reason.
        operator: The person.
        created_at: The time of the request.
        handled_at: The time of the answer; None while it waits.
        answer: The result, a sentence; None while it waits.
        is_refused: Whether it was refused, for the reason in the answer.
    """

    id: str
    run_id: str
    kind: RequestKind
    entity_id: str
    message: str
    operator: str
    created_at: datetime
    handled_at: datetime | None = None
    answer: str | None = None
    is_refused: bool = False


_ROWS: Final = EvidenceTable(tables.requests, Request)


def ask(connection: Connection, request: Request) -> None:
    """Insert a request.

    Raises:
        InvariantError: Its run does not exist.
    """
    _ROWS.insert(connection, [request])


def waiting(connection: Connection, run_id: str) -> list[Request]:
    """Read the unanswered requests to a run, oldest first."""
    return _ROWS.select(
        connection, "WHERE run_id = ? AND handled_at IS NULL ORDER BY created_at, id", (run_id,)
    )


def find(connection: Connection, request_id: str) -> Request:
    """Read one request.

    Raises:
        UnknownEntityError: There is no such request.
    """
    found = _ROWS.one(connection, "id", request_id)
    if found is None:
        raise UnknownEntityError(request_id)
    return found


def answer(connection: Connection, given: RequestAnswer, at: datetime) -> None:
    """Record the answer to a request.

    Raises:
        UnknownEntityError: There is no such request, or it is answered already.
    """
    later = "max" if connection.dialect.name == "sqlite" else "greatest"
    sql = (
        f"UPDATE requests SET handled_at = {later}(?, created_at), answer = ?, is_refused = ?"
        " WHERE id = ? AND handled_at IS NULL"
    )
    values = (to_micros(at), storable(given.said), given.is_refused, given.request)
    if change(connection, sql, values) != 1:
        raise UnknownEntityError(given.request, f"no request {given.request!r} waits for an answer")
    _ROWS.bind_again(connection, given.request)
