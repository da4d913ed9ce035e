"""Circuit breakers around tools: what fails again and again is left alone for a while.

See docs/SPECIFICATION.md §2.4.

The decisions are pure: a `Guard` says how a tool's breaker stands, and each thing that happens gives the next
one. `Breakers` keeps them in memory for one control process. What it returns is written in that process's own
transaction by `Change.write`, which applies the same decision to the row as it is by then: several processes
may use one tool, and none of them fails because another was faster.

    CLOSED ── threshold failures in a row ──> OPEN ── cooldown over, one probe ──> HALF_OPEN
       ^                                        ^───────── the probe failed ──────────┤
       └──────────────────────────── the probe succeeded ─────────────────────────────┘

The probe is on record by its task and attempt, so a restart does not give a second one; a probe whose process
died is given again.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Event
from typing import Final

from maingate.db.connection import Connection
from maingate.db.dao import breakers
from maingate.db.dao.breakers import BreakerRow
from maingate.db.transitions import write
from maingate.ids import new_id
from maingate.reasons import Reason, ReasonCode
from maingate.state.circuit_breaker import BreakerState
from maingate.state.steps import breakers as breaker_steps
from maingate.state.steps.step import HasHead, Head, Step

THRESHOLD: Final = 5
"""How many consecutive failures open a breaker, where the settings say nothing else."""

COOLDOWN: Final = timedelta(seconds=60)
"""How long a breaker stays open before its probe, where the settings say nothing else."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """The one call that a half-open breaker lets through: an attempt of a task."""

    task: str
    attempt: int


IsRunning = Callable[[Probe], bool]
"""Tells whether an attempt of a task is still being worked on by a living process."""


@dataclass(frozen=True, kw_only=True)
class Guard:
    """How the breaker of one tool stands.

    Args:
        tool: The tool.
        state: Where the breaker is.
        failures: Failures in a row; only counted while it is closed.
        threshold: How many of those open it.
        cooldown: How long it stays open before a probe.
        opened_at: When it opened; None while it is closed.
        probe: The probe that is on its way; only while it is half open.
        reason: Why it is open.
    """

    tool: str
    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    threshold: int = THRESHOLD
    cooldown: timedelta = COOLDOWN
    opened_at: datetime | None = None
    probe: Probe | None = None
    reason: Reason | None = None


@dataclass(frozen=True, kw_only=True)
class Yes:
    """The tool may be used.

    Args:
        is_probe: Whether this call will be the probe of a breaker that is not closed.
    """

    is_probe: bool = False


@dataclass(frozen=True, kw_only=True)
class Wait:
    """The tool is left alone.

    Args:
        until: When to ask again; None when something else than time decides: the probe's end.
        reason: Why, for people.
    """

    until: datetime | None
    reason: Reason


# -- the decisions -------------------------------------------------------------------------------------------


def may_start(guard: Guard, now: datetime, is_running: IsRunning) -> Yes | Wait:
    """Decide whether a tool may be used now."""
    match guard.state:
        case BreakerState.CLOSED:
            return Yes()
        case BreakerState.OPEN:
            until = (guard.opened_at or now) + guard.cooldown
            if now >= until:
                return Yes(is_probe=True)
            why = f"; last failure: {guard.reason.message}" if guard.reason is not None else ""
            return _wait(
                guard,
                until,
                f"tool {guard.tool} is paused until {until:%H:%M:%S} UTC (circuit breaker open){why}",
            )
        case BreakerState.HALF_OPEN:
            if guard.probe is None or not is_running(guard.probe):
                return Yes(is_probe=True)
            return _wait(guard, None, f"tool {guard.tool} is being probed by {guard.probe.task}")


def after_start(guard: Guard, probe: Probe, now: datetime, is_running: IsRunning) -> Guard:
    """Hear that a call has begun: where the breaker is not closed, it is the probe, if it may be."""
    said = may_start(guard, now, is_running)
    if isinstance(said, Wait) or not said.is_probe:
        return guard
    return replace(guard, state=BreakerState.HALF_OPEN, probe=probe)


def after_success(guard: Guard, probe: Probe) -> Guard:
    """Hear that a call ended well; one that began before the breaker opened says nothing any more."""
    if guard.state is BreakerState.CLOSED:
        return replace(guard, failures=0)
    if guard.probe == probe:
        return replace(guard, state=BreakerState.CLOSED, failures=0, opened_at=None, probe=None, reason=None)
    return guard


def after_failure(guard: Guard, probe: Probe, reason: Reason, now: datetime) -> Guard:
    """Hear that a call failed; one that began before the breaker opened says nothing any more."""
    if guard.state is BreakerState.CLOSED:
        failed = replace(guard, failures=guard.failures + 1)
        return failed if failed.failures < guard.threshold else _opened(failed, reason, now)
    return _opened(guard, reason, now) if guard.probe == probe else guard


def after_release(guard: Guard, probe: Probe) -> Guard:
    """Hear that a call ended in a way that says nothing about the tool: cancelled, lost, rate limited."""
    return replace(guard, probe=None) if guard.probe == probe else guard


def _opened(guard: Guard, reason: Reason, now: datetime) -> Guard:
    return replace(guard, state=BreakerState.OPEN, opened_at=now, probe=None, reason=reason)


def _wait(guard: Guard, until: datetime | None, message: str) -> Wait:
    detail = {"tool": guard.tool, "state": str(guard.state), "failures": guard.failures}
    return Wait(until=until, reason=Reason(code=ReasonCode.TOOL_FAILED, message=message, detail=detail))


# -- on record -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is to be recorded because something happened to a tool.

    Args:
        tool: The tool.
        decide: The decision, to be applied to the breaker as it stands when it is written.
        new: How a breaker begins that is not on record yet.
        expected: The transition that it comes to as far as this process knows, for telling people; None when
            it is none.
        written: Set when it has been written, so that nothing read before counts as news.
    """

    tool: str
    decide: Callable[[Guard], Guard]
    new: Guard
    expected: tuple[BreakerState, BreakerState] | None = None
    written: Event = field(default_factory=Event, compare=False)

    def write(self, conn: Connection, at: datetime) -> Sequence[Head]:
        """Write it in the caller's transaction; return the breaker as it is then.

        Args:
            conn: A writing transaction.
            at: When it happened.
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
    """The breakers as one control process sees them; no I/O.

    Args:
        rows: Every breaker on record.
        threshold: How many consecutive failures open a breaker (setting ``breaker_threshold``).
        cooldown: How long it stays open (setting ``breaker_cooldown``).
        is_running: Tells whether the attempt that is on record as a probe is still worked on.
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
        self._unwritten: list[Change] = []
        self.refresh(rows)

    def refresh(self, rows: Iterable[BreakerRow]) -> None:
        """Take what is on record by now: others use the tools too, and people reset and trip breakers.

        A tool of which this process has something to write yet stays as it is.
        """
        self._unwritten = [change for change in self._unwritten if not change.written.is_set()]
        mine = {change.tool for change in self._unwritten}
        self._guards |= {row.tool: self._bounded(guard_of(row)) for row in rows if row.tool not in mine}

    def of(self, tool: str) -> Guard:
        """Say how a tool's breaker stands; one that was never heard of is closed."""
        return self._guards.get(tool) or Guard(tool=tool, threshold=self._threshold, cooldown=self._cooldown)

    def may_start(self, tool: str, now: datetime) -> Yes | Wait:
        """Decide whether a task may use a tool now."""
        return may_start(self.of(tool), now, self._is_running)

    def started(self, tool: str, task: str, attempt: int, now: datetime) -> Change | None:
        """Hear that an attempt uses a tool; None when there is nothing to record."""
        probe = Probe(task=task, attempt=attempt)
        return self._heard(tool, lambda guard: after_start(guard, probe, now, self._is_running))

    def succeeded(self, tool: str, task: str, attempt: int) -> Change | None:
        """Hear that the tool did its work in an attempt, whatever the gates say about it."""
        probe = Probe(task=task, attempt=attempt)
        return self._heard(tool, lambda guard: after_success(guard, probe))

    def failed(self, tool: str, task: str, attempt: int, reason: Reason, now: datetime) -> Change | None:
        """Hear that the tool itself failed in an attempt."""
        probe = Probe(task=task, attempt=attempt)
        return self._heard(tool, lambda guard: after_failure(guard, probe, reason, now))

    def released(self, tool: str, task: str, attempt: int) -> Change | None:
        """Hear that an attempt ended without saying anything about the tool: cancelled, lost, or such."""
        probe = Probe(task=task, attempt=attempt)
        return self._heard(tool, lambda guard: after_release(guard, probe))

    def _heard(self, tool: str, decide: Callable[[Guard], Guard]) -> Change | None:
        before = self.of(tool)
        after = self._guards[tool] = decide(before)
        if after == before:
            return None
        new = Guard(tool=tool, threshold=self._threshold, cooldown=self._cooldown)
        moved = None if before.state is after.state else (before.state, after.state)
        change = Change(tool=tool, decide=lambda guard: decide(self._bounded(guard)), new=new, expected=moved)
        self._unwritten.append(change)
        return change

    def _bounded(self, guard: Guard) -> Guard:
        """Let the settings of today count, not those that a breaker was made with."""
        return replace(guard, threshold=self._threshold, cooldown=self._cooldown)


def guard_of(row: BreakerRow) -> Guard:
    """Read how a breaker on record stands."""
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
    """Make the transitions that lead a breaker on record from one stand to the next."""
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
    """Make the row of a breaker that is not on record yet."""
    return BreakerRow(
        id=new_id("brk"),
        tool=guard.tool,
        threshold=guard.threshold,
        cooldown_ms=round(guard.cooldown.total_seconds() * 1000),
    )
