"""Circuit breakers: one per tool, so that a tool that is down is left alone for a while (SSOT §2.4)."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final, Unpack

from sqlalchemy import Connection

from headgate.db import tables
from headgate.db.dao.entity import Entities, EntityRow, Note, Remark, step
from headgate.db.transitions import WRITTEN_AT, HasHead, Step
from headgate.reasons import Reason
from headgate.state.circuit_breaker import BreakerState


@dataclass(frozen=True, kw_only=True)
class BreakerRow(EntityRow):
    """One breaker.

    Args:
        tool: The tool that it guards; there is one breaker per tool.
        failures: Consecutive failures so far.
        threshold: How many of those open it.
        cooldown_ms: How long it stays open before a probe, in milliseconds.
        opened_at: When it opened; None while it is closed.
        reason: Why it is in its state.
    """

    machine: ClassVar[str] = "circuit_breaker"

    tool: str
    failures: int = 0
    threshold: int = 5
    cooldown_ms: int = 60_000
    opened_at: datetime | None = None
    reason: Reason | None = None
    state: BreakerState = BreakerState.CLOSED


ROWS: Final = Entities(tables.breakers, BreakerRow)
get, get_many, insert_many = ROWS.get, ROWS.get_many, ROWS.insert_many


def of_tool(connection: Connection, tool: str) -> BreakerRow | None:
    """Read a tool's breaker; None when it has none yet."""
    return ROWS.one(connection, "tool", tool)


def all_of(connection: Connection) -> list[BreakerRow]:
    """Read every breaker, by tool."""
    return ROWS.select(connection, "ORDER BY tool")


def count_failures(connection: Connection, breaker_id: str, failures: int) -> None:
    """Note how many consecutive failures there are; no transition.

    Raises:
        UnknownEntityError: There is no such breaker.
    """
    ROWS.set_column(connection, breaker_id, "failures", failures)


def trip_open(breaker: HasHead, reason: Reason, **remark: Unpack[Remark]) -> Step:
    """Leave the tool alone: it failed too often in a row."""
    return _open(breaker, "failure_threshold_reached", reason, **remark)


def half_open(breaker: HasHead, **note: Unpack[Note]) -> Step:
    """Allow a single probe: the cooldown is over."""
    return step(breaker, BreakerState.HALF_OPEN, "cooldown_elapsed", **note)


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


_CLOSED: Final = {"opened_at": None, "failures": 0, "reason": None}


def _open(breaker: HasHead, trigger: str, reason: Reason, **remark: Unpack[Remark]) -> Step:
    sets = {"opened_at": WRITTEN_AT, "reason": reason}
    return step(breaker, BreakerState.OPEN, trigger, sets, reason=reason, **remark)
