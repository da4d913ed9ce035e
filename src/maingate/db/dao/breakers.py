"""Circuit breakers: one per tool, so that a failing tool is paused for a while.

See docs/SPECIFICATION.md §2.4.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

from sqlalchemy import Connection

from maingate.db.dao.entity import Entities, EntityRow
from maingate.db.schema import tables
from maingate.db.sql.columns import FreeText
from maingate.db.sql.statements import change
from maingate.reasons import Reason
from maingate.state.circuit_breaker import BreakerState


@dataclass(frozen=True, kw_only=True)
class BreakerRow(EntityRow):
    """One breaker.

    Args:
        tool: The tool that it guards; there is one breaker per tool.
        failures: Consecutive failures so far.
        threshold: The number of failures that opens it.
        cooldown_ms: The time it stays open before a probe, in milliseconds.
        opened_at: The time it opened; None while it is closed.
        probe_task: The task that is its one probe while it is half open; None while there is none.
        probe_attempt: The attempt of that task.
        reason: The reason for its state.
        writes: How often runs have written it, transitions or not; people's decisions do not count.
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
    writes: int = 0
    state: BreakerState = BreakerState.CLOSED


ROWS: Final = Entities(tables.breakers, BreakerRow)
get, get_many, insert_many = ROWS.get, ROWS.get_many, ROWS.insert_many


def of_tool(connection: Connection, tool: str) -> BreakerRow | None:
    """Read a tool's breaker; None when it has none yet."""
    return ROWS.one(connection, "tool", tool)


def locked(connection: Connection, tool: str) -> BreakerRow | None:
    """Read a tool's breaker, and lock it until the transaction ends."""
    hold = "" if connection.dialect.name == "sqlite" else " FOR UPDATE"
    found = ROWS.select(connection, f"WHERE tool = ?{hold}", (FreeText().encode(tool),))
    return found[0] if found else None


def all_of(connection: Connection) -> list[BreakerRow]:
    """Read every breaker, by tool."""
    return ROWS.select(connection, "ORDER BY tool")


def count_failures(connection: Connection, breaker_id: str, failures: int) -> None:
    """Update the number of consecutive failures; no transition.

    Raises:
        UnknownEntityError: There is no such breaker.
    """
    ROWS.set_column(connection, breaker_id, "failures", failures)


def count_write(connection: Connection, breaker_id: str, writes: int) -> None:
    """Update the number of writes by runs; no transition.

    Raises:
        UnknownEntityError: There is no such breaker.
    """
    ROWS.set_column(connection, breaker_id, "writes", writes)


def give_probe(
    connection: Connection,
    breaker_id: str,
    *,
    instead_of: str | None,
    task_id: str | None,
    attempt: int | None,
) -> bool:
    """Set the one probe of a half-open breaker to another task, or to none; no transition.

    Args:
        connection: A writing transaction.
        breaker_id: The breaker.
        instead_of: The task that was on record as the probe; None when there was none.
        task_id: The task that is the probe now; None for none.
        attempt: Its attempt.

    Returns:
        False when another process changed it meanwhile; nothing was written.
    """
    sql = (
        "UPDATE breakers SET probe_task = ?, probe_attempt = ?"
        " WHERE id = ? AND state = 'HALF_OPEN' AND coalesce(probe_task, '') = ?"
    )
    return change(connection, sql, (task_id, attempt, breaker_id, instead_of or "")) == 1
