"""Requests about a run under way: an operator cancels or overrides, or git has lost some commits.

A request about a workstream that may have landed already, or about a task of it, is deferred by the
`landing_queue`.
"""

from maingate.ids import TaskId, WorkstreamId
from maingate.orchestrator.core import operator_decisions
from maingate.orchestrator.core.endings import Endings
from maingate.orchestrator.core.events import CancelRequested, OverrideRequested, WorkstreamBroken
from maingate.orchestrator.core.patch_lanes import Lanes
from maingate.orchestrator.core.queue.landing_queue import LandingQueue
from maingate.orchestrator.core.queue.queue_state import Request
from maingate.orchestrator.core.snapshot import TaskNode, WorkstreamNode
from maingate.orchestrator.core.tasks import Tasks
from maingate.orchestrator.core.turn import AppliedOverride, Turn
from maingate.orchestrator.task_scheduler import TaskScheduler
from maingate.reasons import Reason
from maingate.state.operator_rules import RequestAnswer
from maingate.state.workstream import WorkstreamState


class Operator:
    """Applies requests.

    Args:
        turn: The current turn.
        scheduler: Hands out queued tasks.
        tasks: Queues tasks that are unblocked.
        lanes: The way of patches onto their workstream's ref.
        endings: Ends tasks and workstreams.
        target: Defers requests while a landing is in doubt.
        worker_id: The orchestration worker on whose behalf tasks are completed by hand.
    """

    def __init__(
        self,
        turn: Turn,
        scheduler: TaskScheduler,
        *,
        tasks: Tasks,
        lanes: Lanes,
        endings: Endings,
        landing_queue: LandingQueue,
        worker_id: str,
    ) -> None:
        self._turn, self._scheduler, self._tasks, self._lanes = turn, scheduler, tasks, lanes
        self._endings, self._landing_queue, self._worker_id = endings, landing_queue, worker_id

    def apply(self, request: Request) -> None:
        """Apply a request, or defer it."""
        match request:
            case CancelRequested():
                self.cancel(request)
            case OverrideRequested():
                self.override(request)
            case WorkstreamBroken():
                self.broken(request)

    # -- cancels ---------------------------------------------------------------------------------------------

    def cancel(self, event: CancelRequested) -> None:
        """Cancel the run, a workstream or a task."""
        said = self._cancel(event.entity, event.reason)
        if isinstance(said, WorkstreamNode):
            self._landing_queue.defer(said, event)
        elif event.request is not None:
            self._turn.decision.answers.append(RequestAnswer(request=event.request, said=said))

    def _cancel(self, entity: str | None, reason: Reason) -> str | WorkstreamNode:
        """Cancel and return the answer; or return the workstream whose landing is in doubt."""
        if entity is None or entity == self._turn.run.id:
            return self._cancel_run(reason)
        if (workstream := self._turn.workstreams.get(WorkstreamId(entity))) is not None:
            return self._cancel_workstream(workstream, reason)
        if (task := self._turn.tasks.get(TaskId(entity))) is not None:
            return self._cancel_task(task, reason)
        return f"{entity} is not part of run {self._turn.run.id}"

    def _cancel_run(self, reason: Reason) -> str | WorkstreamNode:
        self._endings.cancelled = reason
        run = self._turn.run
        late = [ws for ws in run.order if not ws.has_ended and not self._endings.stop_workstream(ws, reason)]
        return late[0] if late else f"run {run.name} is cancelled"

    def _cancel_workstream(self, workstream: WorkstreamNode, reason: Reason) -> str | WorkstreamNode:
        if workstream.has_ended:
            return f"workstream {workstream.name} is {workstream.state} already"
        if self._endings.stop_workstream(workstream, reason):
            return f"workstream {workstream.name} is cancelled"
        return workstream

    def _cancel_task(self, task: TaskNode, reason: Reason) -> str | WorkstreamNode:
        if task.has_ended:
            return f"task {task.label} is {task.state} already"
        if task.is_in_doubt:
            return task.workstream
        self._endings.end_task(task, reason)
        return f"task {task.label} is cancelled"

    def broken(self, event: WorkstreamBroken) -> None:
        """End a workstream of which something is gone."""
        workstream = self._turn.workstreams[event.workstream]
        if workstream.has_ended:
            return
        is_under_way = workstream.state in {WorkstreamState.EXECUTING, WorkstreamState.VALIDATING}
        step = operator_decisions.failing_workstream(workstream, event.reason) if is_under_way else None
        if not self._endings.stop_workstream(workstream, event.reason, step):
            self._landing_queue.defer(workstream, event)

    # -- overrides -------------------------------------------------------------------------------------------

    def override(self, event: OverrideRequested) -> None:
        """Apply an operator's decision, or refuse it when it does not suit the entity's state."""
        node = self._node(event.entity)
        decision = self._turn.decision
        if (refused := operator_decisions.refusal(event, node)) is not None:
            decision.answers.append(RequestAnswer(request=event.request, said=refused, is_refused=True))
            return
        if node.is_in_doubt:
            self._landing_queue.defer(node if isinstance(node, WorkstreamNode) else node.workstream, event)
            return
        decision.overrides.append(operator_decisions.on_record(event, node))
        mine = len(decision.steps)
        self._carry_out(event, node)
        decision.steps[mine:] = operator_decisions.signed(decision.steps[mine:], event.operator)
        self._turn.follow_up(AppliedOverride(request=event, node=node))

    def answer(self, done: AppliedOverride) -> None:
        """Answer an override, once its consequences are drawn."""
        self._turn.decision.answers.append(operator_decisions.answer(done.request, done.node))

    def _node(self, entity: str) -> TaskNode | WorkstreamNode:
        return self._turn.tasks.get(TaskId(entity)) or self._turn.workstreams[WorkstreamId(entity)]

    def _carry_out(self, event: OverrideRequested, node: TaskNode | WorkstreamNode) -> None:
        reason = operator_decisions.reason_of(event)
        match event.override, node:
            case "force-complete", TaskNode():
                steps = operator_decisions.completing(node, reason, worker_id=self._worker_id)
                self._endings.end_task(node, reason, steps)
            case "force-fail", TaskNode():
                steps = operator_decisions.failing(node, reason, worker_id=self._worker_id)
                self._endings.end_task(node, reason, steps)
            case "reset", TaskNode():
                node.retries = node.losses = 0
                self._turn.move_task(node, operator_decisions.starting_over(node, reason))
                self._scheduler.queue(node)
            case "unblock", TaskNode():
                self._tasks.unblock(node, reason)
            case "fail", WorkstreamNode():
                step = operator_decisions.failing_workstream(node, reason)
                self._endings.stop_workstream(node, reason, step)
            case "validate", WorkstreamNode():
                self._lanes.settle_kept(node)
                for task in node.tasks:
                    self._cancel_task(task, reason)
