"""Transitions of circuit breakers."""

from dataclasses import replace
from typing import Final, Unpack

from maingate.reasons import Reason
from maingate.state.circuit_breaker import BreakerState
from maingate.state.steps.step import WRITTEN_AT, HasHead, Note, Remark, Step, step


def trip_open(
    breaker: HasHead, reason: Reason, *, failures: int | None = None, **remark: Unpack[Remark]
) -> Step:
    """Open: the tool failed ``failures`` times in a row."""
    made = _open(breaker, "failure_threshold_reached", reason, **remark)
    return made if failures is None else replace(made, sets={**made.sets, "failures": failures})


def half_open(
    breaker: HasHead, *, task_id: str | None = None, attempt: int | None = None, **note: Unpack[Note]
) -> Step:
    """Half-open for a single probe: the cooldown is over.

    Args:
        breaker: The breaker.
        task_id: The task that is the probe.
        attempt: Which attempt of it.
        **note: Metadata, operator and reason.
    """
    sets = {"probe_task": task_id, "probe_attempt": attempt}
    return step(breaker, BreakerState.HALF_OPEN, "cooldown_elapsed", sets, **note)


def close(breaker: HasHead, **note: Unpack[Note]) -> Step:
    """Close: the probe succeeded."""
    return step(breaker, BreakerState.CLOSED, "probe_succeeded", _CLOSED, **note)


def reopen(breaker: HasHead, reason: Reason, **remark: Unpack[Remark]) -> Step:
    """Open again: the probe failed."""
    return _open(breaker, "probe_failed", reason, **remark)


def reset(breaker: HasHead, reason: Reason, *, operator: str) -> Step:
    """Close by hand."""
    return step(breaker, BreakerState.CLOSED, "manual_reset", _CLOSED, reason=reason, operator=operator)


def trip(breaker: HasHead, reason: Reason, *, operator: str) -> Step:
    """Open by hand."""
    return _open(breaker, "manual_trip", reason, operator=operator)


_NO_PROBE: Final = {"probe_task": None, "probe_attempt": None}


_CLOSED: Final = {"opened_at": None, "failures": 0, "reason": None, **_NO_PROBE}


def _open(breaker: HasHead, trigger: str, reason: Reason, **remark: Unpack[Remark]) -> Step:
    sets = {"opened_at": WRITTEN_AT, "reason": reason, **_NO_PROBE}
    return step(breaker, BreakerState.OPEN, trigger, sets, reason=reason, **remark)
