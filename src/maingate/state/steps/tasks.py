"""Transitions of tasks."""

from datetime import timedelta
from typing import Any, Literal, Unpack

from maingate.reasons import Reason
from maingate.state.steps.step import HasHead, Note, Remark, Step, WrittenAt, step
from maingate.state.task import TaskState


def queue(task: HasHead, **note: Unpack[Note]) -> Step:
    """Queue for a worker: every needed task is completed."""
    return step(task, TaskState.QUEUED, "scheduler_assigned", **note)


def requeue(task: HasHead, **note: Unpack[Note]) -> Step:
    """Queue for a worker again: the delay of the retry is over."""
    return step(task, TaskState.QUEUED, "retry_delay_elapsed", {"not_before": None}, **note)


def block(task: HasHead, reason: Reason | None = None, **remark: Unpack[Remark]) -> Step:
    """Block until a needed task is completed."""
    return step(
        task, TaskState.BLOCKED, "dependency_check_failed", {"reason": reason}, reason=reason, **remark
    )


def unblock(task: HasHead, **note: Unpack[Note]) -> Step:
    """Unblock: a needed task is completed."""
    return step(task, TaskState.PENDING, "dependency_satisfied", {"reason": None}, **note)


def start(task: HasHead, *, worker_id: str, attempt: int | None = None, **note: Unpack[Note]) -> Step:
    """Start an attempt on a worker.

    Args:
        task: The task.
        worker_id: The worker that runs it.
        attempt: Number of the attempt; None keeps the one it has.
        **note: Metadata, operator and reason.
    """
    sets: dict[str, Any] = {"worker_id": worker_id}
    if attempt is not None:
        sets["attempt"] = attempt
    return step(task, TaskState.RUNNING, "worker_started", sets, **note)


def produced(task: HasHead, **note: Unpack[Note]) -> Step:
    """Start to validate the patch that the attempt produced."""
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
    """Wait before another attempt.

    Args:
        task: The task.
        reason: Why the attempt failed.
        trigger: Its failure, the loss of its worker, or the refusal of its patch.
        after: The wait before the next attempt may start.
        retry_count: The new count of failed attempts; None keeps it.
        lost_count: The new count of lost attempts; None keeps it.
        **remark: Metadata and operator.
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
    """Fail: no attempt produced a patch (from running), or its patch was refused (from validating)."""
    return step(task, TaskState.FAILED, trigger, {"reason": reason}, reason=reason, **remark)


def complete(task: HasHead, **note: Unpack[Note]) -> Step:
    """Complete: its patch is verified."""
    return step(task, TaskState.COMPLETED, "validation_passed", {"reason": None}, **note)


def pass_over(task: HasHead, reason: Reason) -> Step:
    """Complete: the target has the change of its patch already, which is kept as the reason."""
    return step(task, TaskState.COMPLETED, "validation_passed", {"reason": reason}, reason=reason)


def cancel(task: HasHead, reason: Reason, **remark: Unpack[Remark]) -> Step:
    """Cancel by request, or because a needed task did not complete."""
    return step(task, TaskState.CANCELLED, "user_cancelled", {"reason": reason}, reason=reason, **remark)
