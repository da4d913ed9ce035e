"""Lanes that begin anew on a newer commit of the target, with patches that are not recorded as applied yet.

The lane of a workstream with tools keeps its patches off the record until the workstream lands. So while
nothing else needs them to be complete, all of them can be applied to another commit: when a tool begins, so
that it sees all that has landed, and when a patch turns out to conflict with that, so that its tool can make
another one.
"""

from typing import Final

from maingate.orchestrator.core.next_attempt import TaskAttempts
from maingate.orchestrator.core.patch_lanes import Lanes
from maingate.orchestrator.core.snapshot import TaskNode, WorkstreamNode
from maingate.orchestrator.core.turn import Turn
from maingate.plan.choices import TaskKind
from maingate.reasons import Reason, ReasonCode
from maingate.state.steps import patches as patch_steps
from maingate.state.task import TaskState

_NOT_AT_WORK: Final = frozenset({TaskState.PENDING, TaskState.QUEUED, TaskState.BLOCKED, TaskState.RETRYING})


class LaneRenewal:
    """Lays lanes anew.

    Args:
        turn: The current turn.
        lanes: The way of patches onto their workstream's ref.
        attempts: Ends the task of a refused patch.
    """

    def __init__(self, turn: Turn, lanes: Lanes, attempts: TaskAttempts) -> None:
        self._turn, self._lanes, self._attempts = turn, lanes, attempts

    def begin_on_newest(self, task: TaskNode) -> None:
        """Lay the lane of a task that begins on the newest head of the target, if nothing is laid in it.

        So its tool has seen all that landed while the workstream waited.
        """
        workstream, newest = task.workstream, self._turn.run.newest
        if newest != workstream.base and _may_begin_elsewhere(workstream, task):
            self._lanes.lay_anew(workstream, newest)

    def culprit(self, workstream: WorkstreamNode, reason: Reason) -> TaskNode | None:
        """Return the task whose tool can resolve the conflict by which a workstream cannot land; else None.

        None can where patches are on record as applied: these stay where they are.
        """
        lane = workstream.lane
        if reason.code is not ReasonCode.CONFLICT or lane is None or lane.settled != workstream.base:
            return None
        named = reason.detail.get("patch")
        task = next((car.item for car in lane.kept if car.item.require_patch().id == named), None)
        return task if task is not None and task.kind is TaskKind.TOOL else None

    def make_again(self, task: TaskNode, reason: Reason) -> None:
        """Refuse a kept patch that conflicts with the target, and lay its lane anew on the target's head.

        Its tool makes another patch there, while attempts last; the other patches of the lane are applied
        there as they are.
        """
        self._lanes.lay_anew(task.workstream, self._turn.run.newest)
        self._turn.move_patch(task, patch_steps.apply_failed(task.require_patch().head, reason))
        self._turn.quarantine(task, reason, "apply_attempts_exhausted")
        self._attempts.overtaken(task, reason)


def _may_begin_elsewhere(workstream: WorkstreamNode, beginner: TaskNode) -> bool:
    """Return whether nothing in a workstream of tools depends on its base but a task that begins now."""
    lane = workstream.lane
    if lane is None or workstream.base is None or workstream.begins_on is not None:
        return False
    if not all(task.kind is TaskKind.TOOL for task in workstream.patch_tasks()):
        return False
    others = (task for task in workstream.tasks if task is not beginner)
    return lane.is_bare(workstream.base) and not any(map(_depends_on_base, others))


def _depends_on_base(task: TaskNode) -> bool:
    """Return whether a task works on its workstream's base, or has a result that counts there."""
    is_void = task.kind is TaskKind.NOOP or (task.has_ended and task.kind.gives_a_patch)
    return task.state not in _NOT_AT_WORK and not is_void
