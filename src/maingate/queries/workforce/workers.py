"""The workers and their present jobs: the public JSON object of ``maingate workers``.

Read from the record: the job of a slot is the one that its last transition names; a control process works on
the run that it holds.
"""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from maingate.db.dao import gates, patches, runs, tasks, uet_workers, workers, workstreams
from maingate.db.dao.history import events
from maingate.db.dao.runs import RunRow
from maingate.db.dao.tasks import TaskRow
from maingate.db.dao.uet_workers import UetWorkerRow
from maingate.db.dao.workers import WorkerRow
from maingate.db.sql.connection import Connection
from maingate.events import iso_millis
from maingate.landing.lease import lease_at_work
from maingate.monitoring.stuck_watch import StuckLimits, silent
from maingate.orchestrator.worker_roster import JOB
from maingate.queries.limited_list import Page
from maingate.repository_context import RepositoryContext
from maingate.settings import Settings
from maingate.state.uet_worker import UetWorkerState
from maingate.state.worker import WORKER
from maingate.workers.liveness import lives

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Viewpoint:
    """The place and time from which workers are seen.

    Args:
        host: This machine's name on record.
        now: The time.
        recovery_window: How long a worker of another machine may be silent and still count as alive.
        patience: How long a worker may be silent before it counts as stuck.
    """

    host: str
    now: datetime
    recovery_window: timedelta
    patience: StuckLimits

    @classmethod
    def of(cls, settings: Settings, *, host: str, now: datetime) -> Self:
        """Take the limits from the settings."""
        patience = StuckLimits.of(settings)
        return cls(host=host, now=now, recovery_window=settings.recovery_window, patience=patience)


@dataclass(frozen=True, kw_only=True)
class PresentJob:
    """The present job of a worker.

    Args:
        kind: ``run`` (it controls one), ``gate`` or ``command``.
        id: The run, gate or task.
        name: The run's, gate's or task's name.
        of: The subject of a gate: the task of the patch, else the workstream; None for others.
        run_id: The run that it belongs to.
        since: Its start.
        attempt: The number of the attempt, from 1; None for a run.
    """

    kind: str
    id: str
    name: str
    of: str | None = None
    run_id: str
    since: datetime
    attempt: int | None = None

    def as_json(self, now: datetime) -> Json:
        """Return the public JSON form."""
        return {
            "kind": self.kind,
            "id": self.id,
            "name": self.name,
            "of": self.of,
            "run_id": self.run_id,
            "since": iso_millis(self.since),
            "seconds": _seconds(self.since, now),
            "attempt": self.attempt,
        }


def list_workers(context: RepositoryContext, *, ended: int = 0) -> Page:
    """Return the workers that have not shut down, oldest first, then the last that have.

    Args:
        context: The repository and its record.
        ended: How many of those that have shut down.
    """
    seen = Viewpoint.of(context.settings, host=socket.gethostname(), now=context.clock.now())
    with context.database.read() as conn:
        shown = workforce(conn, seen, ended=ended)
        is_cut = ended > 0 and sum(one["ended_at"] is not None for one in shown) == ended
        more = workers.count_ended(conn) - ended if is_cut else 0
    return Page(rows=shown, more=more)


def workforce(conn: Connection, seen: Viewpoint, *, ended: int = 0) -> list[Json]:
    """Describe the workers that have not shut down, oldest first, then the last that have.

    Args:
        conn: A reading connection; one consistent moment.
        seen: From where and when they are looked at.
        ended: How many of those that have shut down to add.
    """
    rows = [*workers.alive(conn), *(workers.ended(conn, limit=ended) if ended else [])]
    slots, control = uet_workers.of_workers(conn, [row.id for row in rows]), _controlled(conn, seen.now)
    return [_worker(conn, row, slots.get(row.id, []), control, seen) for row in rows]


