"""Transitions of gates."""

from typing import Any, Literal, Unpack

from maingate.reasons import Reason
from maingate.state.gate import GateState
from maingate.state.steps.step import HasHead, Note, Remark, Step, step


def start(gate: HasHead, *, uet_worker_id: str | None = None, **note: Unpack[Note]) -> Step:
    """Start on a slot."""
    return step(gate, GateState.RUNNING, "gate_started", {"uet_worker_id": uet_worker_id}, **note)


def pass_(
    gate: HasHead,
    *,
    exit_code: int,
    output: str,
    duration_ms: int | None = None,
    log_path: str | None = None,
    attempts: int | None = None,
    is_flaky: bool | None = None,
    **note: Unpack[Note],
) -> Step:
    """Record that the command exited as expected.

    Args:
        gate: The gate.
        exit_code: The command's exit code.
        output: An excerpt of its output.
        duration_ms: Its duration in milliseconds.
        log_path: Where its output is.
        attempts: The number of executions; None keeps it.
        is_flaky: Whether it passed only on a second execution; None keeps it.
        **note: Metadata, operator and reason.
    """
    sets = _evidence(
        exit_code=exit_code,
        output=output,
        duration_ms=duration_ms,
        log_path=log_path,
        attempts=attempts,
        is_flaky=is_flaky,
        fault=None,
    )
    return step(gate, GateState.PASSED, "exit_code_expected", sets, **note)


def fail(
    gate: HasHead,
    *,
    exit_code: int,
    output: str,
    trigger: Literal["exit_code_unexpected", "timeout_exceeded"] = "exit_code_unexpected",
    fault: str | None = None,
    duration_ms: int | None = None,
    log_path: str | None = None,
    attempts: int | None = None,
    is_flaky: bool | None = None,
    reason: Reason | None = None,
    **remark: Unpack[Remark],
) -> Step:
    """Record that the command exited otherwise, or was stopped at its timeout.

    Args:
        gate: The gate.
        exit_code: The command's exit code; a signal is negative.
        output: An excerpt of its output.
        trigger: Whether its exit code or its timeout decided.
        fault: The fault that prevented a verdict; None without one.
        duration_ms: Its duration in milliseconds.
        log_path: Where its output is.
        attempts: The number of executions; None keeps it.
        is_flaky: Whether it has been seen to pass on the same tree; None keeps it.
        reason: Why, for people.
        **remark: Metadata and operator.
    """
    sets = _evidence(
        exit_code=exit_code,
        output=output,
        duration_ms=duration_ms,
        log_path=log_path,
        attempts=attempts,
        is_flaky=is_flaky,
        fault=fault,
    )
    sets["reason"] = reason
    return step(gate, GateState.FAILED, trigger, sets, reason=reason, **remark)


def block(gate: HasHead, reason: Reason | None = None, **remark: Unpack[Remark]) -> Step:
    """Block: a needed gate failed."""
    return step(gate, GateState.BLOCKED, "dependency_failed", {"reason": reason}, reason=reason, **remark)


def unblock(gate: HasHead, **note: Unpack[Note]) -> Step:
    """Unblock: the needed gate passed after all."""
    return step(gate, GateState.PENDING, "dependency_passed", {"reason": None}, **note)


def _evidence(
    *,
    exit_code: int,
    output: str,
    duration_ms: int | None,
    log_path: str | None,
    attempts: int | None,
    is_flaky: bool | None,
    fault: str | None,
) -> dict[str, Any]:
    """Return the columns that a verdict sets; the counts only when they are given."""
    sets: dict[str, Any] = {
        "exit_code": exit_code,
        "output": output,
        "duration_ms": duration_ms,
        "log_path": log_path,
        "fault": fault,
    }
    counted = {"attempts": attempts, "is_flaky": is_flaky}
    return sets | {name: value for name, value in counted.items() if value is not None}
