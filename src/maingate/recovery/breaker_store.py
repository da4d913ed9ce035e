"""The record of the tools' breakers: their guards as rows, and the changes of one process to them."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from maingate.db.dao import breakers
from maingate.db.dao.breakers import BreakerRow
from maingate.db.sql.connection import Connection
from maingate.db.transitions import write
from maingate.ids import new_id
from maingate.reasons import Reason, ReasonCode
from maingate.recovery.breakers import BreakerUpdate
from maingate.recovery.circuit_breaker import Guard, Probe
from maingate.state.circuit_breaker import BreakerState
from maingate.state.steps import breakers as breaker_steps
from maingate.state.steps.step import HasHead, Head, Step


def write_update(conn: Connection, update: BreakerUpdate, at: datetime) -> Sequence[Head]:
    """Write the change in the caller's transaction; return the new head of the breaker.

    Args:
        conn: A writing transaction.
        update: The change.
        at: The time of the change.
    """
    row = breakers.locked(conn, update.tool)
    if row is None:
        [row] = breakers.insert_many(conn, [new_row(update.new)], at=at)
    before = guard_of(row)
    after = update.decide(before)
    heads = {row.id: row.head}
    heads.update(write(conn, heads, steps_between(row, before, after), at=at))
    if before.state is after.state:
        if after.failures != before.failures:
            breakers.count_failures(conn, row.id, after.failures)
        if after.probe != before.probe:
            breakers.give_probe(
                conn,
                row.id,
                instead_of=None if before.probe is None else before.probe.task,
                task_id=None if after.probe is None else after.probe.task,
                attempt=None if after.probe is None else after.probe.attempt,
            )
    breakers.count_write(conn, row.id, row.writes + 1)
    update.writes = row.writes + 1
    return tuple(heads.values())


def guard_of(row: BreakerRow) -> Guard:
    """Return the guard of a breaker on record."""
    probe = None
    if row.probe_task is not None and row.probe_attempt is not None:
        probe = Probe(task=row.probe_task, attempt=row.probe_attempt)
    return Guard(
        tool=row.tool,
        state=row.state,
        failures=row.failures,
        threshold=row.threshold,
        cooldown=timedelta(milliseconds=row.cooldown_ms),
        opened_at=row.opened_at,
        probe=probe,
        reason=row.reason,
        writes=row.writes,
    )


def steps_between(breaker: HasHead, before: Guard, after: Guard) -> list[Step]:
    """Return the transitions that lead a breaker on record from one guard to the next."""
    reason = after.reason or Reason(code=ReasonCode.TOOL_FAILED, message=f"tool {after.tool} failed")
    probe = after.probe
    match before.state, after.state:
        case BreakerState.CLOSED, BreakerState.OPEN:
            return [breaker_steps.trip_open(breaker, reason, failures=after.failures)]
        case BreakerState.OPEN, BreakerState.HALF_OPEN if probe is not None:
            return [breaker_steps.half_open(breaker, task_id=probe.task, attempt=probe.attempt)]
        case BreakerState.HALF_OPEN, BreakerState.OPEN:
            return [breaker_steps.reopen(breaker, reason)]
        case BreakerState.HALF_OPEN, BreakerState.CLOSED:
            return [breaker_steps.close(breaker)]
        case _:
            return []


def new_row(guard: Guard) -> BreakerRow:
    """Return the row of a breaker that is not on record yet."""
    return BreakerRow(
        id=new_id("brk"),
        tool=guard.tool,
        threshold=guard.threshold,
        cooldown_ms=round(guard.cooldown.total_seconds() * 1000),
    )
