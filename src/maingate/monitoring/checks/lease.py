"""The check of the leases: work that has not ended has a process, and that process renews its hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from maingate.db.dao import leases, runs
from maingate.db.dao.history import stops
from maingate.db.dao.leases import Lease
from maingate.db.dao.runs import RunRow
from maingate.db.sql.connection import Connection
from maingate.landing.lease import is_held, is_of_run, key_of, run_key, subject_of
from maingate.monitoring.finding import SHOWN, CheckFinding, Trouble, command_in
from maingate.repository_context import RepositoryContext
from maingate.state.run import RunState
from maingate.wording import short


@dataclass(frozen=True, kw_only=True)
class Holds:
    """The runs of a repository that have not ended, and the holds on them and on their targets.

    Args:
        waiting: The runs.
        loose: Those that no living process holds, nor their target.
        held: The holds of living processes on targets.
        runs_held: The holds of living processes on runs.
    """

    waiting: Sequence[RunRow]
    loose: Sequence[RunRow]
    held: Sequence[Lease]
    runs_held: Sequence[Lease]

    def late(self, now: datetime) -> list[Lease]:
        """Return the holds that were not renewed, one for each holder."""
        found = [lease for lease in (*self.runs_held, *self.held) if lease.expires_at <= now]
        return list({lease.holder: lease for lease in found}.values())


def holds_of(context: RepositoryContext, conn: Connection) -> Holds:
    """Return the runs of a repository that have not ended, and who holds them and their targets."""
    now = context.clock.now()
    waiting = [run for run in runs.unfinished(conn) if context.is_own(run)]
    held = [lease for lease in leases.unreleased(conn, context.identity.id) if is_held(lease, now)]
    runs_held = [
        lease for lease in leases.unreleased_of_runs(conn, context.identity.id) if is_held(lease, now)
    ]
    keys = {lease.key for lease in (*held, *runs_held)}
    loose = [run for run in waiting if keys.isdisjoint({_target_key(run), run_key(run.id)})]
    return Holds(waiting=waiting, loose=loose, held=held, runs_held=runs_held)


def _target_key(run: RunRow) -> str:
    return key_of(run.repository_id, run.target_ref)


def check_leases(context: RepositoryContext) -> CheckFinding:
    """Check that a living process holds every run that has not ended, or its target, and renews its hold."""
    now = context.clock.now()
    with context.database.read() as conn:
        holds = holds_of(context, conn)
        loose = [_not_running(context, run, _why(conn, run)) for run in holds.loose[:SHOWN]]
    return CheckFinding(
        summary=f"targets held: {len(holds.held)}, runs under way: {len(holds.waiting)}",
        troubles=[
            *loose,
            *(_not_renewed(context, lease, now) for lease in holds.late(now)),
        ],
        detail={
            "unfinished_runs": len(holds.waiting),
            "not_running": [run.id for run in holds.loose],
            "held": [_lease_json(lease, now) for lease in holds.held],
        },
    )


def _why(conn: Connection, run: RunRow) -> str:
    """Return why no process works on a run: its last stop, if that was recorded."""
    if run.state is RunState.PENDING:
        return "no process has begun it"
    stopped = stops.newest(conn, run.id)
    return "its process exited" if stopped is None else short(stops.message_of(stopped), 300)


def _not_running(context: RepositoryContext, run: RunRow, why: str) -> Trouble:
    return Trouble(
        reason=f"run {short(run.name)} ({run.id}) is not running: {why}",
        command=command_in(context.repository.root, "resume", run.id),
    )


def _not_renewed(context: RepositoryContext, lease: Lease, now: datetime) -> Trouble:
    late = round((now - lease.expires_at).total_seconds())
    what = subject_of(lease).removeprefix("refs/heads/")
    held = what if is_of_run(lease) and what.endswith(lease.holder.id) else f"{what} for {lease.holder}"
    reason = (
        f"process {lease.pid} holds {held} and has not renewed its hold, which ended "
        f"{late} s ago: it is stopped or hangs; `kill -CONT {lease.pid}` continues a stopped one, else end it"
    )
    return Trouble(reason=reason, command=command_in(context.repository.root, "doctor"))


def _lease_json(lease: Lease, now: datetime) -> dict[str, Any]:
    return {
        "target": subject_of(lease),
        "holder": str(lease.holder),
        "host": lease.host,
        "pid": lease.pid,
        "expires_in_seconds": round((lease.expires_at - now).total_seconds(), 3),
    }
