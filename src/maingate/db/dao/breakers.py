"""Circuit breakers: one per tool, so that a tool that is down is left alone for a while.

See docs/SPECIFICATION.md §2.4.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Final, Unpack

from sqlalchemy import Connection

from maingate.db import tables
from maingate.db.columns import FreeText
from maingate.db.dao.entity import Entities, EntityRow, Note, Remark, step
from maingate.db.statements import change
from maingate.db.transitions import WRITTEN_AT, HasHead, Step
from maingate.reasons import Reason
from maingate.state.circuit_breaker import BreakerState


@dataclass(frozen=True, kw_only=True)
class BreakerRow(EntityRow):
    """One breaker.

    Args:
        tool: The tool that it guards; there is one breaker per tool.
        failures: Consecutive failures so far.
        threshold: How many of those open it.
        cooldown_ms: How long it stays open before a probe, in milliseconds.
        opened_at: When it opened; None while it is closed.
        probe_task: The task that is its one probe while it is half open; None while there is none.
        probe_attempt: The attempt of that task.
        reason: Why it is in its state.
    """

    machine: ClassVar[str] = "circuit_breaker"

    tool: str
    failures: int = 0
    threshold: int = 5
    cooldown_ms: int = 60_000
    opened_at: datetime | None = None
    probe_task: str | None = None
    probe_attempt: int | None = None
    reason: Reason | None = None
    state: BreakerState = BreakerState.CLOSED


ROWS: Final = Entities(tables.breakers, BreakerRow)
get, get_many, insert_many = ROWS.get, ROWS.get_many, ROWS.insert_many


def of_tool(connection: Connection, tool: str) -> BreakerRow | None:
    """Read a tool's breaker; None when it has none yet."""
    return ROWS.one(connection, "tool", tool)


def locked(connection: Connection, tool: str) -> BreakerRow | None:
    """Read a tool's breaker, and keep others from changing it until the transaction ends."""
    hold = "" if connection.dialect.name == "sqlite" else " FOR UPDATE"
    found = ROWS.select(connection, f"WHERE tool = ?{hold}", (FreeText().encode(tool),))
    return found[0] if found else None


def all_of(connection: Connection) -> list[BreakerRow]:
    """Read every breaker, by tool."""
    return ROWS.select(connection, "ORDER BY tool")


def count_failures(connection: Connection, breaker_id: str, failures: int) -> None:
    """Note how many consecutive failures there are; no transition.

    Raises:
        UnknownEntityError: There is no such breaker.
    """
    ROWS.set_column(connection, breaker_id, "failures", failures)


def trip_open(
    breaker: HasHead, reason: Reason, *, failures: int | None = None, **remark: Unpack[Remark]
) -> Step:
    """Leave the tool alone: it failed too often in a row, namely ``failures`` times."""
    made = _open(breaker, "failure_threshold_reached", reason, **remark)
    return made if failures is None else replace(made, sets={**made.sets, "failures": failures})


def half_open(
    breaker: HasHead, *, task_id: str | None = None, attempt: int | None = None, **note: Unpack[Note]
) -> Step:
    """Allow a single probe: the cooldown is over.

    Args:
        breaker: The breaker.
        task_id: The task that is the probe.
        attempt: Which attempt of it.
        **note: What else to say.
    """
    sets = {"probe_task": task_id, "probe_attempt": attempt}
    return step(breaker, BreakerState.HALF_OPEN, "cooldown_elapsed", sets, **note)


def give_probe(
    connection: Connection,
    breaker_id: str,
    *,
    instead_of: str | None,
    task_id: str | None,
    attempt: int | None,
) -> bool:
    """Let a half-open breaker's one probe be another task, or nobody; no transition.

    Args:
        connection: A writing transaction.
        breaker_id: The breaker.
        instead_of: The task that was on record as the probe; None when there was none.
        task_id: The task that is the probe now; None for nobody.
        attempt: Which attempt of it.

    Returns:
        False when somebody else has changed it meanwhile; nothing was written.
    """
    sql = (
        "UPDATE breakers SET probe_task = ?, probe_attempt = ?"
        " WHERE id = ? AND state = 'HALF_OPEN' AND coalesce(probe_task, '') = ?"
    )
    return change(connection, sql, (task_id, attempt, breaker_id, instead_of or "")) == 1


def close(breaker: HasHead, **note: Unpack[Note]) -> Step:
    """Use the tool again: the probe succeeded."""
    return step(breaker, BreakerState.CLOSED, "probe_succeeded", _CLOSED, **note)


def reopen(breaker: HasHead, reason: Reason, **remark: Unpack[Remark]) -> Step:
    """Leave the tool alone for another while: the probe failed."""
    return _open(breaker, "probe_failed", reason, **remark)


def reset(breaker: HasHead, reason: Reason, *, operator: str) -> Step:
    """Use the tool again because somebody checked it."""
    return step(breaker, BreakerState.CLOSED, "manual_reset", _CLOSED, reason=reason, operator=operator)


def trip(breaker: HasHead, reason: Reason, *, operator: str) -> Step:
    """Leave the tool alone because somebody wants it."""
    return _open(breaker, "manual_trip", reason, operator=operator)


_NO_PROBE: Final = {"probe_task": None, "probe_attempt": None}
_CLOSED: Final = {"opened_at": None, "failures": 0, "reason": None, **_NO_PROBE}


def _open(breaker: HasHead, trigger: str, reason: Reason, **remark: Unpack[Remark]) -> Step:
    sets = {"opened_at": WRITTEN_AT, "reason": reason, **_NO_PROBE}
    return step(breaker, BreakerState.OPEN, trigger, sets, reason=reason, **remark)
