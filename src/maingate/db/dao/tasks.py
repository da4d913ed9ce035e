"""Tasks: one tool execution or one ready diff each, giving one patch (docs/SPECIFICATION.md §1.4)."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Final

from sqlalchemy import Connection

from maingate.db.dao import needs as dependency
from maingate.db.dao.entity import Entities, EntityRow
from maingate.db.schema import tables
from maingate.db.sql.columns import from_micros
from maingate.db.sql.statements import marks, rows_of
from maingate.reasons import Reason
from maingate.state.steps.step import Context
from maingate.state.task import TaskState


@dataclass(frozen=True, kw_only=True)
class TaskRow(EntityRow):
    """One task.

    Args:
        run_id: Its run.
        workstream_id: Its workstream.
        name: The plan's own id of it, such as ``drop-regex``.
        position: Its place in its workstream, from 0.
        is_critical: Whether its failure fails the workstream; never changes.
        kind: ``patch`` (a ready diff), ``tool`` or ``noop``.
        spec: Its part of the plan.
        worker_id: The worker that runs it; only a running task has one.
        retry_count: Attempts that failed and were followed by another.
        max_retries: Most of those.
        lost_count: Attempts that were lost with their worker; counted apart.
        attempt: Number of the present attempt, from 1; results of an older one are refused.
        not_before: The time from which the next attempt may begin.
        reason: The reason for its state.
        retry_of: The task that this one repeats.
    """

    machine: ClassVar[str] = "task"

    run_id: str
    workstream_id: str
    name: str
    position: int = 0
    is_critical: bool = True
    kind: str = "patch"
    spec: Mapping[str, Any] = field(default_factory=dict)
    worker_id: str | None = None
    retry_count: int = 0
    max_retries: int = 3
    lost_count: int = 0
    attempt: int = 0
    not_before: datetime | None = None
    retry_of: str | None = None
    reason: Reason | None = None
    state: TaskState = TaskState.PENDING

    @property
    def context(self) -> Context:
        """The run and workstream of the task."""
        return Context(run_id=self.run_id, workstream_id=self.workstream_id, task_id=self.id)


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskOutline:
    """The columns of a task that place it in its run.

    Args:
        id: The task.
        workstream_id: Its workstream.
        name: The plan's own id of it.
        state: Its state.
        completed_at: The time it ended; None before that.
    """

    id: str
    workstream_id: str
    name: str
    state: TaskState
    completed_at: datetime | None


_SHOWN_NAME: Final = (
    "(SELECT workstreams.name FROM workstreams WHERE workstreams.id = tasks.workstream_id) || '/' || name"
)
"""The name of a task everywhere but in its plan: ``workstream/task``."""

_PLAN_ORDER: Final = (
    "(SELECT w.position FROM workstreams w WHERE w.id = tasks.workstream_id), workstream_id, position, id"
)

ROWS: Final = Entities(tables.tasks, TaskRow, shown_name=_SHOWN_NAME)
get, get_many, insert_many = ROWS.get, ROWS.get_many, ROWS.insert_many


def of_run(connection: Connection, run_id: str) -> list[TaskRow]:
    """Read a run's tasks in the plan's order: by workstream, then by place in it."""
    return ROWS.select(connection, f"WHERE run_id = ? ORDER BY {_PLAN_ORDER}", (run_id,))


def of_workstream(connection: Connection, workstream_id: str) -> list[TaskRow]:
    """Read a workstream's tasks in the plan's order."""
    return ROWS.select(connection, "WHERE workstream_id = ? ORDER BY position, id", (workstream_id,))


def unfinished(
    connection: Connection, run_id: str, workstream_ids: Collection[str] | None = None
) -> list[TaskRow]:
    """Read a run's tasks that have not ended, in the plan's order.

    Args:
        connection: A transaction.
        run_id: The run.
        workstream_ids: Only those of these workstreams, and all that run; None for all.
    """
    chosen, values = "", [run_id]
    if workstream_ids is not None:
        those = f"workstream_id IN ({marks(len(workstream_ids))})" if workstream_ids else "1 = 0"
        chosen = f" AND (state = 'running' OR {those})"
        values += workstream_ids
    where = f"WHERE run_id = ? AND completed_at IS NULL{chosen}"
    return ROWS.select(connection, f"{where} ORDER BY {_PLAN_ORDER}", values)


def outlines(connection: Connection, run_id: str) -> list[TaskOutline]:
    """Read the outlines of a run's tasks in the plan's order."""
    columns = "id, workstream_id, name, state, completed_at"
    sql = f"SELECT {columns} FROM tasks WHERE run_id = ? ORDER BY {_PLAN_ORDER}"
    return [
        TaskOutline(
            id=id_,
            workstream_id=workstream_id,
            name=name,
            state=TaskState(state),
            completed_at=None if completed_at is None else from_micros(completed_at),
        )
        for id_, workstream_id, name, state, completed_at in rows_of(connection, sql, (run_id,))
    ]


def running(connection: Connection, run_id: str) -> list[TaskRow]:
    """Read a run's running tasks."""
    return ROWS.select(connection, "WHERE run_id = ? AND state = 'running' ORDER BY id", (run_id,))


def add_needs(connection: Connection, pairs: Iterable[tuple[str, str]]) -> None:
    """Insert pairs of a task and one that it needs."""
    dependency.add(connection, tables.task_needs, pairs)


def needs(connection: Connection, run_id: str) -> dict[str, tuple[str, ...]]:
    """Read the needs of each task of a run; tasks without needs are missing."""
    return dependency.of_run(connection, tables.task_needs, tables.tasks, run_id)
