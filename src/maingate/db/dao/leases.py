"""Leases: the holder of a target, a run or a repository, its expiry, and its fencing token.

All functions that write run in a writing transaction, of which there is one at a time, so that reading and
then writing is safe. A released lease stays as an expired row, because its token must never be issued again.
The row of a run may be removed once the run has ended: no process takes hold of it any more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from maingate.db.schema import tables
from maingate.db.sql.columns import to_micros
from maingate.db.sql.records import Records
from maingate.db.sql.statements import change, row_of
from maingate.ids import LeaseHolder


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to control a target, a run or a repository, for a limited time.

    Args:
        key: The name of its subject (`maingate.landing.lease` makes the keys).
        holder: The work that holds it.
        host: The host of the holder's process.
        pid: The holder's process.
        pid_started: The start of that process, in the host's form, which tells it from one with a reused pid.
        token: Grows with every new holder.
        acquired_at: The time the holder got it.
        expires_at: Its end, unless it is renewed before.
    """

    key: str
    holder: LeaseHolder
    host: str
    pid: int
    pid_started: str
    token: int
    acquired_at: datetime
    expires_at: datetime

    @property
    def is_released(self) -> bool:
        """Return whether its holder gave it up; an end before its beginning is that of a clock set back."""
        return self.expires_at == self.acquired_at


@dataclass(frozen=True, kw_only=True)
class HeldBy:
    """The refusal of a lease, with its holder."""

    lease: Lease


RUN: Final = "run:"
"""Prefix of the keys of runs; the run's id follows."""

_ROWS: Final = Records(tables.leases, Lease)
_OF_RUN: Final = (
    f"substr(key, 1, {len(RUN)}) = '{RUN}'"
    f" AND EXISTS (SELECT 1 FROM runs WHERE runs.id = substr(leases.key, {len(RUN) + 1}) AND "
)


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
    """Acquire a lease that is free.

    Args:
        connection: A writing transaction.
        key: The name of its subject.
        holder: The work that is to hold it.
        host: The host of the requesting process.
        pid: That process.
        pid_started: The start of that process.
        now: The time.
        ttl: Its lifetime unless it is renewed.
        instead_of: A lease whose holder the caller has proven dead; it is taken over if it still has that
            holder.

    Returns:
        The lease, or its holder.
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
    """Renew a lease.

    Returns:
        The renewed lease; None when it is lost: another process took it, or it was released.
    """
    present = _ROWS.one(connection, "key", lease.key)
    if present is None or present.token != lease.token or present.is_released:
        return None
    renewed = replace(lease, expires_at=now + ttl)
    _set_end(connection, lease, renewed.expires_at)
    return renewed


def release(connection: Connection, lease: Lease) -> bool:
    """Release a lease; False when it was lost already."""
    if not holds(connection, lease):
        return False
    _set_end(connection, lease, lease.acquired_at)
    return True


def holds(connection: Connection, lease: Lease) -> bool:
    """Return whether a lease is still the holder's own, expired or not: no newer token was issued.

    Within the transaction that is to be fenced, the answer stays true until it ends.
    """
    present = _ROWS.one(connection, "key", lease.key)
    return present is not None and present.token == lease.token and not present.is_released


def hold_all(connection: Connection, held: Sequence[Lease]) -> bool:
    """Return whether all these leases are still their holders' own, as `holds` does for one."""
    if not held:
        return True
    own = " OR ".join(["(key = ? AND token = ?)"] * len(held))
    values = [value for lease in held for value in (lease.key, lease.token)]
    sql = f"SELECT count(*) FROM leases WHERE expires_at <> acquired_at AND ({own})"
    found = row_of(connection, sql, values)
    return found is not None and int(found[0]) == len(held)


def remove(connection: Connection, lease: Lease) -> None:
    """Remove the row of a lease that no process takes any more, unless another one has its place by now."""
    change(connection, "DELETE FROM leases WHERE key = ? AND token = ?", (lease.key, lease.token))


def of_key(connection: Connection, key: str) -> Lease | None:
    """Read the last lease of a key, expired or not; None when there never was one."""
    return _ROWS.one(connection, "key", key)


def of_keys(connection: Connection, keys: Iterable[str]) -> list[Lease]:
    """Read the last leases of some keys, expired or not."""
    return _ROWS.select_in(connection, "key", keys)


def unreleased(connection: Connection, repository_id: str) -> list[Lease]:
    """Read the leases on a repository's targets that were not released, by their targets."""
    mine = f"{repository_id}#"
    where = "WHERE expires_at <> acquired_at AND substr(key, 1, ?) = ? ORDER BY key"
    return _ROWS.select(connection, where, (len(mine), mine))


def unreleased_of_runs(connection: Connection, repository_id: str) -> list[Lease]:
    """Read the leases on a repository's runs that were not released, by their runs."""
    where = f"WHERE expires_at <> acquired_at AND {_OF_RUN} runs.repository_id = ?) ORDER BY key"
    return _ROWS.select(connection, where, (repository_id,))


def of_ended_runs(connection: Connection) -> list[Lease]:
    """Read the leases on runs that have ended, released or not, of all repositories."""
    return _ROWS.select(connection, f"WHERE {_OF_RUN} runs.completed_at IS NOT NULL) ORDER BY key")


def _set_end(connection: Connection, lease: Lease, expires_at: datetime) -> None:
    change(connection, "UPDATE leases SET expires_at = ? WHERE key = ?", (to_micros(expires_at), lease.key))
