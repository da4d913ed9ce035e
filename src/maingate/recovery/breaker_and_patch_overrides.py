"""Overrides of breakers and patches, which no process controls (docs/SPECIFICATION.md §5.4).

Each override is one transaction: the transitions, which the tables must allow, and an event of the type
``manual_override`` with the operator and the reason. Tasks and workstreams belong to the process that
controls their run: they are overridden by a request (`orchestrator.operator_requests`).
"""

from datetime import datetime
from typing import Any

from maingate.db.dao import approvals, breakers
from maingate.db.dao.approvals import Approval
from maingate.db.dao.history import events
from maingate.db.dao.patches import PatchRow
from maingate.db.ledger.new_event import new_event
from maingate.db.sql.columns import storable
from maingate.db.sql.connection import Connection
from maingate.db.transitions import write
from maingate.errors import UsageError
from maingate.events import Event, EventType, Severity
from maingate.reasons import ReasonCode
from maingate.recovery.breaker_store import new_row
from maingate.recovery.circuit_breaker import Guard
from maingate.state.circuit_breaker import BreakerState
from maingate.state.operator_rules import approval_refusal, breaker_refusal, by_hand, drop_refusal
from maingate.state.steps import breakers as breaker_steps
from maingate.state.steps import patches as patch_steps
from maingate.state.steps.step import HasHead


def override_event(
    entity: HasHead, action: str, *, state: str, message: str, operator: str, at: datetime, **facts: Any
) -> Event:
    """Return the event that records an override, beside the transitions that it makes.

    Args:
        entity: The entity.
        action: The decision.
        state: The state of the entity before.
        message: The reason.
        operator: The person.
        at: The time.
        **facts: More values for programs.
    """
    return new_event(
        EventType.MANUAL_OVERRIDE,
        entity.head,
        at,
        severity=Severity.WARNING,
        trigger=action,
        reason=message,
        metadata={"action": action, "state_before": state, **facts},
        operator=operator,
    )


def _note(
    conn: Connection,
    entity: HasHead,
    action: str,
    *,
    message: str,
    operator: str,
    at: datetime,
    **facts: Any,
) -> None:
    state = entity.head.state
    events.record(
        conn, override_event(entity, action, state=state, message=message, operator=operator, at=at, **facts)
    )


# -- breakers ------------------------------------------------------------------------------------------------


def reset_breaker(conn: Connection, tool: str, *, message: str, operator: str, at: datetime) -> None:
    """Close the breaker of a tool, so that it is used again at once.

    Raises:
        UsageError: The breaker is not open.
    """
    row = breakers.locked(conn, tool)
    refused = breaker_refusal("reset", tool, BreakerState.CLOSED if row is None else row.state)
    if row is None or refused is not None:
        raise UsageError(refused)
    step = breaker_steps.reset(row, by_hand(message, operator), operator=operator)
    write(conn, {row.id: row.head}, [step], at=at)
    _note(conn, row, "reset", message=message, operator=operator, at=at, tool=tool)


def trip_breaker(
    conn: Connection, tool: str, new: Guard, *, message: str, operator: str, at: datetime
) -> None:
    """Open the breaker of a tool, so that it is paused for its cooldown.

    Raises:
        UsageError: The breaker is not closed.
    """
    row = breakers.locked(conn, tool)
    if row is None:
        [row] = breakers.insert_many(conn, [new_row(new)], at=at, operator=operator)
    _require(breaker_refusal("trip", tool, row.state))
    step = breaker_steps.trip(row, by_hand(message, operator), operator=operator)
    write(conn, {row.id: row.head}, [step], at=at)
    _note(conn, row, "trip", message=message, operator=operator, at=at, tool=tool)


# -- patches -------------------------------------------------------------------------------------------------


def drop_patch(conn: Connection, patch: PatchRow, *, message: str, operator: str, at: datetime) -> None:
    """Drop a quarantined patch.

    Raises:
        UsageError: It is not in quarantine.
    """
    _require(drop_refusal(patch.id, patch.state))
    step = patch_steps.drop(patch, by_hand(message, operator, ReasonCode.REJECTED), operator=operator)
    write(conn, {patch.id: patch.head}, [step], at=at)
    _note(conn, patch, "drop", message=message, operator=operator, at=at)


def approve_patch(conn: Connection, patch: PatchRow, *, message: str, operator: str, at: datetime) -> bool:
    """Record that a person approves a patch; return False when that person had done so before.

    Raises:
        UsageError: The patch is already decided.
    """
    _require(approval_refusal(patch.id, patch.state))
    given = Approval(patch_id=patch.id, operator=storable(operator), message=message, created_at=at)
    if not approvals.add(conn, given):
        return False
    event = new_event(
        EventType.PATCH_APPROVED,
        patch.head,
        at,
        reason=message,
        metadata={"approvals": approvals.count(conn, patch.id)},
        operator=operator,
    )
    events.record(conn, event)
    return True


def _require(refused: str | None) -> None:
    if refused is not None:
        raise UsageError(refused)
