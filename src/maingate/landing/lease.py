"""The lease on a target: one holder at a time for each repository and branch, in the database.

A lease has a holder, an end and a fencing token. On the machine of its holder it is held as long as that
process exists (process id and start, not the clock), so that a crash makes no process wait for an expiry; on
another machine until its end. The next holder gets the next token, and writes of the holder before are
refused.
"""

import os
import socket
from datetime import datetime, timedelta

from maingate.db.dao import leases
from maingate.db.dao.leases import HeldBy, Lease
from maingate.db.dao.runs import RunRow
from maingate.db.sql.connection import Connection
from maingate.errors import LeaseLostError, RecordError, TargetBusyError
from maingate.ids import HolderKind, LeaseHolder
from maingate.system.process_table import started

LEASE_TIME = timedelta(seconds=60)
"""Time until a lease that is not renewed ends."""


def key_of(repository_id: str, ref: str) -> str:
    """Return the key of a lease: the branch of a repository."""
    return f"{repository_id}#{ref}"


def hold(conn: Connection, key: str, *, holder: LeaseHolder, now: datetime) -> Lease:
    """Acquire the lease, also from a process that is gone.

    Raises:
        TargetBusyError: A living process holds it.
    """
    present = leases.of_key(conn, key)
    if present is not None and is_held(present, now):
        raise TargetBusyError(
            f"{key.rpartition('#')[2]} is held by {present.holder} (process {present.pid} on {present.host}, "
            f"since {present.acquired_at:%H:%M:%S} UTC)",
            "wait for it to end, or end it, and try again",
        )
    held = leases.acquire(
        conn,
        key,
        holder=holder,
        host=socket.gethostname(),
        pid=os.getpid(),
        pid_started=started(os.getpid()),
        now=now,
        ttl=LEASE_TIME,
        instead_of=present,
    )
    if isinstance(held, HeldBy):
        raise TargetBusyError(f"{key} was taken by {held.lease.holder} at this moment", "try again")
    return held


def server_key(repository_id: str) -> str:
    """Return the key of the lease of a repository's server."""
    return f"server:{repository_id}"


def server_of(conn: Connection, repository_id: str, now: datetime) -> Lease | None:
    """Return the lease of the living server of a repository; None when there is none."""
    present = leases.of_key(conn, server_key(repository_id))
    return present if present is not None and is_held(present, now) else None


def is_held(lease: Lease, now: datetime) -> bool:
    """Return whether a lease is held.

    The process of a lease of this machine is looked up, and the clock does not count: a laptop that slept has
    lost nothing. A lease of another machine is held until its end.
    """
    if lease.is_released:
        return False
    if lease.host == socket.gethostname():
        return started(lease.pid) == lease.pid_started
    return lease.expires_at > now


def lease_at_work(conn: Connection, run: RunRow, now: datetime) -> Lease | None:
    """Return the lease by which a living process is at work on a run; None when there is no such process."""
    lease = _held_on_target_of(conn, run, now)
    return lease if lease is not None and lease.holder.id == run.id else None


def is_examined(conn: Connection, run: RunRow, now: datetime) -> bool:
    """Return whether other work than a run holds a run's target: it may run gates on the run's behalf."""
    lease = _held_on_target_of(conn, run, now)
    return lease is not None and lease.holder.kind is not HolderKind.RUN


def is_ref_held(conn: Connection, repository_id: str, ref: str, now: datetime) -> bool:
    """Return whether a living process holds a branch of a repository, whatever it does there."""
    lease = leases.of_key(conn, key_of(repository_id, ref))
    return lease is not None and is_held(lease, now)


def _held_on_target_of(conn: Connection, run: RunRow, now: datetime) -> Lease | None:
    lease = leases.of_key(conn, key_of(run.repository_id, run.target_ref))
    return lease if lease is not None and is_held(lease, now) else None


def require_lease(conn: Connection, lease: Lease) -> None:
    """Raise unless this process still holds its lease; called in each of its transactions.

    Raises:
        LeaseLostError: Another process holds the target by now.
        RecordError: The record does not know the lease any more: it is an older one.
    """
    if not leases.holds(conn, lease):
        present = leases.of_key(conn, lease.key)
        if present is None or present.token < lease.token:
            raise RecordError(
                f"the record no longer says that {lease.holder} holds {lease.key.rpartition('#')[2]}: it was "
                "restored to an older state, or changed by hand. This process has stopped and moves no "
                "branch; "
                "`maingate runs` lists what the record has"
            )
        raise LeaseLostError(
            f"the hold on {lease.key.rpartition('#')[2]} was lost to another process, which continues; "
            "this one has stopped and writes nothing more"
        )
