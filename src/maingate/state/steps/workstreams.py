"""Transitions of workstreams."""

from typing import Literal, Unpack

from maingate.reasons import Reason
from maingate.state.steps.step import HasHead, Note, Remark, Step, step
from maingate.state.workstream import WorkstreamState


def ready(workstream: HasHead, **note: Unpack[Note]) -> Step:
    """Make ready: every needed workstream is completed."""
    return step(workstream, WorkstreamState.READY, "dependencies_met", {"reason": None}, **note)


def block(workstream: HasHead, reason: Reason | None = None, **remark: Unpack[Remark]) -> Step:
    """Block until a needed workstream is completed."""
    return step(
        workstream, WorkstreamState.BLOCKED, "dependency_unmet", {"reason": reason}, reason=reason, **remark
    )


def start(workstream: HasHead, *, base_commit: str | None = None, **note: Unpack[Note]) -> Step:
    """Start: its first task started."""
    sets = {"base_commit": base_commit, "head_commit": base_commit} if base_commit else None
    return step(workstream, WorkstreamState.EXECUTING, "first_task_started", sets, **note)


def validate(
    workstream: HasHead,
    *,
    head_commit: str | None = None,
    base_commit: str | None = None,
    **note: Unpack[Note],
) -> Step:
    """Validate: all its tasks ended without a critical failure; it waits to land.

    Args:
        workstream: The workstream.
        head_commit: The last commit of its ref; None when nothing was settled on it.
        base_commit: The commit that its ref begins from; None for the one on record.
        **note: Metadata, operator and reason.
    """
    commits = {"head_commit": head_commit, "base_commit": base_commit}
    sets = {name: commit for name, commit in commits.items() if commit is not None}
    return step(workstream, WorkstreamState.VALIDATING, "all_tasks_done", sets, **note)


def complete(workstream: HasHead, landed_commit: str | None = None, **note: Unpack[Note]) -> Step:
    """Complete: it is on the target branch.

    Args:
        workstream: The workstream.
        landed_commit: The target's commit that holds it; None when it had nothing to land.
        **note: Metadata, operator and reason.
    """
    return step(
        workstream,
        WorkstreamState.COMPLETED,
        "landed",
        {"landed_commit": landed_commit, "reason": None},
        **note,
    )


def pass_over(workstream: HasHead, reason: Reason) -> Step:
    """Complete: the target has all of it already, which is kept as the reason."""
    return step(workstream, WorkstreamState.COMPLETED, "landed", {"reason": reason}, reason=reason)


def fail(
    workstream: HasHead,
    reason: Reason,
    *,
    trigger: Literal["critical_task_failed", "validation_failed"],
    **remark: Unpack[Remark],
) -> Step:
    """Fail: a critical task or the merged result failed."""
    return step(workstream, WorkstreamState.FAILED, trigger, {"reason": reason}, reason=reason, **remark)


def skip(
    workstream: HasHead,
    reason: Reason,
    *,
    trigger: Literal["dependency_failed", "disabled"] = "dependency_failed",
    **remark: Unpack[Remark],
) -> Step:
    """Skip: a needed workstream did not complete, or it is disabled."""
    return step(workstream, WorkstreamState.SKIPPED, trigger, {"reason": reason}, reason=reason, **remark)


def cancel(workstream: HasHead, reason: Reason, **remark: Unpack[Remark]) -> Step:
    """Cancel by request."""
    return step(
        workstream, WorkstreamState.CANCELLED, "user_cancelled", {"reason": reason}, reason=reason, **remark
    )
