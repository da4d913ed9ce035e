"""Transitions of runs."""

from typing import Unpack

from maingate.reasons import Reason
from maingate.state.run import RunState
from maingate.state.steps.step import HasHead, Note, Remark, Step, step


def start(run: HasHead, **note: Unpack[Note]) -> Step:
    """Start scheduling."""
    return step(run, RunState.RUNNING, "scheduling_started", **note)


def succeed(run: HasHead, *, new_head: str | None = None, **note: Unpack[Note]) -> Step:
    """Succeed: every workstream is completed or skipped."""
    return step(
        run, RunState.SUCCEEDED, "all_workstreams_done", {"new_head": new_head} if new_head else None, **note
    )


def fail(run: HasHead, reason: Reason, **remark: Unpack[Remark]) -> Step:
    """Fail: a critical workstream did not land."""
    return step(
        run, RunState.FAILED, "critical_workstream_failed", {"reason": reason}, reason=reason, **remark
    )


def cancel(run: HasHead, reason: Reason, **remark: Unpack[Remark]) -> Step:
    """Cancel by request."""
    return step(run, RunState.CANCELED, "user_canceled", {"reason": reason}, reason=reason, **remark)
