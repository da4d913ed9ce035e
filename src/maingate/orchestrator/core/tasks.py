"""The work of tasks: queued when their needs are met, started when there is room, and its results."""

from maingate.ids import PatchId
from maingate.orchestrator.core.approvals import Approvals
from maingate.orchestrator.core.effects import RunCommand, RunNoop, RunTool, TakePatch, WaitForRetry
from maingate.orchestrator.core.events import AttemptEnd, AttemptEnded, NoPatchTaken, PatchTaken, RetryDue
from maingate.orchestrator.core.lane_renewal import LaneRenewal
from maingate.orchestrator.core.next_attempt import TaskAttempts
from maingate.orchestrator.core.patch_lanes import Lanes
from maingate.orchestrator.core.snapshot import PatchNode, TaskNode, WorkstreamNode
from maingate.orchestrator.core.tool_use import ToolUse
from maingate.orchestrator.core.turn import Turn, stated
from maingate.orchestrator.task_scheduler import TaskScheduler
from maingate.plan.choices import TaskKind
from maingate.reasons import Reason, ReasonCode
from maingate.state.patch_ledger import PatchState
from maingate.state.steps import patches as patch_steps
from maingate.state.steps import tasks as task_steps
from maingate.state.steps import workstreams as workstream_steps
from maingate.state.task import TaskState
from maingate.state.tool_run import ToolRun
from maingate.state.workstream import WorkstreamState

QUICK = 0.05
"""Seconds within which a command is so quick that workers would wait for the record of the one before it."""

COMMANDS_AHEAD = 6
"""Quick commands handed out for each worker; a drain waits for all of them, so they are few."""


