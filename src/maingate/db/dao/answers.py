"""Answers to requests with an idempotency key, so that a request that is sent again is carried out once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from maingate.db.schema import tables
from maingate.db.sql.columns import JsonText, storable, to_micros
from maingate.db.sql.records import Records
from maingate.db.sql.statements import change


@dataclass(frozen=True, kw_only=True)
class AnswerRow:
    """A request with a key, and its answer.

    Args:
        operator: The caller; keys of others are others.
        key: The key.
        fingerprint: A digest of the request.
        created_at: The time of the request.
        status: The status of the answer; None while there is none.
        headers: The headers of the answer that belong to it.
        body: The body of the answer.
    """

    operator: str
    key: str
    fingerprint: str
    created_at: datetime
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


def finish(
    connection: Connection, operator: str, key: str, *, status: int, headers: Mapping[str, str], body: str
) -> None:
    """Record the answer to a request."""
    values = (status, JsonText().encode(dict(headers)), body, storable(operator), key)
    change(connection, f"UPDATE answers SET status = ?, headers = ?, body = ? {_KEY}", values)


def forget(connection: Connection, operator: str, key: str) -> None:
    """Remove a request that was not carried out, so that its key may be used again."""
    change(connection, f"DELETE FROM answers {_KEY}", (storable(operator), key))


def forget_before(connection: Connection, moment: datetime) -> None:
    """Remove the requests that are older than a moment."""
    change(connection, "DELETE FROM answers WHERE created_at < ?", (to_micros(moment),))
