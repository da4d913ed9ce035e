"""Approval of patches: a validated patch waits until enough people have approved it."""

from collections.abc import Sequence

from maingate.ids import PatchId
from maingate.orchestrator.core.events import ApprovalsRead
from maingate.orchestrator.core.snapshot import TaskNode
from maingate.orchestrator.core.turn import Turn
from maingate.state.holds import EndedBy, HoldCode
from maingate.state.patch_ledger import PatchState
from maingate.state.steps import patches as patch_steps


class Approvals:
    """The patches that wait for approval.

    Args:
        turn: The current turn.
        reviewers: The minimum number of approvals by the settings; the plan may demand more.
    """

    def __init__(self, turn: Turn, *, reviewers: int) -> None:
        self._turn, self._reviewers = turn, reviewers
        self._waiting: dict[PatchId, TaskNode] = {}

    @property
    def waiting(self) -> Sequence[PatchId]:
        """The patches that wait for approval; safe to read from any thread."""
        return tuple(self._waiting)

    def wanted(self, patch_id: PatchId) -> tuple[str, int]:
        """Return the task of a waiting patch and the number of approvals it needs; safe from any thread.

        None are needed, by no task, when the patch does not wait any more.
        """
        task = self._waiting.get(patch_id)
        return ("", 0) if task is None else (task.label, self._needed(task))

    def approvals_read(self, event: ApprovalsRead) -> None:
        """Accept the patches that have enough approvals by now."""
        for patch_id, count in event.counts.items():
            task = self._waiting.get(patch_id)
            if task is not None:
                task.require_patch().approvals = count
                self.accept(task)

    def accept(self, task: TaskNode) -> None:
        """Queue a valid patch for its lane, once it has enough approvals."""
        patch = task.require_patch()
        if patch.state is PatchState.VALIDATED and not task.has_ended:
            if (missing := self._needed(task) - patch.approvals) > 0:
                self._waiting[patch.id] = task
                self._turn.hold(patch.id, HoldCode.APPROVALS, {"missing": missing}, ends_by=EndedBy.PERSON)
                return
            self._turn.move_patch(task, patch_steps.enqueue(patch.head))
        self._waiting.pop(patch.id, None)
        self._turn.lane_changed(task.workstream)

    def forget(self, patch_id: PatchId) -> None:
        """Remove a patch that ended."""
        self._waiting.pop(patch_id, None)

    def _needed(self, task: TaskNode) -> int:
        demanded = int(task.require_patch().needs_approval)
        return max(task.reviewers, self._reviewers, demanded)
