"""One turn of the core: the decision about the current events while it is being made.

Every part of the core changes the run's picture through the turn. So each change of a state is recorded as a
transition in the same place, and a part needs no other part to announce that a task or a workstream ended:
the turn remembers the ending, and the core follows it up (`maingate.orchestrator.core.endings`).
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from maingate.ids import PatchId, TaskId, WorkstreamId
from maingate.orchestrator.core.decision import Decision
from maingate.orchestrator.core.drain import Drain
from maingate.orchestrator.core.effects import Effect, KeepEvidence
from maingate.orchestrator.core.events import OverrideRequested
from maingate.orchestrator.core.hold_board import HoldBoard
from maingate.orchestrator.core.snapshot import RunNode, TaskNode, WorkstreamNode
from maingate.plan.choices import OnApplied
from maingate.reasons import Reason, ReasonCode
from maingate.state.holds import EndedBy, Hold, HoldCode
from maingate.state.patch_ledger import PatchState
from maingate.state.run import RunState
from maingate.state.steps import patches as patch_steps
from maingate.state.steps import tasks as task_steps
from maingate.state.steps.step import Step
from maingate.state.task import TaskState
from maingate.state.workstream import WorkstreamState

_WITH_OPEN_LANE: Final = frozenset({WorkstreamState.READY, WorkstreamState.EXECUTING})


@dataclass(frozen=True, kw_only=True)
class AppliedOverride:
    """An override whose consequences are drawn, to be answered."""

    request: OverrideRequested
    node: TaskNode | WorkstreamNode


FollowUp = TaskNode | WorkstreamNode | AppliedOverride
"""An ended task or workstream whose consequences are not drawn yet, or an override to be answered then."""


class Turn:
    """The run's picture, and the decision about the current events.

    Args:
        run: The picture.
        now: The time; set anew by the shell before each call of the core.
    """

    def __init__(self, run: RunNode, now: datetime) -> None:
        self.run, self.now = run, now
        self.tasks: dict[TaskId, TaskNode] = {task.id: task for ws in run.order for task in ws.tasks}
        self.workstreams: dict[WorkstreamId, WorkstreamNode] = {ws.id: ws for ws in run.order}
        self.tasks_ended = sum(task.has_ended for task in self.tasks.values())
        self.drain = Drain()
        self.board = HoldBoard(run.holds)
        self.decision = Decision()
        self._follow_ups: deque[FollowUp] = deque()
        self._changed_lanes: dict[WorkstreamId, WorkstreamNode] = {}

    @property
    def is_over(self) -> bool:
        """Return whether the run has ended."""
        return self.run.state is not RunState.PENDING and self.run.state is not RunState.RUNNING

    # -- effects ---------------------------------------------------------------------------------------------

    def request(self, effect: Effect) -> None:
        """Add an effect that starts after the transaction commits."""
        self.decision.effects.append(effect)

    def speculate(self, effect: Effect) -> None:
        """Add an effect without durable consequences, which starts before the transaction commits."""
        self.decision.speculative.append(effect)

    # -- holds -----------------------------------------------------------------------------------------------

    def hold(
        self, entity_id: str, code: HoldCode, about: Mapping[str, Any], *, ends_by: EndedBy = EndedBy.RUN
    ) -> None:
        """Record the hold of an entity that waits from now on, if it did not before."""
        self.board.put(entity_id, Hold(code=code, about=about, since=self.now, ends_by=ends_by))

    # -- consequences ----------------------------------------------------------------------------------------

    def follow_up(self, ended: FollowUp) -> None:
        """Add an ending whose consequences are drawn later in this turn: a chain must not become a stack."""
        self._follow_ups.append(ended)

    def next_follow_up(self) -> FollowUp | None:
        """Remove and return the oldest ending without consequences; None when all are drawn."""
        return self._follow_ups.popleft() if self._follow_ups else None

    @property
    def has_follow_ups(self) -> bool:
        """Return whether there are endings without consequences."""
        return bool(self._follow_ups)

    def lane_changed(self, workstream: WorkstreamNode) -> None:
        """Mark a lane, whose next patches may be applied once all consequences are drawn."""
        self._changed_lanes[workstream.id] = workstream

    def take_changed_lanes(self) -> list[WorkstreamNode]:
        """Return the marked lanes and clear the marks."""
        changed, self._changed_lanes = list(self._changed_lanes.values()), {}
        return changed

    def take_decision(self) -> Decision:
        """Return the decision and start an empty one."""
        decision, self.decision = self.decision, Decision()
        return decision

    # -- transitions -----------------------------------------------------------------------------------------

    def move_run(self, step: Step) -> None:
        """Record a transition of the run."""
        self.run.state = RunState(step.to)
        if self.is_over:
            self.board.clear()
        self.decision.steps.append(step)

    def move_workstream(self, workstream: WorkstreamNode, step: Step, reason: Reason | None = None) -> None:
        """Record a transition of a workstream."""
        workstream.state = WorkstreamState(step.to)
        workstream.reason = reason or workstream.reason
        if workstream.state not in _WITH_OPEN_LANE:
            self.board.remove(workstream.id)
        self.decision.steps.append(step)

    def move_task(self, task: TaskNode, step: Step, reason: Reason | None = None) -> None:
        """Record a transition of a task."""
        task.state = TaskState(step.to)
        task.reason = reason or task.reason
        self.tasks_ended += task.has_ended
        self.board.remove(task.id)
        self.decision.steps.append(step)

    def move_patch(self, task: TaskNode, step: Step) -> None:
        """Record a transition of a task's patch."""
        patch = task.require_patch()
        patch.state = PatchState(step.to)
        self.board.remove(patch.id)
        self.decision.steps.append(step)

    def drop(self, task: TaskNode, reason: Reason) -> None:
        """Drop a task's patch without blame."""
        self.move_patch(task, patch_steps.drop(task.require_patch().head, reason))

    def is_done_already(self, reason: Reason) -> bool:
        """Return whether a patch that is refused for a reason is on the target, and that is well."""
        is_there = reason.code is ReasonCode.ALREADY_APPLIED
        return is_there and self.run.plan.on_applied is OnApplied.SKIP

    def pass_over(self, task: TaskNode, reason: Reason) -> None:
        """Drop the patch of a task because the target has its change already; the task is done."""
        self.drop(task, reason)
        task.material, task.reason = None, reason
        if not task.has_ended:
            self.move_task(task, task_steps.pass_over(task.head, reason))
            self.follow_up(task)

    def quarantine(self, task: TaskNode, reason: Reason, trigger: patch_steps.Refusal) -> None:
        """Quarantine a task's patch, and request its evidence."""
        patch = task.require_patch()
        self.move_patch(task, patch_steps.quarantine(patch.head, reason, trigger=trigger))
        self.request(KeepEvidence(patch=PatchId(patch.id), reason=reason))


def stated(reason: Reason | None, name: str) -> Reason:
    """Return the reason, or one that says that none was stated."""
    return reason or Reason(code=ReasonCode.GATE_FAILED, message=f"{name} was refused without a reason given")
