"""Lists of entities, page by page: the public JSON objects of runs, workstreams, tasks, patches and gates.

A page ends with the identifier that the next one begins after, so that no entity is missed or shown twice
while others are created.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from maingate.db.dao import gates, patches, runs, tasks, workstreams
from maingate.db.dao.gates import GateRow
from maingate.db.dao.runs import RunRow
from maingate.db.dao.tasks import TaskRow
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.db.sql.connection import Connection
from maingate.queries.details.patch import patch_json
from maingate.queries.names import task_names
from maingate.queries.runs import report_parts
from maingate.queries.runs.run_list import run_json
from maingate.repository_context import RepositoryContext
from maingate.state.run import RUN

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """A choice of entities.

    Args:
        among: Only those whose columns have one of these values, such as ``run_id`` or ``state``.
        name: Only those whose name contains this.
        before: Only those older than the entity of this id.
        limit: Most entities to return.
    """

    among: Mapping[str, Sequence[str]] = field(default_factory=dict)
    name: str | None = None
    before: str | None = None
    limit: int = 50

    def where(self) -> dict[str, Any]:
        """Return the choice as arguments for a page of rows."""
        return {"among": self.among, "name": self.name, "before": self.before, "limit": self.limit}


def runs_page(context: RepositoryContext, choice: Selection) -> list[Json]:
    """Return runs, newest first."""
    with context.database.read() as conn:
        return [_run(conn, context, row) for row in runs.ROWS.page(conn, **choice.where())]


def is_alive(context: RepositoryContext, run_id: str) -> bool:
    """Return whether a living process is at work on a run that has not ended."""
    with context.database.read() as conn:
        return _is_alive(conn, context, runs.get(conn, run_id))


def workstreams_page(context: RepositoryContext, choice: Selection) -> list[Json]:
    """Return workstreams, newest first."""
    with context.database.read() as conn:
        return [_workstream(row) for row in workstreams.ROWS.page(conn, **choice.where())]


def tasks_page(context: RepositoryContext, choice: Selection) -> list[Json]:
    """Return tasks, newest first."""
    with context.database.read() as conn:
        return _tasks(conn, tasks.ROWS.page(conn, **choice.where()))


def patches_page(context: RepositoryContext, choice: Selection) -> list[Json]:
    """Return patches, newest first."""
    with context.database.read() as conn:
        rows = patches.ROWS.page(conn, **choice.where())
        names = task_names(conn, rows)
        return [patch_json(row, names[row.task_id]) | report_parts.lifecycle_json(row) for row in rows]


def gates_page(context: RepositoryContext, choice: Selection) -> list[Json]:
    """Return executions of gates, newest first."""
    with context.database.read() as conn:
        return [gate_json(row) for row in gates.ROWS.page(conn, **choice.where())]


def workstream(context: RepositoryContext, workstream_id: str) -> Json:
    """Return a workstream.

    Raises:
        UnknownEntityError: There is none with that id.
    """
    with context.database.read() as conn:
        return _workstream(workstreams.get(conn, workstream_id))


def task(context: RepositoryContext, task_id: str) -> Json:
    """Return a task.

    Raises:
        UnknownEntityError: There is none with that id.
    """
    with context.database.read() as conn:
        return _tasks(conn, [tasks.get(conn, task_id)])[0]


def gate(context: RepositoryContext, gate_id: str) -> Json:
    """Return an execution of a gate.

    Raises:
        UnknownEntityError: There is none with that id.
    """
    with context.database.read() as conn:
        return gate_json(gates.get(conn, gate_id))


def gate_json(row: GateRow) -> Json:
    """Return the public JSON form of an execution of a gate."""
    return {
        "id": row.id,
        "run_id": row.run_id,
        "workstream_id": row.workstream_id,
        "patch_id": row.patch_id,
        "name": row.name,
        "type": row.type,
        "tree": row.tree,
        "state": str(row.state),
        "reason": report_parts.reason_json(row.reason),
        "exit_code": row.exit_code,
        "seconds": None if row.duration_ms is None else row.duration_ms / 1000,
        "attempts": row.attempts,
        "is_flaky": row.is_flaky,
        "is_lost": row.is_lost,
        "fault": row.fault,
        "output": row.output,
        "has_log": row.log_path is not None,
        **report_parts.lifecycle_json(row),
    }


def _is_alive(conn: Connection, context: RepositoryContext, row: RunRow) -> bool:
    return not RUN.is_terminal(row.state) and context.is_at_work(conn, row)


def _run(conn: Connection, context: RepositoryContext, row: RunRow) -> Json:
    return run_json(row, is_alive=_is_alive(conn, context, row)) | {
        "id": row.id,
        **report_parts.lifecycle_json(row),
    }


def _workstream(row: WorkstreamRow) -> Json:
    return {
        **report_parts.workstream_json(row),
        "run_id": row.run_id,
        "priority": row.priority,
        "base": row.base_commit,
        "head": row.head_commit,
        **report_parts.lifecycle_json(row),
    }


def _tasks(conn: Connection, rows: Sequence[TaskRow]) -> list[Json]:
    streams = workstreams.get_many(conn, {row.workstream_id for row in rows})
    newest = patches.present(patches.ROWS.select_in(conn, "task_id", [row.id for row in rows]))
    return [
        {
            **report_parts.task_json(row, streams[row.workstream_id].name, newest.get(row.id)),
            "run_id": row.run_id,
            "workstream_id": row.workstream_id,
            "kind": row.kind,
            "attempt": row.attempt,
            "max_retries": row.max_retries,
            **report_parts.lifecycle_json(row),
        }
        for row in rows
    ]
