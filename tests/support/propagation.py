"""Rules by which a change of one entity moves others: patch → task → workstream → run.

The core of a run draws these consequences as they arise; these rules derive them from the whole state. The
tests hold every step of the core against them.

A machine defines the transitions that an entity may make; this module derives the transitions that its
neighbours must make. Every rule is a function of states alone and returns a ``Move`` or the derived state. It
can be applied repeatedly: once its move is made, the rule returns nothing more (level-triggered).

Downwards, the needs of a workstream or a task decide whether it may start, or never will. Upwards, a
patch decides its task, the tasks their workstream, the workstreams the run. When a workstream
has ended, its patches and its open tasks end with it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from maingate.state.patch_ledger import PATCH_LEDGER, PatchState
from maingate.state.run import RunState
from maingate.state.run_outcome import WorkstreamFact, derive_run
from maingate.state.task import TASK, TaskState
from maingate.state.workstream import WORKSTREAM, WorkstreamState


class Move(NamedTuple):
    """A transition that must be made: to which state, by which trigger."""

    to: StrEnum
    trigger: str


@dataclass(frozen=True, kw_only=True)
class TaskFact:
    """The input of a task to the derivation of its workstream.

    Args:
        state: The task's state.
        is_critical: Whether the workstream cannot land without it.
        has_started: Whether any attempt began, for a task that is queued again between two attempts.
    """

    state: TaskState
    is_critical: bool
    has_started: bool = False


# -- needs ---------------------------------------------------------------------------------------------------


def are_needs_met(needs: Iterable[TaskState | WorkstreamState]) -> bool:
    """Return whether everything that is needed is completed; true when nothing is needed."""
    return all(state == _COMPLETED for state in needs)


def are_needs_broken(needs: Iterable[TaskState | WorkstreamState]) -> bool:
    """Return whether a need ended otherwise than completed, so that the dependent can never run."""
    return any(state != _COMPLETED and state in _ENDED for state in needs)


# Members compare as their text, and both machines call the good end the same.
_COMPLETED: Final = TaskState.COMPLETED
_ENDED: Final = TASK.terminal | WORKSTREAM.terminal


def task_after_needs(task: TaskState, needs: Collection[TaskState]) -> Move | None:
    """Decide the move of a waiting task by the tasks that it needs.

    A task whose need ended otherwise than completed is cancelled, with ``dependency_failed`` as its reason,
    whether or not the need was critical: it can never run.
    """
    if task not in {TaskState.PENDING, TaskState.BLOCKED}:
        return None
    if are_needs_broken(needs):
        return Move(TaskState.CANCELLED, "user_cancelled")
    if task == TaskState.BLOCKED:
        return Move(TaskState.PENDING, "dependency_satisfied") if are_needs_met(needs) else None
    if are_needs_met(needs):
        return Move(TaskState.QUEUED, "scheduler_assigned")
    return Move(TaskState.BLOCKED, "dependency_check_failed")


# -- upwards -------------------------------------------------------------------------------------------------


TASK_AFTER_PATCH: Final[Mapping[PatchState, Move]] = MappingProxyType(
    {
        PatchState.VERIFIED: Move(TaskState.COMPLETED, "validation_passed"),
        PatchState.COMMITTED: Move(TaskState.COMPLETED, "validation_passed"),
        PatchState.QUARANTINED: Move(TaskState.FAILED, "validation_failed"),
        PatchState.DROPPED: Move(TaskState.CANCELLED, "user_cancelled"),
    }
)
"""The move of a validating task when its patch is in one of these states."""


def task_after_patch(task: TaskState, patch: PatchState) -> Move | None:
    """Decide the move of a validating task by its patch.

    A task that is already completed stays so when its workstream's merged result fails later and its patch is
    quarantined: terminal states never change, and it is the workstream that fails.
    """
    return TASK_AFTER_PATCH.get(patch) if task == TaskState.VALIDATING else None


def derive_workstream(
    tasks: Collection[TaskFact], *, needs_met: bool, needs_broken: bool = False
) -> WorkstreamState:
    """Derive the state of a workstream from its tasks, up to ``validating``; the first match wins.

    1. A task runs, validates or will be retried: ``executing``. A critical failure fails the workstream at
       once all the same, because it ends the tasks under way (``task_after_siblings``).
    2. A critical task ended otherwise than completed: ``failed``. A cancelled one counts like a failed one:
       its patch is missing, usually because a task it needs failed, and a workstream lands whole or not at
       all.
    3. All have ended: ``validating``. The patches of non-critical failures are left out of the landing.
    4. Some have begun, none is under way: still ``executing``, the next ones are queued.
    5. None has begun: ``skipped``, ``ready`` or ``blocked``, as the needs are broken, met, or not met yet.

    In 2 and 3, when no task ever began, they can only have been stopped by a person: ``cancelled``.

    Args:
        tasks: All tasks of the workstream, at least one.
        needs_met: Whether every workstream that it needs is completed.
        needs_broken: Whether one of them ended otherwise.
    """
    has_begun = any(_has_begun(task) for task in tasks)
    if any(task.state in _UNDER_WAY for task in tasks):
        return WorkstreamState.EXECUTING
    if any(_is_critical_loss(task) for task in tasks):
        return WorkstreamState.FAILED if has_begun else WorkstreamState.CANCELLED
    if tasks and all(TASK.is_terminal(task.state) for task in tasks):
        return WorkstreamState.VALIDATING if has_begun else WorkstreamState.CANCELLED
    if has_begun:
        return WorkstreamState.EXECUTING
    if needs_broken:
        return WorkstreamState.SKIPPED
    return WorkstreamState.READY if needs_met else WorkstreamState.BLOCKED


def task_after_siblings(task: TaskState, siblings: Collection[TaskFact]) -> Move | None:
    """Cancel a task whose workstream can no longer land, because a critical task of it failed."""
    if TASK.is_terminal(task) or not any(_is_critical_loss(sibling) for sibling in siblings):
        return None
    return Move(TaskState.CANCELLED, "user_cancelled")


_UNDER_WAY: Final = frozenset({TaskState.RUNNING, TaskState.VALIDATING, TaskState.RETRYING})
_HAS_BEGUN: Final = _UNDER_WAY | {TaskState.COMPLETED, TaskState.FAILED}


def _has_begun(task: TaskFact) -> bool:
    return task.has_started or task.state in _HAS_BEGUN


def _is_critical_loss(task: TaskFact) -> bool:
    return task.is_critical and task.state in {TaskState.FAILED, TaskState.CANCELLED}


_READY = Move(WorkstreamState.READY, "dependencies_met")
_BLOCKED = Move(WorkstreamState.BLOCKED, "dependency_unmet")
_EXECUTING = Move(WorkstreamState.EXECUTING, "first_task_started")
_CANCELLED = Move(WorkstreamState.CANCELLED, "user_cancelled")

_TOWARDS: Final[Mapping[WorkstreamState, Mapping[WorkstreamState, Move]]] = MappingProxyType(
    {
        WorkstreamState.PLANNED: {
            WorkstreamState.READY: _READY,
            WorkstreamState.EXECUTING: _READY,
            WorkstreamState.VALIDATING: _READY,
            WorkstreamState.FAILED: _READY,
            WorkstreamState.BLOCKED: _BLOCKED,
            WorkstreamState.SKIPPED: _BLOCKED,
            WorkstreamState.CANCELLED: _CANCELLED,
        },
        WorkstreamState.READY: {
            WorkstreamState.EXECUTING: _EXECUTING,
            WorkstreamState.VALIDATING: _EXECUTING,
            WorkstreamState.FAILED: _EXECUTING,
            WorkstreamState.CANCELLED: _CANCELLED,
        },
        WorkstreamState.BLOCKED: {
            WorkstreamState.READY: _READY,
            WorkstreamState.EXECUTING: _READY,
            WorkstreamState.VALIDATING: _READY,
            WorkstreamState.FAILED: _READY,
            WorkstreamState.SKIPPED: Move(WorkstreamState.SKIPPED, "dependency_failed"),
            WorkstreamState.CANCELLED: _CANCELLED,
        },
        WorkstreamState.EXECUTING: {
            WorkstreamState.VALIDATING: Move(WorkstreamState.VALIDATING, "all_tasks_done"),
            WorkstreamState.FAILED: Move(WorkstreamState.FAILED, "critical_task_failed"),
        },
        WorkstreamState.VALIDATING: {},
        WorkstreamState.COMPLETED: {},
        WorkstreamState.FAILED: {},
        WorkstreamState.CANCELLED: {},
        WorkstreamState.SKIPPED: {},
    }
)
"""The next move from each state towards a derived one."""


def workstream_moves(current: WorkstreamState, derived: WorkstreamState) -> tuple[Move, ...]:
    """Return the moves from a workstream's state to the derived one, each of which is in the machine's table.

    A single event may carry it over several states (its only task starts and ends in one step); each is
    recorded. A workstream never goes back: when the derived state lies behind it (it waits to land, or has
    ended), there is nothing to do.
    """
    moves: list[Move] = []
    while current != derived and (move := _TOWARDS[current].get(derived)) is not None:
        moves.append(move)
        current = WorkstreamState(move.to)
    return tuple(moves)


_RUN_END: Final[Mapping[RunState, Move]] = MappingProxyType(
    {
        RunState.SUCCEEDED: Move(RunState.SUCCEEDED, "all_workstreams_done"),
        RunState.FAILED: Move(RunState.FAILED, "critical_workstream_failed"),
    }
)


def run_after_workstreams(run: RunState, workstreams: Collection[WorkstreamFact]) -> Move | None:
    """Decide whether a running run has ended, and how."""
    return _RUN_END.get(derive_run(workstreams)) if run == RunState.RUNNING else None


# -- downwards -----------------------------------------------------------------------------------------------


def patch_after_workstream(patch: PatchState, ended: Move) -> Move | None:
    """Decide the move of a patch by the end of its workstream: they land together, or not at all.

    When it landed, its verified patches are committed. When its merged result failed, they are quarantined
    with that evidence. When it ended in any other way, a patch that is not final is discarded.

    Args:
        patch: The patch's state.
        ended: The transition that ended the workstream; its trigger tells a failed merged result
            (``validation_failed``) from a failed critical task.
    """
    if patch == PatchState.VERIFIED:
        if ended.to == WorkstreamState.COMPLETED:
            return Move(PatchState.COMMITTED, "commit_succeeded")
        if ended.trigger == "validation_failed":
            return Move(PatchState.QUARANTINED, "gates_failed")
    if ended.to == WorkstreamState.COMPLETED or not _can_be_discarded(patch):
        return None
    return Move(PatchState.DROPPED, "discarded")


def _can_be_discarded(patch: PatchState) -> bool:
    return not PATCH_LEDGER.is_terminal(patch) and patch != PatchState.COMMITTED


def task_after_workstream(task: TaskState, workstream: WorkstreamState) -> Move | None:
    """Cancel the open tasks of a workstream that has ended."""
    if WORKSTREAM.is_terminal(workstream) and not TASK.is_terminal(task):
        return Move(TaskState.CANCELLED, "user_cancelled")
    return None


def workstream_after_run(workstream: WorkstreamState, run: RunState) -> Move | None:
    """Cancel the open workstreams of a run that was cancelled."""
    if run == RunState.CANCELED and not WORKSTREAM.is_terminal(workstream):
        return Move(WorkstreamState.CANCELLED, "user_cancelled")
    return None
