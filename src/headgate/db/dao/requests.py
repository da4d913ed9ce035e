"""Requests: what people ask of a run that another process controls; that process looks here and answers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection

from headgate.db import tables
from headgate.db.columns import to_micros
from headgate.db.records import Records
from headgate.db.statements import change
from headgate.errors import UnknownEntityError


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
    """

    id: str
    run_id: str
    kind: Literal["cancel"]
    entity_id: str
    message: str
    operator: str
    created_at: datetime
    handled_at: datetime | None = None
    answer: str | None = None


_ROWS: Final = Records(tables.requests, Request)


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


def answer(connection: Connection, request_id: str, said: str, at: datetime) -> None:
    """Say what came of a request.

    Raises:
        UnknownEntityError: There is no such request, or it is answered already.
    """
    later = "max" if connection.dialect.name == "sqlite" else "greatest"
    sql = (
        f"UPDATE requests SET handled_at = {later}(?, created_at), answer = ?"
        " WHERE id = ? AND handled_at IS NULL"
    )
    if change(connection, sql, (to_micros(at), said, request_id)) != 1:
        raise UnknownEntityError(request_id, f"no request {request_id!r} waits for an answer")