def _worker(
    conn: Connection,
    row: WorkerRow,
    slots: Sequence[UetWorkerRow],
    control: Mapping[tuple[str, int | None, str], PresentJob],
    seen: Viewpoint,
) -> Json:
    has_ended = WORKER.is_terminal(row.state)
    is_alive = not has_ended and lives(row, seen.now, seen.host, seen.recovery_window)
    job = _job_of(conn, slots) or control.get((row.host, row.pid, row.pid_started)) if is_alive else None
    stuck = silent(row, seen.patience, now=seen.now) if not has_ended else None
    return {
        "id": row.id,
        "name": row.name,
        "state": str(row.state),
        "alive": is_alive,
        "reason": None if row.reason is None else row.reason.as_json(),
        "host": row.host,
        "pid": row.pid,
        "capabilities": list(row.capabilities),
        "affinity": dict(row.affinity),
        "load": row.current_load,
        "capacity": row.max_concurrent_tasks,
        "job": None if job is None else job.as_json(seen.now),
        "heartbeat_at": row.heartbeat_at,
        "silent_seconds": None if row.heartbeat_at is None else _seconds(row.heartbeat_at, seen.now),
        "stuck": None if stuck is None else stuck.as_json(seen.now),
        "started_at": row.created_at,
        "ended_at": row.completed_at,
        "slots": [
            {"id": slot.id, "slot": slot.slot, "state": str(slot.state), "pid": slot.pid} for slot in slots
        ],
    }


def _controlled(conn: Connection, now: datetime) -> dict[tuple[str, int | None, str], PresentJob]:
    """Return the run that each control process is at work on."""
    found: dict[tuple[str, int | None, str], PresentJob] = {}
    for run in runs.unfinished(conn):
        if (lease := lease_at_work(conn, run, now)) is not None:
            found[lease.host, lease.pid, lease.pid_started] = _control_of(run, lease.acquired_at)
    return found


def _control_of(run: RunRow, since: datetime) -> PresentJob:
    return PresentJob(kind="run", id=run.id, name=run.name, run_id=run.id, since=since)


def _job_of(conn: Connection, slots: Sequence[UetWorkerRow]) -> PresentJob | None:
    """Find what the slots' worker has in hand."""
    for slot in slots:
        if slot.state is UetWorkerState.BUSY:
            taken = events.newest_transition_of(conn, slot.id)
            return None if taken is None else _named(conn, str(taken.metadata.get(JOB, "")), taken.timestamp)
    return None


def _named(conn: Connection, job_id: str, since: datetime) -> PresentJob | None:
    """Return the job with an id: an attempt at a gate or command; None where neither is there."""
    subject, _, attempt = job_id.partition(".")
    number = int(attempt) if attempt.isdecimal() else 1
    if (gate := gates.get_many(conn, [subject]).get(subject)) is not None:
        return PresentJob(
            kind="gate",
            id=gate.id,
            name=gate.name,
            of=_judged(conn, gate),
            run_id=gate.run_id,
            since=since,
            attempt=number,
        )
    if (task := tasks.get_many(conn, [subject]).get(subject)) is not None:
        label = _label(conn, task)
        return PresentJob(
            kind="command", id=task.id, name=label, run_id=task.run_id, since=since, attempt=number
        )
    return None


def _judged(conn: Connection, gate: gates.GateRow) -> str | None:
    """Name what a gate looks at: the task whose patch it is, else the workstream."""
    if gate.patch_id is not None:
        patch = patches.get(conn, gate.patch_id)
        return _label(conn, tasks.get(conn, str(patch.task_id)))
    return None if gate.workstream_id is None else workstreams.get(conn, gate.workstream_id).name


def _label(conn: Connection, task: TaskRow) -> str:
    return f"{workstreams.get(conn, task.workstream_id).name}/{task.name}"


def _seconds(since: datetime, now: datetime) -> float:
    return round(max(0.0, (now - since).total_seconds()), 3)
