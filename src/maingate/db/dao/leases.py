"""Leases: who controls a repository's target, until when, and with which fencing token.

All functions run in a writing transaction, of which there is one at a time, so that reading and then writing
is safe. A released lease stays as a row that is over: its token must never be given out again.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from maingate.db import tables
from maingate.db.columns import to_micros
from maingate.db.records import Records
from maingate.db.statements import change
from maingate.ids import LeaseHolder


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to control something, for a while.

    Args:
        key: What is controlled: the repository and the target's ref.
        holder: The work that holds it.
        host: The host of the holder's process.
        pid: The holder's process.
        pid_started: When that process began, in the host's own words: a reused pid is not taken for it.
        token: Grows with every new holder.
        acquired_at: When the holder got it.
        expires_at: When it is over, unless renewed before.
    """

    key: str
    holder: LeaseHolder
    host: str
    pid: int
    pid_started: str
    token: int
    acquired_at: datetime
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class HeldBy:
    """The refusal of a lease: somebody else has it."""

    lease: Lease


_ROWS: Final = Records(tables.leases, Lease)


def acquire(
    connection: Connection,
    key: str,
    *,
    holder: LeaseHolder,
    host: str,
    pid: int,
    pid_started: str,
    now: datetime,
    ttl: timedelta,
    instead_of: Lease | None = None,
) -> Lease | HeldBy:
    """Take a lease that nobody holds.

    Args:
        connection: A writing transaction.
        key: What is to be controlled.
        holder: The work that is to hold it.
        host: The host of the process that wants it.
        pid: That process.
        pid_started: When that process began.
        now: The time.
        ttl: How long it lasts unless renewed.
        instead_of: A lease whose holder the caller has proven dead; it is taken over if it is still that one.

    Returns:
        The lease, or who holds it.
    """
    present = _ROWS.one(connection, "key", key)
    wanted = Lease(
        key=key,
        holder=holder,
        host=host,
        pid=pid,
        pid_started=pid_started,
        token=1 if present is None else present.token + 1,
        acquired_at=now,
        expires_at=now + ttl,
    )
    if present is not None:
        is_dead = instead_of is not None and instead_of.token == present.token
        if present.expires_at > now and not is_dead:
            return HeldBy(lease=present)
        change(connection, "DELETE FROM leases WHERE key = ?", (key,))
    _ROWS.insert(connection, [wanted])
    return wanted


def renew(connection: Connection, lease: Lease, *, now: datetime, ttl: timedelta) -> Lease | None:
    """Hold a lease for longer.

    Returns:
        The renewed lease; None when it is lost: somebody else took it, or it was released.
    """
    present = _ROWS.one(connection, "key", lease.key)
    if present is None or present.token != lease.token or present.expires_at == present.acquired_at:
        return None
    renewed = replace(lease, expires_at=now + ttl)
    _set_end(connection, lease, renewed.expires_at)
    return renewed


def release(connection: Connection, lease: Lease) -> bool:
    """Give a lease back; False when it was lost already."""
    if not holds(connection, lease):
        return False
    _set_end(connection, lease, lease.acquired_at)
    return True


def holds(connection: Connection, lease: Lease) -> bool:
    """Return whether a lease is still the holder's own, expired or not: nobody else has a newer token.

    Asked within the transaction that is to be fenced, the answer stays true until it ends.
    """
    present = _ROWS.one(connection, "key", lease.key)
    return present is not None and present.token == lease.token and present.expires_at > present.acquired_at


def of_key(connection: Connection, key: str) -> Lease | None:
    """Read the last lease of a key, be it over or not; None when there never was one."""
    return _ROWS.one(connection, "key", key)


def _set_end(connection: Connection, lease: Lease, expires_at: datetime) -> None:
    change(connection, "UPDATE leases SET expires_at = ? WHERE key = ?", (to_micros(expires_at), lease.key))
