"""Surroundings of a run under way: the jobs of its workers, its waits, and the matters that need a person.

They are read from the record for pictures that are drawn again and again. Waits are grouped by the thing that
is waited for, so that the result is small for runs of any size.
"""

import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from maingate.db.dao import runs
from maingate.db.dao.entity import EntityRow
from maingate.db.dao.runs import RunRow
from maingate.db.dao.tasks import TaskRow
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.db.sql.connection import Connection
from maingate.ids import RunId
from maingate.queries.inbox.open_matters import inbox
from maingate.queries.inbox.values import InboxItem
from maingate.queries.queues.queue_report import queue_report
from maingate.queries.waits.explain import why_waiting
from maingate.queries.waits.explanation import Explanation
from maingate.queries.waits.run_rows import RunRows, read_rows
from maingate.queries.waits.server_line import server_line
from maingate.queries.workforce.workers import Viewpoint, workforce
from maingate.repository_context import RepositoryContext


@dataclass(frozen=True, kw_only=True)
class WorkerJob:
    """The present job of a worker.

    Args:
        worker: The worker's name.
        kind: ``gate`` or ``command``.
        name: The gate's or the task's name.
        of: The subject of a gate; empty for a command.
        since: Its start.
        attempt: The number of the attempt, from 1.
    """

    worker: str
    kind: str
    name: str
    of: str
    since: datetime
    attempt: int


@dataclass(frozen=True, kw_only=True)
class SharedWait:
    """Entities that wait for the same thing.

    Args:
        noun: The kind of entity: ``task`` or ``workstream``.
        number: Their number.
        first: The name of the one that has waited longest.
        thing: The thing that they wait for.
        until: The event that ends the wait of the first.
        since: The time since when the first waits.
    """

    noun: str
    number: int
    first: str
    thing: str
    until: str
    since: datetime


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Surroundings of a run at one moment.

    Args:
        jobs: The jobs of its workers, the oldest first.
        waits: Its waits, those of most entities first.
        needs: The open matters of the repository that need a person.
        retries: Number of attempts so far that were followed by another.
        queue: The queue of its target, in the public JSON form; None where nothing is known of it.
    """

    jobs: Sequence[WorkerJob] = ()
    waits: Sequence[SharedWait] = ()
    needs: Sequence[InboxItem] = ()
    retries: int = 0
    queue: Mapping[str, Any] | None = None


def surroundings(context: RepositoryContext, run_id: RunId) -> Surroundings:
    """Read the surroundings of a run at this moment."""
    seen = Viewpoint.of(context.settings, host=socket.gethostname(), now=context.clock.now())
    with context.database.read() as conn:
        run = runs.get(conn, run_id)
        rows = read_rows(conn, run, now=context.clock.now())
        rows = replace(rows, line=server_line(context, conn, run))
        waits = why_waiting(rows, is_alive=context.is_at_work(conn, run))
        jobs = list(_jobs(conn, run, seen))
    return Surroundings(
        jobs=sorted(jobs, key=lambda job: job.since),
        waits=_grouped(rows, waits),
        needs=inbox(context),
        retries=sum(task.retry_count + task.lost_count for task in rows.tasks),
        queue=queue_report(context, run.target_ref),
    )


def _jobs(conn: Connection, run: RunRow, seen: Viewpoint) -> Iterator[WorkerJob]:
    for worker in workforce(conn, seen):
        job: Mapping[str, Any] = worker["job"] if worker["alive"] and worker["job"] else {}
        if job.get("run_id") == run.id and job["kind"] != "run":
            yield WorkerJob(
                worker=worker["name"],
                kind=job["kind"],
                name=job["name"],
                of=job["of"] or "",
                since=datetime.fromisoformat(job["since"]),
                attempt=job["attempt"] or 1,
            )


def _grouped(rows: RunRows, waits: Mapping[str, Explanation]) -> list[SharedWait]:
    """Group the workstreams and tasks that only wait by the thing that they wait for."""
    names = {stream.id: stream.name for stream in rows.workstreams}
    found: dict[tuple[str, str], list[tuple[EntityRow, Explanation]]] = {}
    for row in (*rows.workstreams, *rows.tasks):
        wait = waits.get(row.id)
        if wait is not None and not wait.is_moving:
            found.setdefault((row.machine, wait.kind or wait.what), []).append((row, wait))
    groups = [_group(noun, thing, waiting, names) for (noun, thing), waiting in found.items()]
    return sorted(groups, key=lambda group: (-group.number, group.since))


def _group(
    noun: str, thing: str, waiting: Sequence[tuple[EntityRow, Explanation]], names: Mapping[str, str]
) -> SharedWait:
    row, wait = min(waiting, key=lambda each: each[1].since)
    name = row.id
    if isinstance(row, TaskRow):
        name = f"{names[row.workstream_id]}/{row.name}"
    elif isinstance(row, WorkstreamRow):
        name = row.name
    what = thing if len(waiting) > 1 else wait.what
    return SharedWait(
        noun=noun, number=len(waiting), first=name, thing=what, until=wait.until, since=wait.since
    )
