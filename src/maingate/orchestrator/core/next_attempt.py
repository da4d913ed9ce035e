"""The end of an attempt of a task: another attempt after a while, at once, or none."""

from datetime import timedelta
from typing import Final, Literal

from maingate.orchestrator.core.effects import WaitForRetry
from maingate.orchestrator.core.snapshot import TaskNode
from maingate.orchestrator.core.tool_use import ToolUse
from maingate.orchestrator.core.turn import Turn
from maingate.orchestrator.task_scheduler import TaskScheduler
from maingate.plan.choices import TaskKind
from maingate.reasons import Reason, ReasonCode
from maingate.recovery.retry_handler import RetryPolicy
from maingate.state.steps import tasks as task_steps

Trigger = Literal["execution_failed", "validation_failed"]


_OF_THE_BASE: Final = frozenset({ReasonCode.BASE_RED, ReasonCode.PREPARE_FAILED, ReasonCode.FILTER_FAILED})
"""Codes of a refusal that any other patch would meet as well."""

_OFTEN_OVERTAKEN: Final = 10
"""The number of attempts of a task that others may overtake before each further such attempt is a retry."""


class TaskAttempts:
    """Ends attempts of tasks.

    Args:
        turn: The current turn.
        scheduler: Hands out queued tasks.
        tools: Breakers, room and money of the tools.
        retries: The waits between attempts, and how many losses a task may have.
    """

    def __init__(self, turn: Turn, scheduler: TaskScheduler, tools: ToolUse, retries: RetryPolicy) -> None:
        self._turn, self._scheduler, self._tools, self._retries = turn, scheduler, tools, retries

    def finished(self, task: TaskNode) -> None:
        """Release the room, and the tool, of a task that is not being produced any more."""
        self._scheduler.finished(task)
        if task.kind is TaskKind.TOOL:
            for key in self._tools.desk.ended(task):
                self._scheduler.release(key)

    def failed(self, task: TaskNode, reason: Reason) -> None:
        """Retry a task without a patch whose attempt failed, or fail the task."""
        if task.retries < task.plan.max_retries:
            self._retry(task, reason, trigger="execution_failed")
        else:
            self.give_up(task, reason)

    def lost(self, task: TaskNode, reason: Reason) -> None:
        """Queue a task again whose worker was lost. Losses are not its fault, but their number is limited."""
        task.losses += 1
        if task.losses > self._retries.losses:
            self.give_up(task, reason)
            return
        step = task_steps.retry(task.head, reason, trigger="worker_lost", lost_count=task.losses)
        self._turn.move_task(task, step, reason)
        self.requeue(task)

    def refused(self, task: TaskNode, reason: Reason, *, is_final: bool = False) -> None:
        """Fail a task whose patch was refused, or let its tool make another patch.

        Not where the gate is red, or cannot be run, without it too: no patch of the tool would be judged any
        better.
        """
        task.material = None
        is_final = is_final or reason.code in _OF_THE_BASE
        if task.kind is TaskKind.TOOL and not is_final:
            self.tool_failed(task, reason, trigger="validation_failed")
            return
        self._turn.move_task(task, task_steps.fail(task.head, reason, trigger="validation_failed"), reason)
        self._turn.follow_up(task)

    def tool_failed(self, task: TaskNode, reason: Reason, *, trigger: Trigger) -> None:
        """Retry a tool task, whose tool is given the reason, or fail the task."""
        too_much = self._tools.budget.exhausted(task)
        if too_much is None and task.retries < task.plan.max_retries:
            self._retry(task, reason, trigger=trigger)
            return
        is_of_the_patch = trigger == "validation_failed"
        step = task_steps.fail(
            task.head,
            too_much or reason,
            trigger="validation_failed" if is_of_the_patch else "retries_exhausted",
        )
        self._turn.move_task(task, step, too_much or reason)
        self._turn.follow_up(task)

    def put_off(self, task: TaskNode, reason: Reason, seconds: float) -> None:
        """Retry a task when its tool's provider allows it; that is no failure of the task."""
        task.put_offs += 1
        step = task_steps.retry(
            task.head, reason, trigger="execution_failed", after=timedelta(seconds=seconds)
        )
        self._turn.move_task(task, step, reason)
        self._turn.request(WaitForRetry(task=task.id, attempt=task.attempt, seconds=seconds))

    def overtaken(self, task: TaskNode, reason: Reason) -> None:
        """Retry a task at once whose patch conflicts with work that landed meanwhile.

        That is no failure of the tool, so it uses up no retry; but one must be left. Where the target changes
        faster than the tool works, that would never end: once it has happened often, more often than the
        run's own workstreams can be the cause, it is a retry like others.
        """
        is_often = task.free_attempts >= max(_OFTEN_OVERTAKEN, len(self._turn.workstreams))
        is_last = task.retries >= task.plan.max_retries or self._tools.budget.exhausted(task) is not None
        if is_often or is_last:
            self.refused(task, reason)
            return
        task.material = None
        step = task_steps.retry(task.head, reason, trigger="validation_failed")
        self._turn.move_task(task, step, reason)
        self._turn.request(WaitForRetry(task=task.id, attempt=task.attempt, seconds=0))

    def requeue(self, task: TaskNode) -> None:
        """Queue a task for its next attempt."""
        self._turn.move_task(task, task_steps.requeue(task.head))
        self._scheduler.queue(task)

    def give_up(self, task: TaskNode, reason: Reason) -> None:
        """Fail a task that is not tried again."""
        self._turn.move_task(task, task_steps.fail(task.head, reason, trigger="retries_exhausted"), reason)
        self._turn.follow_up(task)

    def _retry(self, task: TaskNode, reason: Reason, *, trigger: Trigger) -> None:
        task.retries += 1
        wait = self._retries.wait(task.id, task.retries)
        step = task_steps.retry(task.head, reason, trigger=trigger, after=wait, retry_count=task.retries)
        self._turn.move_task(task, step, reason)
        effect = WaitForRetry(task=task.id, attempt=task.attempt, seconds=wait.total_seconds())
        self._turn.request(effect)
