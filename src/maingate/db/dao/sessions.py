"""Sessions of browsers, by the hash of their secret; each is one of a token."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from maingate.db.schema import tables
from maingate.db.sql.columns import to_micros
from maingate.db.sql.records import Records
from maingate.db.sql.statements import change, rows_of


@dataclass(frozen=True, kw_only=True)
class SessionRow:
    """One session.

    Args:
        id: Its identifier, ``session_…``.
        token_id: The token that it was begun with.
        secret_hash: The SHA-256 of its secret.
        created_at: The time at which it began.
        expires_at: The time at which it ends by itself.
        ended_at: The time at which it was ended before; None while it is open.
    """

    id: str
    token_id: str
    secret_hash: str
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None

    def is_open(self, now: datetime) -> bool:
        """Return whether it may be used."""
        return self.ended_at is None and now < self.expires_at


_ROWS: Final = Records(tables.sessions, SessionRow)
_END: Final = "UPDATE sessions SET ended_at = ? WHERE {} = ? AND ended_at IS NULL"


def insert(connection: Connection, session: SessionRow) -> None:
    """Insert a session, unless it is on record: repositories may share the record."""
    _ROWS.insert(connection, [session], or_ignore=True)


def get(connection: Connection, session_id: str) -> SessionRow | None:
    """Read a session by its id, open or not; None when there is none."""
    return _ROWS.one(connection, "id", session_id)


def count_open(connection: Connection, now: datetime) -> dict[str, int]:
    """Count the open sessions of each token that has some."""
    sql = (
        "SELECT token_id, count(*) FROM sessions WHERE ended_at IS NULL AND expires_at > ? GROUP BY token_id"
    )
    return {token: int(count) for token, count in rows_of(connection, sql, (to_micros(now),))}


def end(connection: Connection, session_id: str, at: datetime) -> None:
    """Record that a session has ended."""
    change(connection, _END.format("id"), (to_micros(at), session_id))


def end_of_token(connection: Connection, token_id: str, at: datetime) -> None:
    """Record that all sessions of a token have ended."""
    change(connection, _END.format("token_id"), (to_micros(at), token_id))


def forget_expired(connection: Connection, now: datetime) -> None:
    """Remove the sessions whose time is over."""
    change(connection, "DELETE FROM sessions WHERE expires_at <= ?", (to_micros(now),))
