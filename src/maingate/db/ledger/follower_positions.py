"""The positions of followers of the ledger: the last row that each of them is done with.

A follower's work is in the same transaction as its position, or is repeated when it is not. Several processes
may follow under one name: the position moves from a known place only. Where work that was done twice would be
seen, a process holds the follower while it lives, and another takes over once the hold has expired.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from maingate.db.sql.columns import from_micros, storable, to_micros
from maingate.db.sql.statements import change, row_of, rows_of

_INSERT: Final = (
    "INSERT INTO followers (name, seq, updated_at, failures) VALUES (?, ?, ?, 0) ON CONFLICT DO NOTHING"
)
_MOVE: Final = (
    "UPDATE followers SET seq = ?, updated_at = ?, failures = 0, failure = NULL WHERE name = ? AND seq = ?"
)
_FAIL: Final = "UPDATE followers SET failures = failures + 1, failure = ?, updated_at = ? WHERE name = ?"
_HOLD: Final = (
    "UPDATE followers SET holder = ?, held_until = ?"
    " WHERE name = ? AND (holder IS NULL OR holder = ? OR held_until < ?)"
)
_RELEASE: Final = "UPDATE followers SET holder = NULL, held_until = NULL WHERE name = ? AND holder = ?"


@dataclass(frozen=True, kw_only=True)
class FollowerRow:
    """One follower, as it is on record.

    Args:
        name: Its name.
        seq: The number of the last row that it is done with.
        updated_at: The time of its last progress or failure.
        failures: Its failures since its last progress.
        failure: The last of them; None after progress.
    """

    name: str
    seq: int
    updated_at: datetime
    failures: int
    failure: str | None


def position(connection: Connection, name: str) -> int:
    """Return a follower's position; 0 when it is not on record."""
    found = row_of(connection, "SELECT seq FROM followers WHERE name = ?", (name,))
    return 0 if found is None else int(found[0])


def register(connection: Connection, name: str, seq: int, *, at: datetime) -> None:
    """Register a follower at a place, unless it is on record."""
    change(connection, _INSERT, (name, seq, to_micros(at)))


def move(connection: Connection, name: str, before: int, after: int, *, at: datetime) -> bool:
    """Move a follower on, and return whether it still was where it is moved from."""
    register(connection, name, 0, at=at)
    return change(connection, _MOVE, (after, to_micros(at), name, before)) == 1


def fail(connection: Connection, name: str, failure: str, *, at: datetime) -> None:
    """Record a failure of a follower, whose position stays."""
    register(connection, name, 0, at=at)
    change(connection, _FAIL, (storable(failure), to_micros(at), name))


def hold(connection: Connection, name: str, holder: str, *, at: datetime, until: datetime) -> bool:
    """Hold a follower on record for a process, and return whether it does: no other one may hold it."""
    values = (holder, to_micros(until), name, holder, to_micros(at))
    return change(connection, _HOLD, values) == 1


def holder_of(connection: Connection, name: str) -> str | None:
    """Return the process that holds a follower, or held it last; None without one."""
    found = row_of(connection, "SELECT holder FROM followers WHERE name = ?", (name,))
    return None if found is None or found[0] is None else str(found[0])


def release(connection: Connection, name: str, holder: str) -> None:
    """End a process's hold of a follower."""
    change(connection, _RELEASE, (name, holder))


def all_of(connection: Connection) -> list[FollowerRow]:
    """Read every follower on record, by name."""
    rows = rows_of(connection, "SELECT name, seq, updated_at, failures, failure FROM followers ORDER BY name")
    return [
        FollowerRow(name=name, seq=seq, updated_at=from_micros(at), failures=failures, failure=failure)
        for name, seq, at, failures, failure in rows
    ]