class Tasks:
    """Starts tasks and decides what comes of their attempts.

    Args:
        turn: The current turn.
        scheduler: Hands out queued tasks.
        attempts: Ends attempts that failed.
        tools: Breakers, room and money of the tools.
        approvals: Lets patches into their lane.
        renewal: Lays lanes anew.
        lanes: The way of patches onto their workstream's ref.
        worker_id: The orchestration worker on whose behalf tasks run.
        commands: How many commands may run at once when they are not quick.
    """

    def __init__(
        self,
        turn: Turn,
        scheduler: TaskScheduler,
        *,
        attempts: TaskAttempts,
        tools: ToolUse,
        approvals: Approvals,
        lanes: Lanes,
        renewal: LaneRenewal,
        worker_id: str,
        commands: int,
    ) -> None:
        self._turn, self._scheduler, self._attempts = turn, scheduler, attempts
        self._tools, self._approvals, self._lanes, self._renewal = tools, approvals, lanes, renewal
        self._worker_id, self._commands = worker_id, commands

    # -- before they start -----------------------------------------------------------------------------------

    def take_up(self, workstream: WorkstreamNode) -> None:
        """Request all that is owed to a workstream in its state, when a process begins with the run."""
        match workstream.state:
            case WorkstreamState.PLANNED if workstream.unmet:
                step = workstream_steps.block(workstream.head, metadata={"needs": list(workstream.needs)})
                self._turn.move_workstream(workstream, step)
            case WorkstreamState.PLANNED:
                self.make_ready(workstream)
            case WorkstreamState.READY | WorkstreamState.EXECUTING | WorkstreamState.VALIDATING:
                self._lanes.lay(workstream)
                self._lanes.keep_settled(workstream)
                for task in workstream.tasks:
                    self._take_up_task(task)

    def _take_up_task(self, task: TaskNode) -> None:
        match task.state:
            case TaskState.QUEUED:
                self._scheduler.queue(task)
            case TaskState.RUNNING:
                if task.kind is TaskKind.TOOL:
                    self._tools.released(task)
                self._attempts.lost(task, _lost_with_its_process(task))
            case TaskState.RETRYING:
                self._turn.request(WaitForRetry(task=task.id, attempt=task.attempt, seconds=task.delay))
            case TaskState.VALIDATING:
                self._lanes.take_up(task)

    def make_ready(self, workstream: WorkstreamNode) -> None:
        """Start a workstream's lane, and queue its tasks that need no other."""
        self._turn.move_workstream(workstream, workstream_steps.ready(workstream.head))
        self._lanes.lay(workstream)
        for task in workstream.tasks:
            if task.has_ended:
                continue
            if task.unmet:
                self._turn.move_task(task, task_steps.block(task.head, metadata={"needs": list(task.needs)}))
            else:
                self._queue(task)

    def need_met(self, task: TaskNode) -> None:
        """Queue a task once the last task it needs has completed."""
        task.unmet -= 1
        if not task.unmet and task.state is TaskState.BLOCKED:
            self.unblock(task)

    def unblock(self, task: TaskNode, reason: Reason | None = None) -> None:
        """Queue a blocked task; the reason is an operator's."""
        self._turn.move_task(task, task_steps.unblock(task.head, reason=reason))
        self._queue(task)

    def _queue(self, task: TaskNode) -> None:
        self._turn.move_task(task, task_steps.queue(task.head))
        self._scheduler.queue(task)

    # -- they start ------------------------------------------------------------------------------------------

    def start(self, task: TaskNode) -> None:
        """Start the next attempt of a task."""
        workstream = task.workstream
        self._renewal.begin_on_newest(task)
        if workstream.state is WorkstreamState.READY and workstream.base is not None:
            step = workstream_steps.start(workstream.head, base_commit=workstream.base.commit)
            self._turn.move_workstream(workstream, step)
        task.attempt += 1
        step = task_steps.start(task.head, worker_id=self._worker_id, attempt=task.attempt)
        self._turn.move_task(task, step)
        match task.kind:
            case TaskKind.NOOP:
                self._turn.speculate(RunNoop(task=task.id, attempt=task.attempt))
            case TaskKind.TOOL if workstream.lane is not None:
                self._tools.began(task)
                self._turn.request(
                    RunTool(
                        input=task.input,
                        attempt=task.attempt,
                        tip=workstream.lane.proven,
                        request=task.request,
                        retry=task.retry_input(),
                        replaces=task.patch.id if task.patch else task.replaces,
                        budget_usd=self._tools.budget.left_for(task),
                    )
                )
            case TaskKind.COMMAND if workstream.base is not None:
                self._turn.request(RunCommand(input=task.input, attempt=task.attempt, tip=workstream.base))
            case _:
                base = workstream.base or self._turn.run.base
                self._turn.request(
                    TakePatch(input=task.input, file=task.file or "", base=base, replaces=task.replaces)
                )

    def abandon(self, task: TaskNode) -> None:
        """Release what a running task uses that is ended by request."""
        self._attempts.finished(task)
        if task.kind is TaskKind.TOOL:
            self._tools.released(task)

    # -- they end --------------------------------------------------------------------------------------------

    def patch_taken(self, event: PatchTaken) -> None:
        """Record a task's patch; accept it, or refuse it."""
        task = self._turn.tasks[event.task]
        if task.state is not TaskState.RUNNING or _is_of_another_attempt(event.tool_run, task):
            return
        self._attempts.finished(task)
        self._tools.paid(event.tool_run)
        if task.kind is TaskKind.TOOL:
            self._tools.succeeded(task)
        row = event.patch
        task.patch = PatchNode(
            id=PatchId(row.id),
            head=row.head,
            state=PatchState.CREATED,
            needs_approval=event.needs_approval,
        )
        self._turn.decision.patches.append((row, event.diff))
        self._turn.move_task(task, task_steps.produced(task.head))
        if event.refusal is None or event.is_policy:
            self._turn.move_patch(task, patch_steps.validate(task.patch.head))
        if event.refusal is None:
            task.material = event.material
            self._approvals.accept(task)
            return
        trigger: patch_steps.Refusal = "policy_violation" if event.is_policy else "validation_failed"
        self._turn.quarantine(task, event.refusal, trigger)
        self._attempts.refused(task, event.refusal, is_final=event.is_final)

    def no_patch_taken(self, event: NoPatchTaken) -> None:
        """Fail a task without a patch."""
        task = self._turn.tasks[event.task]
        if task.state is not TaskState.RUNNING:
            return
        self._attempts.finished(task)
        self._attempts.give_up(task, event.reason)

    def attempt_ended(self, event: AttemptEnded) -> None:
        """Complete a task without a patch, retry it, or fail it."""
        task = self._turn.tasks[event.task]
        if task.state is not TaskState.RUNNING or task.attempt != event.attempt:
            return
        self._attempts.finished(task)
        self._resize_commands(event.seconds)
        if event.end is AttemptEnd.DONE:
            self._turn.move_task(task, task_steps.produced(task.head))
            self._turn.move_task(task, task_steps.complete(task.head))
            self._turn.follow_up(task)
        elif event.end is AttemptEnd.LOST:
            self._attempts.lost(task, stated(event.reason, task.label))
        else:
            self._attempts.failed(task, stated(event.reason, task.label))

    def retry_due(self, event: RetryDue) -> None:
        """Queue a task whose wait is over."""
        task = self._turn.tasks[event.task]
        if task.state is TaskState.RETRYING and task.attempt == event.attempt:
            self._attempts.requeue(task)

    def _resize_commands(self, seconds: float | None) -> None:
        """Hand out more commands than there are workers while recording one takes longer than running it."""
        if seconds is not None:
            more = COMMANDS_AHEAD if seconds < QUICK else 1
            self._scheduler.resize(TaskKind.COMMAND, more * self._commands)


def _is_of_another_attempt(tool_run: ToolRun | None, task: TaskNode) -> bool:
    return tool_run is not None and tool_run.attempt != task.attempt


def _lost_with_its_process(task: TaskNode) -> Reason:
    return Reason(
        code=ReasonCode.PROCESS_LOST,
        message=f"the process that worked on {task.label} was ended while it did",
        detail={"attempt": task.attempt},
    )
