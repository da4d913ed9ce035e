"""The leases on targets and on runs: one holder at a time for each branch and for each run, in the database.

The process at work on a run holds the run. It holds the run's target too while it may move that branch; other
work than a run, such as a rollback, holds the target alone.

A lease has a holder, an end and a fencing token. On the machine of its holder it is held as long as that
process exists (process id and start, not the clock), so that a crash makes no process wait for an expiry; on
another machine until its end. The next holder gets the next token, and writes of the holder before are
refused.
"""

import os
import socket
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from maingate.db.dao import leases, runs
from maingate.db.dao.leases import HeldBy, Lease
from maingate.db.dao.runs import RunRow
from maingate.db.sql.connection import Connection
from maingate.errors import LeaseLostError, RecordError, RunBusyError, TargetBusyError
from maingate.ids import HolderKind, LeaseHolder
from maingate.system.process_table import started

LEASE_TIME = timedelta(seconds=60)
"""Time until a lease that is not renewed ends."""
_WAIT: Final = "wait for it to end, or end it, and try again"


def key_of(repository_id: str, ref: str) -> str:
    """Return the key of the lease of a target: the branch of a repository."""
    return f"{repository_id}#{ref}"


def run_key(run_id: str) -> str:
    """Return the key of the lease of a run."""
    return f"{leases.RUN}{run_id}"


def is_of_run(lease: Lease) -> bool:
    """Return whether a lease is on a run, and not on a target."""
    return lease.key.startswith(leases.RUN)


def subject_of(lease: Lease) -> str:
    """Return the words for what a lease is about: the ref of a target, or the run."""
    if is_of_run(lease):
        return f"run {lease.key.removeprefix(leases.RUN)}"
    return lease.key.rpartition("#")[2]


def hold(conn: Connection, key: str, *, holder: LeaseHolder, now: datetime) -> Lease:
    """Acquire the lease, also from a process that is gone.

    Raises:
        TargetBusyError: A living process holds it.
    """
    present = leases.of_key(conn, key)
    if present is not None and is_held(present, now):
        raise _busy(present)
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


def hold_run(conn: Connection, run_id: str, *, holder: LeaseHolder, now: datetime) -> Lease:
    """Acquire the lease of a run, also from a process that is gone.

    Raises:
        RunBusyError: A living process is at work on the run, or other work holds it.
        UnknownEntityError: There is no such run.
    """
    if (at_work := _lease_at_work(conn, run_id, key_of(*runs.target_of(conn, run_id)), now)) is not None:
        raise _busy_run(run_id, at_work)
    return hold(conn, run_key(run_id), holder=holder, now=now)


def _busy(lease: Lease) -> TargetBusyError:
    if is_of_run(lease):
        return _busy_run(lease.key.removeprefix(leases.RUN), lease)
    return TargetBusyError(f"{subject_of(lease)} is held by {lease.holder} ({_place_of(lease)})", _WAIT)


def _busy_run(run_id: str, lease: Lease) -> RunBusyError:
    if lease.holder.id != run_id:
        return RunBusyError(f"run {run_id} is held by {lease.holder} ({_place_of(lease)})", _WAIT)
    since = f"{lease.acquired_at:%H:%M:%S} UTC"
    what = f"run {run_id} is at work in process {lease.pid} on host {lease.host}, since {since}"
    return RunBusyError(what, _WAIT)


def _place_of(lease: Lease) -> str:
    return f"process {lease.pid} on {lease.host}, since {lease.acquired_at:%H:%M:%S} UTC"


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
    """Return the lease by which a living process is at work on a run; None when there is no such process.

    It is that on the run itself. A process of an older version holds the target alone, in the run's name.
    """
    return _lease_at_work(conn, run.id, key_of(run.repository_id, run.target_ref), now)


def _lease_at_work(conn: Connection, run_id: str, target_key: str, now: datetime) -> Lease | None:
    for key in (run_key(run_id), target_key):
        lease = leases.of_key(conn, key)
        if lease is not None and lease.holder.id == run_id and is_held(lease, now):
            return lease
    return None


def at_work_on_target(conn: Connection, run_ids: Iterable[str], target_key: str, now: datetime) -> set[str]:
    """Return which of some runs on one target a living process is at work on; no row of a run is read."""
    wanted = set(run_ids)
    found = leases.of_keys(conn, [target_key, *map(run_key, wanted)]) if wanted else []
    return {lease.holder.id for lease in found if is_held(lease, now)} & wanted


def is_examined(conn: Connection, run: RunRow, now: datetime) -> bool:
    """Return whether other work than a run holds a run's target: it may run gates on the run's behalf."""
    return other_work_on(conn, run, now) is not None


def is_ref_held(conn: Connection, repository_id: str, ref: str, now: datetime) -> bool:
    """Return whether a living process holds a branch of a repository, whatever it does there."""
    lease = leases.of_key(conn, key_of(repository_id, ref))
    return lease is not None and is_held(lease, now)


def other_work_on(conn: Connection, run: RunRow, now: datetime) -> Lease | None:
    """Return the lease of a living process that holds the target of a run for other work than a run.

    A process of another run lands this one's workstreams, so it is in nothing's way.
    """
    lease = _held_on_target_of(conn, run, now)
    return None if lease is None or lease.holder.kind is HolderKind.RUN else lease


def _held_on_target_of(conn: Connection, run: RunRow, now: datetime) -> Lease | None:
    lease = leases.of_key(conn, key_of(run.repository_id, run.target_ref))
    return lease if lease is not None and is_held(lease, now) else None


def require_leases(conn: Connection, held: Sequence[Lease]) -> None:
    """Raise unless this process still holds its leases; called in each of its transactions.

    Raises:
        LeaseLostError: Another process holds the target or the run by now.
        RecordError: The record does not know a lease any more: it is an older one.
    """
    if leases.hold_all(conn, held):
        return
    for lease in held:
        if not leases.holds(conn, lease):
            raise _lost(conn, lease)


def _lost(conn: Connection, lease: Lease) -> LeaseLostError | RecordError:
    present = leases.of_key(conn, lease.key)
    is_older = present is None or present.token < lease.token
    if is_older and not (is_of_run(lease) and runs.has_ended(conn, lease.key.removeprefix(leases.RUN))):
        return RecordError(
            f"the record no longer says that {lease.holder} holds {subject_of(lease)}: it was restored to an "
            "older state, or changed by hand. This process has stopped and moves no branch; "
            "`maingate runs` lists what the record has"
        )
    return LeaseLostError(
        f"the hold on {subject_of(lease)} was lost to another process, which continues; "
        "this one has stopped and writes nothing more"
    )


def give_back(conn: Connection, lease: Lease) -> None:
    """Release a lease; that of a run that has ended goes altogether, since no process takes it again."""
    is_own = leases.release(conn, lease)
    if is_own and is_of_run(lease) and runs.has_ended(conn, lease.key.removeprefix(leases.RUN)):
        leases.remove(conn, lease)


def left_by_ended_runs(conn: Connection, now: datetime) -> list[Lease]:
    """Return the leases that killed processes have left on runs that have ended; they are of no use."""
    return [lease for lease in leases.of_ended_runs(conn) if not is_held(lease, now)]
