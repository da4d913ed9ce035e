"""The workstream: a group of tasks that lands on the target branch as a whole or not at all.

Until ``validating`` its state follows from its tasks and from the workstreams it needs
(docs/SPECIFICATION.md §3). From there the merged result decides: it lands, and only then is
anything of it on the target branch, or it fails and nothing is.
"""

from enum import StrEnum

from maingate.state.machine import Machine


class WorkstreamState(StrEnum):
    """The states of a workstream."""

    PLANNED = "planned"
    """Recorded. The scheduler moves it on by looking at the workstreams it needs."""
    READY = "ready"
    """Every workstream that it needs has landed. Its first task to start moves it on."""
    BLOCKED = "blocked"
    """It waits for a workstream it needs. The end of that one moves it on, to ready or to skipped."""
    EXECUTING = "executing"
    """Its tasks are under way. The last of them to end, or the first critical one to fail, moves it on."""
    VALIDATING = "validating"
    """Its tasks are done. The lane of the target moves it on: gates on the merged result, then landing."""
    COMPLETED = "completed"
    """The end: all of it is on the target branch."""
    FAILED = "failed"
    """The end: a critical task failed or the merged result did; none of it is on the target branch."""
    CANCELLED = "cancelled"
    """The end: a person stopped it; none of it is on the target branch."""
    SKIPPED = "skipped"
    """The end: it never started, because it was left out or a workstream that it needs did not land."""


WORKSTREAM = Machine(
    name="workstream",
    states=WorkstreamState,
    initial=WorkstreamState.PLANNED,
    terminal=frozenset(
        {
            WorkstreamState.COMPLETED,
            WorkstreamState.FAILED,
            WorkstreamState.CANCELLED,
            WorkstreamState.SKIPPED,
        }
    ),
    table={
        WorkstreamState.PLANNED: (
            (WorkstreamState.READY, "dependencies_met"),
            (WorkstreamState.BLOCKED, "dependency_unmet"),
            (WorkstreamState.SKIPPED, "disabled"),
            (WorkstreamState.CANCELLED, "user_cancelled"),
        ),
        WorkstreamState.READY: (
            (WorkstreamState.EXECUTING, "first_task_started"),
            (WorkstreamState.SKIPPED, "disabled"),
            (WorkstreamState.CANCELLED, "user_cancelled"),
        ),
        WorkstreamState.BLOCKED: (
            (WorkstreamState.READY, "dependencies_met"),
            (WorkstreamState.SKIPPED, "dependency_failed"),
            (WorkstreamState.CANCELLED, "user_cancelled"),
        ),
        WorkstreamState.EXECUTING: (
            (WorkstreamState.VALIDATING, "all_tasks_done"),
            (WorkstreamState.FAILED, "critical_task_failed"),
            (WorkstreamState.CANCELLED, "user_cancelled"),
        ),
        WorkstreamState.VALIDATING: (
            (WorkstreamState.COMPLETED, "landed"),
            (WorkstreamState.FAILED, "validation_failed"),
            (WorkstreamState.CANCELLED, "user_cancelled"),
        ),
        WorkstreamState.COMPLETED: (),
        WorkstreamState.FAILED: (),
        WorkstreamState.CANCELLED: (),
        WorkstreamState.SKIPPED: (),
    },
    extensions={
        (WorkstreamState.BLOCKED, WorkstreamState.SKIPPED, "dependency_failed"): (
            "a workstream that it needs ended without landing, so it can never become ready"
        ),
        (WorkstreamState.BLOCKED, WorkstreamState.CANCELLED, "user_cancelled"): (
            "cancelling a run reaches blocked workstreams"
        ),
        (WorkstreamState.VALIDATING, WorkstreamState.CANCELLED, "user_cancelled"): (
            "cancelling a run reaches workstreams that wait to land"
        ),
    },
)
