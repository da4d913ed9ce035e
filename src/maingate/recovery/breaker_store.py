"""The breakers of tools in one control process, and how their changes are recorded.

`Breakers` keeps the guards in memory. Its methods return a `BreakerUpdate`, which is written in the
transaction of the caller and applies the decision to the row as it is by then: several processes may use one
tool, and none of them fails because another was faster.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Event

from maingate.db.connection import Connection
from maingate.db.dao import breakers
from maingate.db.dao.breakers import BreakerRow
from maingate.db.transitions import write
from maingate.ids import new_id
from maingate.reasons import Reason, ReasonCode
from maingate.recovery.circuit_breaker import (
    COOLDOWN,
    THRESHOLD,
    Allowed,
    Blocked,
    Guard,
    IsRunning,
    Probe,
    after_failure,
    after_release,
    after_start,
    after_success,
    may_start,
)
from maingate.state.circuit_breaker import BreakerState
from maingate.state.steps import breakers as breaker_steps
from maingate.state.steps.step import HasHead, Head, Step


@dataclass(frozen=True, kw_only=True)
class BreakerUpdate:
    """A change of a breaker that is to be recorded.

    Args:
        tool: The tool.
        decide: The decision, applied to the breaker as it is on record at the time of writing.
        new: The initial guard of a breaker that is not on record yet.
        expected: The transition as far as this process knows, for progress views; None without one.
        written: Set after the write, so that rows read before it are ignored.
    """

    tool: str
    decide: Callable[[Guard], Guard]
    new: Guard
    expected: tuple[BreakerState, BreakerState] | None = None
    written: Event = field(default_factory=Event, compare=False)

    def write(self, conn: Connection, at: datetime) -> Sequence[Head]:
        """Write the change in the caller's transaction; return the new head of the breaker.

        Args:
            conn: A writing transaction.
            at: The time of the change.
        """
        row = breakers.locked(conn, self.tool)
        if row is None:
            [row] = breakers.insert_many(conn, [new_row(self.new)], at=at)
        before = guard_of(row)
        after = self.decide(before)
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
        self.written.set()
        return tuple(heads.values())


class Breakers:
    """The breakers as one control process knows them; no I/O.

    Args:
        rows: Every breaker on record.
        threshold: Consecutive failures that open a breaker (setting ``breaker_threshold``).
        cooldown: Time that it stays open (setting ``breaker_cooldown``).
        is_running: Returns whether a process still works on the recorded probe.
    """

    def __init__(
        self,
        rows: Iterable[BreakerRow],
        *,
        is_running: IsRunning,
        threshold: int = THRESHOLD,
        cooldown: timedelta = COOLDOWN,
    ) -> None:
        self._is_running, self._threshold, self._cooldown = is_running, threshold, cooldown
        self._guards: dict[str, Guard] = {}
        self._unwritten: list[BreakerUpdate] = []
        self.refresh(rows)

    def refresh(self, rows: Iterable[BreakerRow]) -> None:
        """Update the guards from the record, which other processes and people change too.

        Guards with unwritten changes of this process stay as they are.
        """
        self._unwritten = [change for change in self._unwritten if not change.written.is_set()]
        mine = {change.tool for change in self._unwritten}
        self._guards |= {row.tool: self._with_settings(guard_of(row)) for row in rows if row.tool not in mine}

    def of(self, tool: str) -> Guard:
        """Return the guard of a tool; an unknown tool's breaker is closed."""
        return self._guards.get(tool) or Guard(tool=tool, threshold=self._threshold, cooldown=self._cooldown)

    def may_start(self, tool: str, now: datetime) -> Allowed | Blocked:
        """Return whether a task may use a tool now."""
        return may_start(self.of(tool), now, self._is_running)

    def started(self, tool: str, task: str, attempt: int, now: datetime) -> BreakerUpdate | None:
        """Record that an attempt started to use a tool; return the change to write, if any."""
        probe = Probe(task=task, attempt=attempt)
        return self._apply(tool, lambda guard: after_start(guard, probe, now, self._is_running))

    def succeeded(self, tool: str, task: str, attempt: int) -> BreakerUpdate | None:
        """Record that the tool did its work in an attempt; gates do not count."""
        probe = Probe(task=task, attempt=attempt)
        return self._apply(tool, lambda guard: after_success(guard, probe))

    def failed(
        self, tool: str, task: str, attempt: int, reason: Reason, now: datetime
    ) -> BreakerUpdate | None:
        """Record that the tool itself failed in an attempt."""
        probe = Probe(task=task, attempt=attempt)
        return self._apply(tool, lambda guard: after_failure(guard, probe, reason, now))

    def released(self, tool: str, task: str, attempt: int) -> BreakerUpdate | None:
        """Record that an attempt ended without a verdict on the tool: cancelled, lost, rate limited."""
        probe = Probe(task=task, attempt=attempt)
        return self._apply(tool, lambda guard: after_release(guard, probe))

    def _apply(self, tool: str, decide: Callable[[Guard], Guard]) -> BreakerUpdate | None:
        before = self.of(tool)
        after = self._guards[tool] = decide(before)
        if after == before:
            return None
        new = Guard(tool=tool, threshold=self._threshold, cooldown=self._cooldown)
        moved = None if before.state is after.state else (before.state, after.state)
        change = BreakerUpdate(
            tool=tool, decide=lambda guard: decide(self._with_settings(guard)), new=new, expected=moved
        )
        self._unwritten.append(change)
        return change

    def _with_settings(self, guard: Guard) -> Guard:
        """Return a guard with the current settings instead of those that the breaker was made with."""
        return replace(guard, threshold=self._threshold, cooldown=self._cooldown)


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
