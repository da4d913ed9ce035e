"""Requests: what people ask of a run that another process controls; that process looks here and answers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection

from maingate.db import tables
from maingate.db.columns import storable, to_micros
from maingate.db.facts import EvidenceTable
from maingate.db.statements import change
from maingate.errors import UnknownEntityError

Override = Literal["force-complete", "force-fail", "reset", "unblock", "fail", "validate"]
"""What a person may decide instead of the program: the first four about a task, then about a workstream."""

Kind = Literal["cancel"] | Override
"""What may be asked for."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One thing that somebody asks for.

    Args:
        id: Its identifier, ``req_…``.
        run_id: The run whose controlling process is asked.
        kind: What is to be done.
        entity_id: To what: the run itself, or a workstream or a task of it.
        message: Why.
        operator: Who asks.
        created_at: When it was asked.
        handled_at: When it was answered; None while it waits.
        answer: What came of it, a sentence; None while it waits.
        is_refused: Whether nothing came of it, for the reason that the answer gives.
    """

    id: str
    run_id: str
    kind: Kind
    entity_id: str
    message: str
    operator: str
    created_at: datetime
    handled_at: datetime | None = None
    answer: str | None = None
    is_refused: bool = False


_ROWS: Final = EvidenceTable(tables.requests, Request)


def ask(connection: Connection, request: Request) -> None:
    """Write a request down.

    Raises:
        InvariantError: Its run does not exist.
    """
    _ROWS.insert(connection, [request])


def waiting(connection: Connection, run_id: str) -> list[Request]:
    """Read what is asked of a run and not answered yet, oldest first."""
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


@dataclass(frozen=True, kw_only=True)
class RequestAnswer:
    """What came of a request.

    Args:
        request: Its identifier.
        said: A sentence.
        is_refused: Whether nothing came of it, for the reason that the sentence gives.
    """

    request: str
    said: str
    is_refused: bool = False


def answer(connection: Connection, given: RequestAnswer, at: datetime) -> None:
    """Say what came of a request.

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
