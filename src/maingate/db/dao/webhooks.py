"""Receivers of webhooks: how far each has come in the ledger, and how it fares.

The position moves from a known place only, in the transaction that counts the delivery. A process holds a
receiver while it delivers, so that no two deliver to it; another one takes over once the hold has expired.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from maingate.db.schema import tables
from maingate.db.sql.columns import storable, to_micros
from maingate.db.sql.records import Records
from maingate.db.sql.statements import change

_OF: Final = " WHERE repository_id = ? AND name = ?"
_REGISTER: Final = (
    "INSERT INTO webhooks (repository_id, name, seq, delivered, failed, failures, is_gone)"
    " VALUES (?, ?, ?, 0, 0, 0, ?) ON CONFLICT DO NOTHING"
)
_HOLD: Final = (
    f"UPDATE webhooks SET holder = ?, held_until = ?{_OF}"
    " AND (holder IS NULL OR holder = ? OR held_until < ?)"
)
_RELEASE: Final = f"UPDATE webhooks SET holder = NULL, held_until = NULL{_OF} AND holder = ?"
_MOVE: Final = f"UPDATE webhooks SET seq = ?{_OF} AND seq = ?"
_DELIVERED: Final = (
    "UPDATE webhooks SET seq = ?, delivered = delivered + 1, delivered_at = ?, held_until = ?, failures = 0,"
    f" failure = NULL, failing_since = NULL, next_at = NULL, is_gone = ?{_OF} AND seq = ? AND holder = ?"
)
_FAILED: Final = (
    "UPDATE webhooks SET failed = failed + 1, failures = failures + 1, failure = ?,"
    f" failing_since = coalesce(failing_since, ?), tried_at = ?, next_at = ?, is_gone = ?{_OF} AND holder = ?"
)
_HURRY: Final = f"UPDATE webhooks SET next_at = tried_at, is_gone = ?{_OF} AND failures > 0"


@dataclass(frozen=True, kw_only=True)
class WebhookRow:
    """One receiver, as it is on record.

    Args:
        repository_id: The repository whose settings name it.
        name: Its name there.
        seq: The number of the last row of the ledger that it is done with.
        delivered: The events that it has taken.
        failed: The attempts that failed.
        delivered_at: The time of its last delivery.
        failures: The attempts that failed since its last delivery.
        failure: The last of them.
        failing_since: The time of the first of them.
        tried_at: The time of the last of them.
        next_at: The time of the next attempt.
        is_gone: Whether it answered that it is gone for good.
        holder: The process that delivers to it.
        held_until: The time up to which that has it.
    """

    repository_id: str
    name: str
    seq: int
    delivered: int
    failed: int
    delivered_at: datetime | None
    failures: int
    failure: str | None
    failing_since: datetime | None
    tried_at: datetime | None
    next_at: datetime | None
    is_gone: bool
    holder: str | None
    held_until: datetime | None

    def rests_at(self, now: datetime) -> bool:
        """Return whether no attempt is to be made yet; a clock that was set back ends the rest."""
        if self.is_gone:
            return True
        return self.next_at is not None and (self.tried_at or now) <= now < self.next_at


_ROWS: Final = Records(tables.webhooks, WebhookRow)


@dataclass(frozen=True)
class WebhookKey:
    """The key of a receiver.

    Args:
        repository_id: The repository whose settings name it.
        name: Its name there.
    """

    repository_id: str
    name: str

    @property
    def values(self) -> tuple[str, str]:
        """The values of its columns."""
        return self.repository_id, self.name


def find(connection: Connection, key: WebhookKey) -> WebhookRow | None:
    """Read a receiver; None when it is not on record yet."""
    return next(iter(_ROWS.select(connection, _OF, key.values)), None)


def of_repositories(connection: Connection, repository_ids: Sequence[str]) -> list[WebhookRow]:
    """Read the receivers of some repositories, by name."""
    found = _ROWS.select_in(connection, "repository_id", repository_ids)
    return sorted(found, key=lambda row: (row.name, row.repository_id))


def register(connection: Connection, key: WebhookKey, seq: int) -> None:
    """Register a receiver at a place, unless it is on record."""
    change(connection, _REGISTER, (*key.values, seq, False))


def hold(connection: Connection, key: WebhookKey, holder: str, *, at: datetime, until: datetime) -> bool:
    """Hold a receiver on record for a process, and return whether it does: no other one may hold it."""
    values = (holder, to_micros(until), *key.values, holder, to_micros(at))
    return change(connection, _HOLD, values) == 1


def release(connection: Connection, key: WebhookKey, holder: str) -> None:
    """End a process's hold of a receiver."""
    change(connection, _RELEASE, (*key.values, holder))


def move(connection: Connection, key: WebhookKey, before: int, after: int) -> bool:
    """Move a receiver on over rows that it is not sent; return whether it was where it is moved from."""
    return change(connection, _MOVE, (after, *key.values, before)) == 1


def delivered(
    connection: Connection,
    key: WebhookKey,
    event: tuple[int, int],
    holder: str,
    *,
    at: datetime,
    until: datetime,
) -> bool:
    """Move a receiver on over an event that it has taken, and hold it for longer.

    Args:
        connection: A writing transaction.
        key: The receiver.
        event: The place that it is at, and that of the event.
        holder: The process that holds it.
        at: The time.
        until: The end of the hold.

    Returns:
        Whether the process still holds it, and it was at that place.
    """
    before, after = event
    values = (after, to_micros(at), to_micros(until), False, *key.values, before, holder)
    return change(connection, _DELIVERED, values) == 1


def failed(
    connection: Connection,
    key: WebhookKey,
    holder: str,
    failure: str,
    *,
    at: datetime,
    next_at: datetime,
    is_gone: bool,
) -> None:
    """Record an attempt that failed, of the process that holds the receiver; the position stays."""
    now = to_micros(at)
    values = (storable(failure), now, now, to_micros(next_at), is_gone, *key.values, holder)
    change(connection, _FAILED, values)


def hurry(connection: Connection, key: WebhookKey) -> None:
    """End the rest of a receiver, so that the next attempt is made at once."""
    change(connection, _HURRY, (False, *key.values))
