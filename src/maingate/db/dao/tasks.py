"""Tasks: one tool execution or one ready diff each, giving one patch (docs/SPECIFICATION.md §1.4)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Literal, Unpack

from sqlalchemy import Connection

from maingate.db import tables
from maingate.db.dao import needs as dependency
from maingate.db.dao.entity import Entities, EntityRow, Note, Remark, step
from maingate.db.transitions import Context, HasHead, Step, WrittenAt
from maingate.reasons import Reason
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
        spec: What the plan says about it.
        worker_id: Who runs it; only a running task has one.
        retry_count: Attempts that failed and were followed by another.
        max_retries: How many of those there may be.
        lost_count: Attempts that were lost with their worker; counted apart.
        attempt: Number of the present attempt, from 1; results of an older one are refused.
        not_before: When the next attempt may begin.
        reason: Why it is in its state.
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
        """What the task belongs to."""
        return Context(run_id=self.run_id, workstream_id=self.workstream_id, task_id=self.id)


ROWS: Final = Entities(tables.tasks, TaskRow)
get, get_many, insert_many = ROWS.get, ROWS.get_many, ROWS.insert_many


def of_run(connection: Connection, run_id: str) -> list[TaskRow]:
    """Read a run's tasks in the plan's order: by workstream, then by place in it."""
    order = (
        "(SELECT w.position FROM workstreams w WHERE w.id = tasks.workstream_id), workstream_id, position, id"
    )
    return ROWS.select(connection, f"WHERE run_id = ? ORDER BY {order}", (run_id,))


def of_workstream(connection: Connection, workstream_id: str) -> list[TaskRow]:
    """Read a workstream's tasks in the plan's order."""
    return ROWS.select(connection, "WHERE workstream_id = ? ORDER BY position, id", (workstream_id,))


def add_needs(connection: Connection, pairs: Iterable[tuple[str, str]]) -> None:
    """Record which task (first) needs which (second)."""
    dependency.add(connection, tables.task_needs, pairs)


def needs(connection: Connection, run_id: str) -> dict[str, tuple[str, ...]]:
    """Tell for each task of a run which ones it needs; those that need none are missing."""
    return dependency.of_run(connection, tables.task_needs, tables.tasks, run_id)


def queue(task: HasHead, **note: Unpack[Note]) -> Step:
    """Let it wait for a worker: every task that it needs is completed."""
    return step(task, TaskState.QUEUED, "scheduler_assigned", **note)


def requeue(task: HasHead, **note: Unpack[Note]) -> Step:
    """Let it wait for a worker again: the delay of its retry is over."""
    return step(task, TaskState.QUEUED, "retry_delay_elapsed", {"not_before": None}, **note)


def block(task: HasHead, reason: Reason | None = None, **remark: Unpack[Remark]) -> Step:
    """Make it wait for a task that it needs."""
    return step(
        task, TaskState.BLOCKED, "dependency_check_failed", {"reason": reason}, reason=reason, **remark
    )


def unblock(task: HasHead, **note: Unpack[Note]) -> Step:
    """Look at it anew: a task that it waited for is completed."""
    return step(task, TaskState.PENDING, "dependency_satisfied", {"reason": None}, **note)


def start(task: HasHead, *, worker_id: str, attempt: int | None = None, **note: Unpack[Note]) -> Step:
    """Begin an attempt on a worker.

    Args:
        task: The task.
        worker_id: Who runs it.
        attempt: Number of the attempt; None keeps the one it has.
        **note: What else to say.
    """
    sets: dict[str, Any] = {"worker_id": worker_id}
    if attempt is not None:
        sets["attempt"] = attempt
    return step(task, TaskState.RUNNING, "worker_started", sets, **note)


def produced(task: HasHead, **note: Unpack[Note]) -> Step:
    """Go on to the patch's own way: the attempt gave one."""
    return step(task, TaskState.VALIDATING, "execution_completed", **note)


def retry(
    task: HasHead,
    reason: Reason,
    *,
    trigger: Literal["execution_failed", "worker_lost", "validation_failed"],
    after: timedelta = timedelta(),
    retry_count: int | None = None,
    lost_count: int | None = None,
    **remark: Unpack[Remark],
) -> Step:
    """Wait for another attempt.

    Args:
        task: The task.
        reason: Why the attempt was not good.
        trigger: What ended it: itself, the loss of its worker, or the refusal of its patch.
        after: How long to wait before the next attempt may begin.
        retry_count: The new count of failed attempts; None keeps it.
        lost_count: The new count of lost attempts; None keeps it.
        **remark: What else to say.
    """
    sets: dict[str, Any] = {"reason": reason, "not_before": WrittenAt(after=after)}
    sets |= {} if retry_count is None else {"retry_count": retry_count}
    sets |= {} if lost_count is None else {"lost_count": lost_count}
    return step(task, TaskState.RETRYING, trigger, sets, reason=reason, **remark)


def fail(
    task: HasHead,
    reason: Reason,
    *,
    trigger: Literal["retries_exhausted", "validation_failed"],
    **remark: Unpack[Remark],
) -> Step:
    """End badly: no attempt gave a patch (from running), or its patch was refused (from validating)."""
    return step(task, TaskState.FAILED, trigger, {"reason": reason}, reason=reason, **remark)


def complete(task: HasHead, **note: Unpack[Note]) -> Step:
    """End well: its patch is verified."""
    return step(task, TaskState.COMPLETED, "validation_passed", {"reason": None}, **note)


def cancel(task: HasHead, reason: Reason, **remark: Unpack[Remark]) -> Step:
    """End because somebody wants it, or because what it needs did not complete."""
    return step(task, TaskState.CANCELLED, "user_cancelled", {"reason": reason}, reason=reason, **remark)
