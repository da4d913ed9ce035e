"""Events: what happened, in the one form that files, command line and HTTP interface show.

See docs/SPECIFICATION.md §7.

A change of state is an event of type ``<entity>_state_transition``. Everything else worth telling (a manual
override, an error, a warning) is an event too, without states.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final


class Severity(StrEnum):
    """How much attention an event deserves."""

    INFO = "info"
    """Progress, or somebody's wish."""
    WARNING = "warning"
    """A retry, a recovery, or a hand on the controls."""
    ERROR = "error"
    """A failure."""
    CRITICAL = "critical"
    """A rollback, or the failure of something critical."""


TRANSITION_SUFFIX: Final = "_state_transition"

_ROLLBACKS: Final = frozenset({"rolled_back"})
_FAILURES: Final = frozenset({"failed", "FAILED", "quarantined", "apply_failed", "unresponsive"})
_RECOVERIES: Final = frozenset(
    {
        "execution_failed",
        "worker_lost",
        "apply_retried",
        "retry_delay_elapsed",
        "heartbeat_recovered",
        "cooldown_elapsed",
        "probe_succeeded",
        "dependency_failed",
        "dependency_check_failed",
        "dependency_unmet",
    }
)
_FAULTS: Final = frozenset(
    {
        "crashed",
        "spawn_failed",
        "registration_failed",
        "recovery_window_exceeded",
        "heartbeat_missed",
        "failure_threshold_reached",
        "probe_failed",
    }
)
_CRITICAL_TRIGGERS: Final = frozenset({"critical_workstream_failed", "critical_task_failed"})


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened.

    Args:
        event_id: Its identifier, ``evt_…``.
        timestamp: When, aware, in UTC.
        event_type: ``<entity>_state_transition``, ``manual_override``, ``error``, ``warning``, …
        severity: How much attention it deserves.
        entity_type: Name of the entity's machine; None when it is about no entity.
        entity_id: The entity; None when it is about no entity.
        from_state: The state before; None for a creation and for what is no transition.
        to_state: The state after; None for what is no transition.
        trigger: What moved it.
        reason: Why, in the public form of a reason.
        metadata: Values for programs, JSON-serialisable.
        operator: Who did it by hand; None when it happened by itself.
        run_id: The run it belongs to.
        workstream_id: The workstream it belongs to.
        task_id: The task it belongs to.
        seq: Its place in the order of all events; None until it is recorded.
    """

    event_id: str
    timestamp: datetime
    event_type: str
    severity: Severity
    entity_type: str | None = None
    entity_id: str | None = None
    from_state: str | None = None
    to_state: str | None = None
    trigger: str | None = None
    reason: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    operator: str | None = None
    run_id: str | None = None
    workstream_id: str | None = None
    task_id: str | None = None
    seq: int | None = None

    @property
    def is_transition(self) -> bool:
        """Tell whether it is a change of state."""
        return self.event_type.endswith(TRANSITION_SUFFIX)

    def as_json(self) -> dict[str, Any]:
        """Return the public JSON form; the timestamp is UTC with milliseconds."""
        return {
            "seq": self.seq,
            "event_id": self.event_id,
            "timestamp": iso_millis(self.timestamp),
            "event_type": self.event_type,
            "severity": str(self.severity),
            "entity_type": self.entity_type,
            "entity_id": self.entity_id,
            "from_state": self.from_state,
            "to_state": self.to_state,
            "trigger": self.trigger,
            "reason": None if self.reason is None else dict(self.reason),
            "metadata": dict(self.metadata),
            "operator": self.operator,
            "context": {
                "run_id": self.run_id,
                "workstream_id": self.workstream_id,
                "task_id": self.task_id,
            },
        }


def iso_millis(at: datetime) -> str:
    """Write a time as people and programs read it: ``2026-01-01T00:00:00.000Z``."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def severity_of(
    machine: str,
    from_state: str | None,
    to_state: str,
    trigger: str,
    metadata: Mapping[str, Any],
    *,
    operator: str | None = None,
) -> Severity:
    """Tell how much attention a transition deserves (docs/SPECIFICATION.md §7).

    A rollback or the failure of something critical (by its trigger, or because the metadata says
    ``critical``) is critical, any other failure an error, a retry or recovery a warning, as is what somebody
    did by hand; the rest is progress.
    """
    is_critical, is_by_hand = metadata.get("critical") is True, operator is not None
    return _severity_of(
        machine, from_state, to_state, trigger, is_critical=is_critical, is_by_hand=is_by_hand
    )


@lru_cache(maxsize=1024)
def _severity_of(
    machine: str, from_state: str | None, to_state: str, trigger: str, *, is_critical: bool, is_by_hand: bool
) -> Severity:
    failed = to_state in _FAILURES or trigger in _FAULTS
    if to_state in _ROLLBACKS or trigger in _CRITICAL_TRIGGERS or (failed and is_critical):
        return Severity.CRITICAL
    if failed and not (machine == "worker" and to_state == "unresponsive"):
        return Severity.ERROR
    retried = to_state == "retrying" or (from_state is not None and trigger in _RECOVERIES)
    if failed or retried or is_by_hand:
        return Severity.WARNING
    return Severity.INFO
