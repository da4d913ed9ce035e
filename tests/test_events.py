"""Events and how much attention they deserve (docs/SPECIFICATION.md §7)."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from maingate.events import Event, Severity, iso_millis, severity_of
from maingate.state.machines import MACHINES


@pytest.mark.parametrize(
    ("machine", "from_state", "to_state", "trigger", "expected"),
    [
        ("run", None, "pending", "created", Severity.INFO),
        ("run", "pending", "running", "scheduling_started", Severity.INFO),
        ("run", "running", "failed", "critical_workstream_failed", Severity.CRITICAL),
        ("workstream", "executing", "failed", "critical_task_failed", Severity.CRITICAL),
        ("workstream", "validating", "failed", "validation_failed", Severity.ERROR),
        ("task", "running", "retrying", "execution_failed", Severity.WARNING),
        ("task", "running", "retrying", "worker_lost", Severity.WARNING),
        ("task", "validating", "retrying", "validation_failed", Severity.WARNING),
        ("task", "running", "failed", "retries_exhausted", Severity.ERROR),
        ("task", "validating", "completed", "validation_passed", Severity.INFO),
        ("worker", "busy", "unresponsive", "heartbeat_missed", Severity.WARNING),
        ("worker", "unresponsive", "idle", "heartbeat_recovered", Severity.WARNING),
        ("worker", "unresponsive", "shutdown", "recovery_window_exceeded", Severity.ERROR),
        ("uet_worker", "BUSY", "TERMINATED", "crashed", Severity.ERROR),
        ("patch_ledger", "created", "quarantined", "validation_failed", Severity.ERROR),
        ("patch_ledger", "apply_failed", "queued", "apply_retried", Severity.WARNING),
        ("patch_ledger", "committed", "rolled_back", "rollback_requested", Severity.CRITICAL),
        ("test_gate", "RUNNING", "FAILED", "exit_code_unexpected", Severity.ERROR),
        ("circuit_breaker", "CLOSED", "OPEN", "failure_threshold_reached", Severity.ERROR),
        ("circuit_breaker", "HALF_OPEN", "CLOSED", "probe_succeeded", Severity.WARNING),
    ],
)
def test_severity_follows_from_the_transition(
    machine: str, from_state: str | None, to_state: str, trigger: str, expected: Severity
) -> None:
    """Progress is info, retry and recovery warn, failure is an error, rollback is critical."""
    assert severity_of(machine, from_state, to_state, trigger, {}) == expected


def test_what_somebody_does_by_hand_is_at_least_a_warning() -> None:
    """An operator's progress is a warning; an operator's failure stays an error."""
    assert (
        severity_of("task", "pending", "queued", "scheduler_assigned", {}, operator="ada") == Severity.WARNING
    )
    assert severity_of("task", "running", "failed", "retries_exhausted", {}, operator="ada") == Severity.ERROR


def test_the_failure_of_something_critical_is_critical() -> None:
    """A task's failure is critical when the task is."""
    failed = ("task", "running", "failed", "retries_exhausted")
    assert severity_of(*failed, {"critical": True}) == Severity.CRITICAL
    assert severity_of(*failed, {"critical": False}) == Severity.ERROR
    assert severity_of("task", "pending", "queued", "scheduler_assigned", {"critical": True}) == Severity.INFO


def test_every_transition_has_a_severity() -> None:
    """There is no transition that the rules do not cover."""
    for machine in MACHINES.values():
        for from_state, to, trigger in machine.transitions:
            assert severity_of(machine.name, from_state, to, trigger, {}) in Severity


def test_times_are_utc_with_milliseconds() -> None:
    """Whatever the zone, the public form is UTC."""
    at = datetime(2026, 1, 1, 1, 2, 3, 4567, tzinfo=timezone(timedelta(hours=1)))
    assert iso_millis(at) == "2026-01-01T00:02:03.004Z"


def test_the_public_form_names_every_field() -> None:
    """Clients find every field of the specification, empty or not."""
    event = Event(
        event_id="evt_1",
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        event_type="error",
        severity=Severity.ERROR,
    )
    assert not event.is_transition
    assert event.as_json() == {
        "seq": None,
        "event_id": "evt_1",
        "timestamp": "2026-01-01T00:00:00.000Z",
        "event_type": "error",
        "severity": "error",
        "entity_type": None,
        "entity_id": None,
        "from_state": None,
        "to_state": None,
        "trigger": None,
        "reason": None,
        "metadata": {},
        "operator": None,
        "context": {"run_id": None, "workstream_id": None, "task_id": None},
    }
