"""Answers to requests with an idempotency key, so that a request that is sent again is carried out once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from maingate.db.schema import tables
from maingate.db.sql.columns import JsonText, storable, to_micros
from maingate.db.sql.records import Records
from maingate.db.sql.statements import change

Note = Callable[[Connection, str], None]
"""Records, in the transaction of an action, a text from which its answer can be made again."""


def unnoted(_connection: Connection, _made: str) -> None:
    """Record nothing: the request has no idempotency key."""


@dataclass(frozen=True, kw_only=True)
class AnswerRow:
    """A request with a key, and its answer.

    Args:
        operator: The caller; keys of others are others.
        key: The key.
        fingerprint: A digest of the request.
        claim: A name of the process's work on it; another process that goes on with it changes it.
        created_at: The time of the request.
        made: A text from which the answer can be made; None until the request has had an effect.
        status: The status of the answer; None while there is none.
        headers: The headers of the answer that belong to it.
        body: The body of the answer.
    """

    operator: str
    key: str
    fingerprint: str
    claim: str
    created_at: datetime
    made: str | None = None
    status: int | None = None
    headers: Mapping[str, str] | None = None
    body: str | None = None


_ROWS: Final = Records(tables.answers, AnswerRow)
_KEY: Final = "WHERE operator = ? AND key = ?"


def find(connection: Connection, operator: str, key: str) -> AnswerRow | None:
    """Read the request with a key; None when there is none."""
    found = _ROWS.select(connection, _KEY, (storable(operator), key))
    return found[0] if found else None


def begin(connection: Connection, row: AnswerRow) -> None:
    """Insert a request that is about to be carried out."""
    _ROWS.insert(connection, [row])


def take_over(connection: Connection, row: AnswerRow, claim: str) -> None:
    """Change the claim to an interrupted request; the work that it is taken from can note nothing more."""
    values = (claim, storable(row.operator), row.key)
    change(connection, f"UPDATE answers SET claim = ? {_KEY} AND status IS NULL", values)


def note(connection: Connection, claim: str, made: str) -> bool:
    """Record that a request has had its effect; return False if it was taken over by other work."""
    sql = "UPDATE answers SET made = ? WHERE claim = ? AND made IS NULL AND status IS NULL"
    return change(connection, sql, (storable(made), claim)) == 1


def finish(connection: Connection, claim: str, *, status: int, headers: Mapping[str, str], body: str) -> None:
    """Record the answer to a request."""
    values = (status, JsonText().encode(dict(headers)), body, claim)
    change(connection, "UPDATE answers SET status = ?, headers = ?, body = ? WHERE claim = ?", values)


def forget(connection: Connection, claim: str) -> None:
    """Remove a request that has had no effect, so that its key may be used again."""
    change(connection, "DELETE FROM answers WHERE claim = ? AND made IS NULL", (claim,))


def forget_before(connection: Connection, moment: datetime) -> None:
    """Remove the requests that are older than a moment."""
    change(connection, "DELETE FROM answers WHERE created_at < ?", (to_micros(moment),))
