"""The consequences of an ending: a task's for its workstream, a workstream's for the run."""

from collections.abc import Sequence

from maingate.orchestrator.core.approvals import Approvals
from maingate.orchestrator.core.effects import StopCommand
from maingate.orchestrator.core.patch_lanes import Lanes
from maingate.orchestrator.core.queue.landing_queue import LandingQueue
from maingate.orchestrator.core.snapshot import TaskNode, WorkstreamNode
from maingate.orchestrator.core.tasks import Tasks
from maingate.orchestrator.core.turn import Turn, stated
from maingate.orchestrator.task_scheduler import TaskScheduler
from maingate.plan.choices import TaskKind
from maingate.reasons import Reason, ReasonCode
from maingate.state.patch_ledger import PATCH_LEDGER, PatchState
from maingate.state.run import RunState
from maingate.state.run_outcome import WorkstreamFact, derive_run
from maingate.state.steps import runs as run_steps
from maingate.state.steps import tasks as task_steps
from maingate.state.steps import workstreams as workstream_steps
from maingate.state.steps.step import Step
from maingate.state.task import TaskState
from maingate.state.workstream import WorkstreamState


class Endings:
    """Ends tasks, workstreams and the run, and draws the consequences.

    Args:
        turn: The current turn.
        scheduler: Hands out queued tasks.
        tasks: Queues tasks whose needs are met.
        lanes: The way of patches onto their workstream's ref.
        landing_queue: The landing.
        approvals: The patches that wait for approval.
    """

    def __init__(
        self,
        turn: Turn,
        scheduler: TaskScheduler,
        *,
        tasks: Tasks,
        lanes: Lanes,
        landing_queue: LandingQueue,
        approvals: Approvals,
    ) -> None:
        self._turn, self._scheduler = turn, scheduler
        self._tasks, self._lanes, self._approvals = tasks, lanes, approvals
        self._landing_queue = landing_queue
        self.cancelled: Reason | None = None

    # -- consequences ----------------------------------------------------------------------------------------

    def task_ended(self, task: TaskNode) -> None:
        """Draw the consequences of a task's end: for those that need it, then for its workstream."""
        workstream = task.workstream
        if workstream.has_ended:
            return
        workstream.open_tasks -= 1
        self._scheduler.release(task.id)
        self._turn.lane_changed(workstream)
        for name in workstream.dependents[task.name]:
            self._need_ended(workstream.by_name[name], task)
        is_lost = task.is_critical and task.state is not TaskState.COMPLETED
        if workstream.state is not WorkstreamState.EXECUTING:
            if is_lost or not workstream.open_tasks:
                self.stop_workstream(workstream, stated(task.reason, task.label))
        elif is_lost:
            self._fail_executing(workstream, task)
        elif not workstream.open_tasks:
            head = self._lanes.keep_settled(workstream)
            base = (
                workstream.base.commit if workstream.keeps_patches and workstream.base is not None else None
            )
            step = workstream_steps.validate(workstream.head, head_commit=head, base_commit=base)
            self._turn.move_workstream(workstream, step)
            self._landing_queue.board(workstream)

    def workstream_ended(self, workstream: WorkstreamNode) -> None:
        """Draw the consequences of a workstream's end: requests, those that need it, the target, the run."""
        run = self._turn.run
        self._landing_queue.ended(workstream)
        run.open_workstreams -= 1
        for name in run.dependents[workstream.name]:
            dependent = run.workstreams[name]
            if workstream.state is WorkstreamState.COMPLETED:
                dependent.unmet -= 1
                if not dependent.unmet and dependent.state is WorkstreamState.BLOCKED:
                    self._tasks.make_ready(dependent)
            elif not dependent.has_ended:
                self._skip(dependent, _dependency_failed("workstream", workstream.name))
        self.go_on()

    def go_on(self) -> None:
        """Note that the queue may take other steps, or end the run when all workstreams have ended."""
        if self._turn.run.open_workstreams:
            self._landing_queue.changed()
        elif not self._turn.is_over:
            self._end_run()

    # -- what ends by request --------------------------------------------------------------------------------

    def end_task(self, task: TaskNode, reason: Reason, steps: Sequence[Step] = ()) -> None:
        """Remove an open task from its lane and end it, by default cancelled."""
        self._lanes.remove(task)
        self._end_open_task(task, reason, steps)
        self._turn.follow_up(task)

    def stop_workstream(self, workstream: WorkstreamNode, reason: Reason, step: Step | None = None) -> bool:
        """End a workstream, by default cancelled; return False when that must wait for its landing."""
        if workstream.is_in_doubt:
            return False
        self._close(workstream, reason)
        self._landing_queue.release(workstream)
        self._turn.move_workstream(
            workstream, step or workstream_steps.cancel(workstream.head, reason), reason
        )
        self._turn.follow_up(workstream)
        return True

    # -- steps -----------------------------------------------------------------------------------------------

    def _need_ended(self, dependent: TaskNode, needed: TaskNode) -> None:
        if needed.state is TaskState.COMPLETED:
            self._tasks.need_met(dependent)
        elif not dependent.has_ended:
            reason = _dependency_failed("task", needed.name)
            self._turn.move_task(dependent, task_steps.cancel(dependent.head, reason), reason)
            self._turn.follow_up(dependent)

    def _fail_executing(self, workstream: WorkstreamNode, culprit: TaskNode) -> None:
        cause = stated(culprit.reason, culprit.label)
        reason = Reason(
            code=cause.code,
            message=f"its critical task {culprit.name} failed: {cause.message}",
            detail={"task": culprit.name, **cause.detail},
        )
        bystander = Reason(
            code=ReasonCode.CANCELLED,
            message=f"{workstream.name} lands whole or not at all; its critical task {culprit.name} failed",
            detail={"task": culprit.name},
        )
        self._close(workstream, bystander)
        step = workstream_steps.fail(workstream.head, reason, trigger="critical_task_failed")
        self._turn.move_workstream(workstream, step, reason)
        self._turn.follow_up(workstream)

    def _close(self, workstream: WorkstreamNode, reason: Reason) -> None:
        """End what is still open in a workstream: its patches are dropped, its tasks cancelled."""
        self._lanes.stop(workstream)
        for task in workstream.tasks:
            self._end_open_task(task, reason)
        self._lanes.keep_settled(workstream)
        workstream.open_tasks = 0
        self._scheduler.advance(workstream)

    def _end_open_task(self, task: TaskNode, reason: Reason, steps: Sequence[Step] = ()) -> None:
        """Drop a task's patch, and end the task, by default cancelled, whichever of them has not ended."""
        patch = task.patch
        if patch and patch.state is not PatchState.COMMITTED and not PATCH_LEDGER.is_terminal(patch.state):
            self._turn.drop(task, reason)
            self._approvals.forget(patch.id)
        if task.has_ended:
            return
        if task.state is TaskState.RUNNING:
            self._tasks.abandon(task)
            if task.kind in {TaskKind.COMMAND, TaskKind.TOOL}:
                self._turn.request(StopCommand(task=task.id))
        task.material = None
        for step in steps or (task_steps.cancel(task.head, reason),):
            self._turn.move_task(task, step, reason)

    def _skip(self, workstream: WorkstreamNode, reason: Reason) -> None:
        self._close(workstream, reason)
        self._turn.move_workstream(workstream, workstream_steps.skip(workstream.head, reason), reason)
        self._turn.follow_up(workstream)

    def _end_run(self) -> None:
        run = self._turn.run
        if self.cancelled is not None:
            self._turn.move_run(run_steps.cancel(run.head, self.cancelled))
            return
        facts = [_fact_of(workstream) for workstream in run.order]
        if derive_run(facts) is RunState.SUCCEEDED:
            self._turn.move_run(run_steps.succeed(run.head))
            return
        failed = [
            ws for ws, fact in zip(run.order, facts, strict=True) if derive_run([fact]) is RunState.FAILED
        ]
        names = [workstream.name for workstream in failed]
        reason = Reason(
            code=failed[0].reason.code if failed[0].reason else ReasonCode.DEPENDENCY_FAILED,
            message=f"critical workstreams did not land: {', '.join(names)}",
            detail={"workstreams": names},
        )
        self._turn.move_run(run_steps.fail(run.head, reason))


def _fact_of(workstream: WorkstreamNode) -> WorkstreamFact:
    reason = workstream.reason
    return WorkstreamFact(
        state=workstream.state,
        is_critical=workstream.is_critical,
        lost_dependency=reason is not None and reason.code is ReasonCode.DEPENDENCY_FAILED,
    )


def _dependency_failed(kind: str, name: str) -> Reason:
    return Reason(
        code=ReasonCode.DEPENDENCY_FAILED,
        message=f"it needs the {kind} {name}, which did not complete",
        detail={kind: name},
    )
