"""Circuit breakers of tools: a tool that fails repeatedly is paused for a while. Pure.

See docs/SPECIFICATION.md §2.4. A `Guard` is the state of a tool's breaker, and each event gives the next one.
`recovery.breaker_store` keeps the guards of a process and records their changes.

    CLOSED ── threshold failures in a row ──> OPEN ── cooldown over, one probe ──> HALF_OPEN
       ^                                        ^───────── the probe failed ──────────┤
       └──────────────────────────── the probe succeeded ─────────────────────────────┘

The probe is on record by its task and attempt, so a restart does not start a second one. A probe whose
process died is given to another task.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from maingate.reasons import Reason, ReasonCode
from maingate.state.circuit_breaker import BreakerState

THRESHOLD: Final = 5
"""Consecutive failures that open a breaker, by default."""

COOLDOWN: Final = timedelta(seconds=60)
"""Time between the opening of a breaker and its probe, by default."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """The one call that a half-open breaker allows: an attempt of a task."""

    task: str
    attempt: int


IsRunning = Callable[[Probe], bool]
"""Returns whether a living process still works on an attempt of a task."""


@dataclass(frozen=True, kw_only=True)
class Guard:
    """The state of one tool's breaker.

    Args:
        tool: The tool.
        state: The state of the breaker.
        failures: Failures in a row; only counted while it is closed.
        threshold: Failures that open it.
        cooldown: Time between its opening and the probe.
        opened_at: When it opened; None while it is closed.
        probe: The running probe; only while it is half open.
        reason: Why it is open.
        writes: How often runs had written it when it was read.
    """

    tool: str
    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    threshold: int = THRESHOLD
    cooldown: timedelta = COOLDOWN
    opened_at: datetime | None = None
    probe: Probe | None = None
    reason: Reason | None = None
    writes: int = 0


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """The tool may be used.

    Args:
        is_probe: Whether this call will be the probe of a breaker that is not closed.
    """

    is_probe: bool = False


@dataclass(frozen=True, kw_only=True)
class Blocked:
    """The tool is paused.

    Args:
        until: The end of the pause; None while a probe decides.
        reason: The reason, for people.
    """

    until: datetime | None
    reason: Reason


def may_start(guard: Guard, now: datetime, is_running: IsRunning) -> Allowed | Blocked:
    """Return whether a tool may be used now."""
    match guard.state:
        case BreakerState.CLOSED:
            return Allowed()
        case BreakerState.OPEN:
            opened = guard.opened_at or now
            until = opened + guard.cooldown
            if now >= until or now < opened:  # before its opening: the clock was set back, by any length
                return Allowed(is_probe=True)
            why = f"; last failure: {guard.reason.message}" if guard.reason is not None else ""
            return _blocked(
                guard,
                until,
                f"tool {guard.tool} is paused until {until:%H:%M:%S} UTC (circuit breaker open){why}",
            )
        case BreakerState.HALF_OPEN:
            if guard.probe is None or not is_running(guard.probe):
                return Allowed(is_probe=True)
            return _blocked(guard, None, f"tool {guard.tool} is being probed by {guard.probe.task}")


def after_start(guard: Guard, probe: Probe, now: datetime, is_running: IsRunning) -> Guard:
    """Return the guard after the start of a call, which is the probe unless the breaker is closed."""
    answer = may_start(guard, now, is_running)
    if isinstance(answer, Blocked) or not answer.is_probe:
        return guard
    return replace(guard, state=BreakerState.HALF_OPEN, probe=probe)


def after_success(guard: Guard, probe: Probe) -> Guard:
    """Return the guard after a successful call. Calls started before the breaker opened are ignored."""
    if guard.state is BreakerState.CLOSED:
        return replace(guard, failures=0)
    if guard.probe == probe:
        return replace(guard, state=BreakerState.CLOSED, failures=0, opened_at=None, probe=None, reason=None)
    return guard


def after_failure(guard: Guard, probe: Probe, reason: Reason, now: datetime) -> Guard:
    """Return the guard after a failed call. Calls started before the breaker opened are ignored."""
    if guard.state is BreakerState.CLOSED:
        failed = replace(guard, failures=guard.failures + 1)
        return failed if failed.failures < guard.threshold else _opened(failed, reason, now)
    return _opened(guard, reason, now) if guard.probe == probe else guard


def after_release(guard: Guard, probe: Probe) -> Guard:
    """Return the guard after a call without a verdict on the tool: cancelled, lost, rate limited."""
    return replace(guard, probe=None) if guard.probe == probe else guard


def _opened(guard: Guard, reason: Reason, now: datetime) -> Guard:
    return replace(guard, state=BreakerState.OPEN, opened_at=now, probe=None, reason=reason)


def _blocked(guard: Guard, until: datetime | None, message: str) -> Blocked:
    detail = {"tool": guard.tool, "state": str(guard.state), "failures": guard.failures}
    return Blocked(until=until, reason=Reason(code=ReasonCode.TOOL_FAILED, message=message, detail=detail))
