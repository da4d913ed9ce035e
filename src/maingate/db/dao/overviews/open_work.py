"""Work that has not ended: how much there is in each state, and since when the oldest of it waits.

Read through the runs that have not ended, so that the cost follows the open work and not the history.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from maingate.db.dao import tasks, workstreams
from maingate.db.dao.tasks import TaskRow
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.db.schema.tables import ENTITIES
from maingate.db.sql.columns import from_micros, to_micros
from maingate.db.sql.statements import rows_of

_OPEN_RUNS: Final = "SELECT id FROM runs WHERE completed_at IS NULL"
_OF_RUNS: Final = ("workstream", "task", "patch_ledger", "test_gate")


@dataclass(frozen=True, kw_only=True)
class OpenCount:
    """The entities of one machine that are in one state and have not ended.

    Args:
        machine: The machine.
        state: The state.
        count: Their number.
        oldest: The time at which the first of them reached the state.
    """

    machine: str
    state: str
    count: int
    oldest: datetime


@dataclass(frozen=True, kw_only=True)
class OpenLandings:
    """Workstreams that wait to land and have a priority of one sign.

    Args:
        sign: 1 for a priority above 0, -1 for one below, 0 for 0.
        count: Their number.
        oldest: The time at which the first of them began to wait.
    """

    sign: int
    count: int
    oldest: datetime


def landing(connection: Connection, repository_id: str) -> list[OpenLandings]:
    """Count the workstreams of the runs that have not ended that wait to land.

    Besides those whose tasks have ended, these are the ones all of whose patches are proven and kept off the
    record until then: each of these has a published hold.
    """
    whose, values = _whose(repository_id)
    runs = f"run_id IN ({_OPEN_RUNS}{whose})"
    done = f"SELECT priority, changed_at AS since FROM workstreams WHERE {runs} AND state = 'validating'"
    kept = (
        "SELECT w.priority, max(h.since) AS since FROM workstreams w"
        " JOIN tasks t ON t.workstream_id = w.id AND t.completed_at IS NULL"
        " LEFT JOIN patches p ON p.task_id = t.id AND p.state = 'queued'"
        " LEFT JOIN holds h ON h.entity_id = p.id"
        f" WHERE w.{runs} AND w.state = 'executing'"
        " GROUP BY w.id, w.priority HAVING count(t.id) = count(h.entity_id)"
    )
    sign = "CASE WHEN priority > 0 THEN 1 WHEN priority < 0 THEN -1 ELSE 0 END"
    sql = (
        f"SELECT {sign} AS sign, count(*), min(since) FROM ({done} UNION ALL {kept}) AS waiting"
        " GROUP BY sign ORDER BY sign"
    )
    return [
        OpenLandings(sign=found, count=count, oldest=from_micros(oldest))
        for found, count, oldest in rows_of(connection, sql, [*values, *values])
    ]


def counted(connection: Connection, repository_id: str | None = None) -> list[OpenCount]:
    """Count what has not ended of the runs that have not ended, and those runs.

    Args:
        connection: A transaction.
        repository_id: Only the runs of this repository; None counts all.
    """
    whose, values = _whose(repository_id)
    of_runs = f"FROM runs WHERE completed_at IS NULL{whose} GROUP BY state"
    parts = [
        f"SELECT 'run', state, count(*), min(changed_at) {of_runs}",
        *(
            f"SELECT '{machine}', state, count(*), min(changed_at) FROM \"{ENTITIES[machine].name}\""
            f" WHERE run_id IN ({_OPEN_RUNS}{whose}) AND completed_at IS NULL GROUP BY state"
            for machine in _OF_RUNS
        ),
    ]
    found = rows_of(connection, " UNION ALL ".join(parts), [*values] * len(parts))
    return [
        OpenCount(machine=machine, state=state, count=count, oldest=from_micros(oldest))
        for machine, state, count, oldest in found
    ]


def running_tasks(connection: Connection, *, since_before: datetime) -> list[TaskRow]:
    """Read the running tasks whose last change was before a time."""
    where = f"WHERE state = 'running' AND changed_at < ? AND run_id IN ({_OPEN_RUNS})"
    return tasks.ROWS.select(connection, where, (to_micros(since_before),))


def executing_workstreams(connection: Connection, *, since_before: datetime) -> list[WorkstreamRow]:
    """Read the executing workstreams that have not changed since a time, nor has any of their tasks."""
    where = (
        f"WHERE state = 'executing' AND changed_at < ? AND run_id IN ({_OPEN_RUNS}) AND NOT EXISTS"
        " (SELECT 1 FROM tasks t WHERE t.workstream_id = workstreams.id AND t.changed_at >= ?)"
    )
    before = to_micros(since_before)
    return workstreams.ROWS.select(connection, where, (before, before))


def _whose(repository_id: str | None) -> tuple[str, Sequence[str]]:
    return ("", ()) if repository_id is None else (" AND repository_id = ?", (repository_id,))
