"""Holding the target: one run at a time per repository and branch, by a lease in the database.

The lease expires by itself when its holder stops renewing it. A holder on this machine whose process is gone
is recognised at once (process id and start time), so nobody waits for an expiry after a crash.
"""

import os
import socket
from datetime import datetime, timedelta
from functools import partial

import psutil
from sqlalchemy import Connection

from headgate.db.dao import leases
from headgate.db.dao.leases import HeldBy, Lease
from headgate.errors import TargetBusyError

LEASE_TIME = timedelta(seconds=60)
"""How long a lease lasts without being renewed."""


def key_of(git_dir: str, ref: str) -> str:
    """Name what is held: a branch of a repository."""
    return f"{git_dir}#{ref}"


def hold(conn: Connection, key: str, *, holder: str, now: datetime) -> Lease:
    """Take the lease, or take it over from a process that is gone.

    Raises:
        TargetBusyError: A living process holds it.
    """
    take = partial(
        leases.acquire,
        conn,
        key,
        holder=holder,
        host=socket.gethostname(),
        pid=os.getpid(),
        pid_started=_started(os.getpid()),
        now=now,
        ttl=LEASE_TIME,
    )
    held = take()
    if isinstance(held, HeldBy) and is_gone(held.lease):
        held = take(instead_of=held.lease)
    if isinstance(held, HeldBy):
        lease = held.lease
        raise TargetBusyError(
            f"{key.rpartition('#')[2]} is held by {lease.holder} (process {lease.pid} on {lease.host}, "
            f"since {lease.acquired_at:%H:%M:%S} UTC); wait for it to end, or end it, and try again"
        )
    return held


def is_gone(lease: Lease) -> bool:
    """Tell whether the holder is a process of this machine that does not exist any more."""
    return lease.host == socket.gethostname() and _started(lease.pid) != lease.pid_started


def _started(pid: int) -> str:
    """Say when a process began, to tell it from a later one of its number; empty when there is none."""
    try:
        return f"{psutil.Process(pid).create_time():.2f}"
    except psutil.NoSuchProcess:
        return ""
