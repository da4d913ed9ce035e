"""The task: one tool execution or one ready diff, giving one patch.

While it is ``running`` a worker makes its patch; while it is ``validating`` the patch goes through intake,
policy, apply and task gates. A failure of a tool goes through ``retrying`` while attempts remain. A lost
worker does too but is counted apart, because the task did not cause it. Only ``running`` tasks have a worker.
"""

from enum import StrEnum

from maingate.state.machine import Machine


class TaskState(StrEnum):
    """The states of a task."""

    PENDING = "pending"
    """Recorded. The scheduler moves it on by looking at the tasks it needs."""
    QUEUED = "queued"
    """Every task it needs is completed. The worker that takes it moves it on."""
    BLOCKED = "blocked"
    """It waits for a task it needs. The end of that one moves it on, back to pending or to cancelled."""
    RUNNING = "running"
    """A worker makes its patch. The end of that execution, or the loss of the worker, moves it on."""
    VALIDATING = "validating"
    """Its patch is captured. The outcome of the patch moves it on."""
    COMPLETED = "completed"
    """The end: its patch is verified on the workstream's ref."""
    FAILED = "failed"
    """The end: no attempt gave a patch, or its patch was refused."""
    RETRYING = "retrying"
    """An attempt failed and another will follow. The end of the delay moves it on."""
    CANCELLED = "cancelled"
    """The end: a person stopped it, or a task it needs did not complete."""


TASK = Machine(
    name="task",
    states=TaskState,
    initial=TaskState.PENDING,
    terminal=frozenset({TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELLED}),
    table={
        TaskState.PENDING: (
            (TaskState.QUEUED, "scheduler_assigned"),
            (TaskState.BLOCKED, "dependency_check_failed"),
            (TaskState.CANCELLED, "user_cancelled"),
        ),
        TaskState.QUEUED: (
            (TaskState.RUNNING, "worker_started"),
            (TaskState.CANCELLED, "user_cancelled"),
        ),
        TaskState.BLOCKED: (
            (TaskState.PENDING, "dependency_satisfied"),
            (TaskState.CANCELLED, "user_cancelled"),
        ),
        TaskState.RUNNING: (
            (TaskState.VALIDATING, "execution_completed"),
            (TaskState.RETRYING, "execution_failed"),
            (TaskState.RETRYING, "worker_lost"),
            (TaskState.FAILED, "retries_exhausted"),
            (TaskState.CANCELLED, "user_cancelled"),
        ),
        TaskState.VALIDATING: (
            (TaskState.COMPLETED, "validation_passed"),
            (TaskState.FAILED, "validation_failed"),
            (TaskState.RETRYING, "validation_failed"),
            (TaskState.CANCELLED, "user_cancelled"),
        ),
        TaskState.COMPLETED: (),
        TaskState.FAILED: (),
        TaskState.RETRYING: (
            (TaskState.QUEUED, "retry_delay_elapsed"),
            (TaskState.CANCELLED, "user_cancelled"),
        ),
        TaskState.CANCELLED: (),
    },
    extensions={
        (TaskState.RUNNING, TaskState.RETRYING, "worker_lost"): (
            "a lost worker is not the task's fault; such attempts are counted apart from its retries"
        ),
        (TaskState.VALIDATING, TaskState.RETRYING, "validation_failed"): (
            "while retries remain a tool runs again, with the output of the failed gate as feedback"
        ),
        (TaskState.PENDING, TaskState.CANCELLED, "user_cancelled"): "cancelling a run reaches every task",
        (TaskState.QUEUED, TaskState.CANCELLED, "user_cancelled"): "cancelling a run reaches every task",
        (TaskState.BLOCKED, TaskState.CANCELLED, "user_cancelled"): (
            "cancelling a run reaches every task; so does a needed task that ended without completing"
        ),
        (TaskState.RETRYING, TaskState.CANCELLED, "user_cancelled"): "cancelling a run reaches every task",
        (TaskState.VALIDATING, TaskState.CANCELLED, "user_cancelled"): "cancelling a run reaches every task",
    },
)
