"""Events, in the one form that files, command line and HTTP interface show.

See docs/SPECIFICATION.md §7.

A change of state is an event of the type ``<entity>_state_transition``. A manual override, an error or a
warning is an event too, without states.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

KIND_WORDS: Final[Mapping[str, str]] = {"patch_ledger": "patch", "test_gate": "gate", "uet_worker": "slot"}
"""Words of people, and of queries, for the machines that have another name on record."""


class Severity(StrEnum):
    """The attention that an event deserves."""

    INFO = "info"
    """Progress, or a request."""
    WARNING = "warning"
    """A retry, a recovery, or a manual decision."""
    ERROR = "error"
    """A failure."""
    CRITICAL = "critical"
    """A rollback, or the failure of something critical."""


class EventType(StrEnum):
    """The types of events that are no change of state."""

    ALERT_FIRED = "alert_fired"
    """An alert began to fire."""
    ALERT_RESOLVED = "alert_resolved"
    """An alert fires no more."""
    ERROR = "error"
    """A run stopped because something outside of it failed."""
    HANDED_OVER = "handed_over"
    """A run was handed to a server, which starts or continues it."""
    MANUAL_OVERRIDE = "manual_override"
    """A decision by hand, beside the transitions that it makes."""
    ON_ROLLBACK = "on_rollback"
    """An `on_rollback` command ran and passed."""
    ON_ROLLBACK_FAILED = "on_rollback_failed"
    """An `on_rollback` command ran and failed."""
    PATCH_APPROVED = "patch_approved"
    """A person approved a patch."""
    QUEUE_ORDER = "queue_order"
    """A person gave an order about the queue of a target, or about the place of a workstream in it."""
    RESUMED = "resumed"
    """A process continues a run that had stopped."""
    ROLLBACK = "rollback"
    """Landed patches were taken back."""
    ROLLBACK_REFUSED = "rollback_refused"
    """A rollback was refused; nothing was changed."""
    STUCK = "stuck"
    """An entity has not moved for too long."""
    TOKEN_CREATED = "token_created"  # noqa: S105 - the name of an event
    """An operator created a token of the HTTP interface."""
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - as above
    """An operator revoked a token of the HTTP interface."""
    WARNING = "warning"
    """Something failed that changes no outcome, or an operator stopped a run."""
    WEBHOOK_TEST = "webhook_test"
    """A person tested a receiver of webhooks; the event is sent to it alone, and is not on record."""


TRANSITION_SUFFIX: Final = "_state_transition"

ROLLBACKS: Final = frozenset({"rolled_back"})
FAILURES: Final = frozenset({"failed", "FAILED", "quarantined", "apply_failed", "unresponsive"})
RECOVERIES: Final = frozenset(
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
FAULTS: Final = frozenset(
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
CRITICAL_TRIGGERS: Final = frozenset({"critical_workstream_failed", "critical_task_failed"})


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event.

    Args:
        event_id: Its identifier, ``evt_…``.
        timestamp: Its time, aware, in UTC.
        event_type: ``<entity>_state_transition``, ``manual_override``, ``error``, ``warning``, …
        severity: The attention that it deserves.
        entity_type: The name of its entity's machine; None when it has no entity.
        entity_id: Its entity; None when it has none.
        from_state: The state before; None for a creation and for an event without states.
        to_state: The state after; None for an event without states.
        trigger: The trigger of the transition.
        reason: Its reason, in the public form.
        metadata: Values for programs, JSON-serialisable.
        operator: The person who caused it; None when it is automatic.
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
        """Return whether it is a change of state."""
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

    def as_text(self) -> str:
        """Return the public JSON form as text in ASCII: that of streams, and of webhooks."""
        return _ENCODE(self.as_json())


_ENCODE: Final = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


@lru_cache(maxsize=256)
def iso_millis(at: datetime) -> str:
    """Return a time as text: ``2026-01-01T00:00:00.000Z``; all events of a transaction have the same."""
    text = (at if at.tzinfo is UTC else at.astimezone(UTC)).isoformat(timespec="milliseconds")
    return f"{text[:-6]}Z"


def severity_of(
    machine: str,
    from_state: str | None,
    to_state: str,
    trigger: str,
    metadata: Mapping[str, Any],
    *,
    operator: str | None = None,
) -> Severity:
    """Return the severity of a transition (docs/SPECIFICATION.md §7.1).

    A rollback or the failure of a critical entity (by its trigger, or by ``critical`` in the metadata) is
    critical, any other failure an error; a retry, a recovery or a manual decision is a warning; anything else
    is progress.
    """
    is_critical, is_by_hand = metadata.get("critical") is True, operator is not None
    return _severity_of(
        machine, from_state, to_state, trigger, is_critical=is_critical, is_by_hand=is_by_hand
    )


@lru_cache(maxsize=1024)
def _severity_of(
    machine: str, from_state: str | None, to_state: str, trigger: str, *, is_critical: bool, is_by_hand: bool
) -> Severity:
    failed = to_state in FAILURES or trigger in FAULTS
    if to_state in ROLLBACKS or trigger in CRITICAL_TRIGGERS or (failed and is_critical):
        return Severity.CRITICAL
    if failed and not (machine == "worker" and to_state == "unresponsive"):
        return Severity.ERROR
    retried = to_state == "retrying" or (from_state is not None and trigger in RECOVERIES)
    if failed or retried or is_by_hand:
        return Severity.WARNING
    return Severity.INFO
