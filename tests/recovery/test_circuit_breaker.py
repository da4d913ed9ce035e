"""A tool that fails again and again is paused, then probed exactly once.

See docs/SPECIFICATION.md §2.4.
"""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maingate.db.audit.record_check import verify
from maingate.db.dao import breakers
from maingate.db.dao.history import events
from maingate.db.engine import Database
from maingate.errors import UsageError
from maingate.reasons import Reason, ReasonCode
from maingate.recovery.breaker_and_patch_overrides import reset_breaker, trip_breaker
from maingate.recovery.breaker_store import guard_of, write_update
from maingate.recovery.breakers import Breakers, BreakerUpdate
from maingate.recovery.circuit_breaker import (
    Allowed,
    Blocked,
    Guard,
    Probe,
    after_failure,
    after_release,
    after_start,
    after_success,
    may_start,
)
from maingate.state.circuit_breaker import BreakerState
from support.database_factories import NOW

DOWN = Reason(code=ReasonCode.TOOL_FAILED, message="the service is down")
MINUTE = timedelta(seconds=60)
SECOND = timedelta(seconds=1)


def nobody(_probe: Probe) -> bool:
    """Say that no attempt is being worked on."""
    return False


def everybody(_probe: Probe) -> bool:
    """Say that every attempt is being worked on."""
    return True


def record(database: Database, *changes: BreakerUpdate | None) -> None:
    """Write what is to be recorded."""
    with database.write() as conn:
        for change in changes:
            if change is not None:
                write_update(conn, change, NOW)


def read(database: Database, *, is_running: bool = False) -> Breakers:
    """Rebuild the breakers as a process does that starts."""
    with database.read() as conn:
        rows = breakers.all_of(conn)
    return Breakers(map(guard_of, rows), is_running=everybody if is_running else nobody)


def open_one(database: Database, tool: str = "claude") -> Breakers:
    """Let a tool fail until its breaker opens."""
    made = read(database)
    for number in range(5):
        record(database, made.failed(tool, f"task_{number}", 1, DOWN, NOW))
    return made


def test_it_opens_after_so_many_failures_in_a_row_and_says_why() -> None:
    """A success in between starts the count anew."""
    made = Breakers((), is_running=nobody)
    for _ in range(4):
        made.failed("claude", "t", 1, DOWN, NOW)
    made.succeeded("claude", "t", 1)
    for _ in range(4):
        made.failed("claude", "t", 1, DOWN, NOW)
    assert made.may_start("claude", NOW) == Allowed()
    made.failed("claude", "t", 1, DOWN, NOW)
    said = made.may_start("claude", NOW)
    assert isinstance(said, Blocked)
    assert said.until == NOW + MINUTE
    assert "the service is down" in said.reason.message
    assert made.may_start("codex", NOW) == Allowed(), "each tool has its own"


def test_after_the_cooldown_exactly_one_probe_goes_through(database: Database) -> None:
    """Whoever comes while it is on its way waits, without an end in sight."""
    made = open_one(database)
    later = NOW + MINUTE
    assert isinstance(made.may_start("claude", later - SECOND), Blocked)
    made = read(database, is_running=True)
    assert made.may_start("claude", later) == Allowed(is_probe=True)
    record(database, made.started("claude", "task_7", 2, later))
    said = made.may_start("claude", later)
    assert isinstance(said, Blocked)
    assert said.until is None
    with database.read() as conn:
        row = breakers.of_tool(conn, "claude")
    assert row is not None
    assert (row.state, row.probe_task, row.probe_attempt) == (BreakerState.HALF_OPEN, "task_7", 2)


def test_a_clock_that_is_set_back_does_not_lengthen_the_pause() -> None:
    """The time since the opening is unknown then; one probe finds out about the tool."""
    made = Breakers((), is_running=nobody)
    for _ in range(5):
        made.failed("claude", "t", 1, DOWN, NOW)
    assert made.may_start("claude", NOW - SECOND) == Allowed(is_probe=True)
    assert isinstance(made.may_start("claude", NOW), Blocked)


@pytest.mark.parametrize(("is_good", "state"), [(True, BreakerState.CLOSED), (False, BreakerState.OPEN)])
def test_the_probe_decides_and_nobody_else(database: Database, is_good: bool, state: BreakerState) -> None:
    """What began before the breaker opened says nothing any more."""
    open_one(database)
    made, later = read(database, is_running=True), NOW + MINUTE
    record(database, made.started("claude", "probe", 1, later))
    record(database, made.succeeded("claude", "old", 1), made.failed("claude", "old", 1, DOWN, later))
    assert made.of("claude").state is BreakerState.HALF_OPEN
    end = made.succeeded("claude", "probe", 1) if is_good else made.failed("claude", "probe", 1, DOWN, later)
    record(database, end)
    assert made.of("claude").state is state
    again = read(database, is_running=True)
    assert again.of("claude").state is state
    assert again.of("claude").probe is None
    assert verify(database).is_intact


def test_a_restart_forgets_neither_an_open_breaker_nor_its_probe(database: Database) -> None:
    """A probe that still runs stays the only one; one whose process died is given again."""
    made = open_one(database)
    assert isinstance(read(database).may_start("claude", NOW), Blocked)
    later = NOW + MINUTE
    record(database, made.started("claude", "task_7", 1, later))
    assert isinstance(read(database, is_running=True).may_start("claude", later), Blocked)
    again = read(database)
    assert again.may_start("claude", later) == Allowed(is_probe=True)
    record(database, again.started("claude", "task_8", 1, later))
    assert read(database, is_running=True).of("claude").probe == Probe(task="task_8", attempt=1)


def test_a_probe_that_says_nothing_is_given_again(database: Database) -> None:
    """Cancelled or lost, it neither closes nor reopens the breaker."""
    open_one(database)
    made, later = read(database, is_running=True), NOW + MINUTE
    record(database, made.started("claude", "task_7", 1, later), made.released("claude", "task_7", 1))
    assert made.may_start("claude", later) == Allowed(is_probe=True)
    assert read(database, is_running=True).may_start("claude", later) == Allowed(is_probe=True)


def test_a_process_that_is_behind_breaks_nothing(database: Database) -> None:
    """What another process or a person did meanwhile counts; nothing is written twice or over it."""
    behind = open_one(database)
    with database.write() as conn:
        reset_breaker(conn, "claude", message="it is up again", operator="ada", at=NOW)
    record(database, behind.started("claude", "task_7", 1, NOW + MINUTE))
    with database.read() as conn:
        rows = breakers.all_of(conn)
    assert [row.state for row in rows] == [BreakerState.CLOSED]
    behind.refresh(map(guard_of, rows))
    assert behind.may_start("claude", NOW) == Allowed()
    assert verify(database).is_intact


def test_what_is_not_written_yet_is_not_forgotten_for_what_was_read_before(database: Database) -> None:
    """A refresh between a decision and its transaction does not give a second probe."""
    open_one(database)
    made, later = read(database, is_running=True), NOW + MINUTE
    change = made.started("claude", "task_7", 1, later)
    with database.read() as conn:
        made.refresh(map(guard_of, breakers.all_of(conn)))
    assert isinstance(made.may_start("claude", later), Blocked)
    record(database, change)


def test_what_was_read_before_a_write_changes_nothing_after_it(database: Database) -> None:
    """A reading that began before the opening was written, and arrives after it, closes no breaker."""
    made = read(database)
    for number in range(4):
        record(database, made.failed("claude", f"task_{number}", 1, DOWN, NOW))
    with database.read() as conn:
        old = [guard_of(row) for row in breakers.all_of(conn)]
    record(database, made.failed("claude", "task_4", 1, DOWN, NOW))
    made.refresh(old)
    assert isinstance(made.may_start("claude", NOW), Blocked)


def test_a_write_that_changes_nothing_on_record_is_followed_by_news(database: Database) -> None:
    """A decision of another process, read while one of this process was unwritten, is not lost."""
    made = read(database)
    change = made.failed("claude", "task_1", 1, DOWN, NOW)
    record(database, change)
    open_one(database)
    unwritten = made.succeeded("claude", "task_2", 1)
    with database.read() as conn:
        first = [guard_of(row) for row in breakers.all_of(conn)]
    made.refresh(first)
    assert made.may_start("claude", NOW) == Allowed(), "as this process knows it"
    record(database, unwritten)
    with database.read() as conn:
        second = [guard_of(row) for row in breakers.all_of(conn)]
    assert second != first, "so that it is sent again"
    made.refresh(second)
    assert isinstance(made.may_start("claude", NOW), Blocked)


def test_hands_on_a_breaker_are_on_record_and_obey_the_table(database: Database) -> None:
    """Reset needs an open one, trip a closed one; the event says who and why."""
    with database.write() as conn:
        trip_breaker(conn, "codex", Guard(tool="codex"), message="too dear", operator="ada", at=NOW)
    with pytest.raises(UsageError, match="OPEN already"), database.write() as conn:
        trip_breaker(conn, "codex", Guard(tool="codex"), message="m", operator="o", at=NOW)
    with pytest.raises(UsageError, match="nothing to reset"), database.write() as conn:
        reset_breaker(conn, "claude", message="m", operator="o", at=NOW)
    with database.write() as conn:
        reset_breaker(conn, "codex", message="paid", operator="ada", at=NOW)
        said = events.query(conn, type="manual_override")
        moved = events.query(conn, type="circuit_breaker_state_transition")
    assert [(each.reason or {}).get("code") for each in moved] == [None, "by_hand", "by_hand"]
    assert [(each.trigger, each.operator, str(each.severity)) for each in said] == [
        ("trip", "ada", "warning"),
        ("reset", "ada", "warning"),
    ]


PROBES = st.builds(Probe, task=st.sampled_from("abc"), attempt=st.integers(1, 2))
HAPPENINGS = st.lists(
    st.tuples(st.sampled_from(["start", "success", "failure", "release"]), PROBES, st.integers(0, 90)),
    max_size=60,
)


@given(HAPPENINGS, st.integers(1, 4), st.booleans())
def test_whatever_happens_the_breaker_stays_sound(
    happenings: list[tuple[str, Probe, int]], threshold: int, lives: bool
) -> None:
    """Only closed counts, only half open has a probe, open has its time; at most one probe goes."""
    is_running = everybody if lives else nobody
    guard, now = Guard(tool="t", threshold=threshold), NOW
    for what, probe, seconds in happenings:
        now += timedelta(seconds=seconds)
        before = guard
        match what:
            case "start":
                guard = after_start(guard, probe, now, is_running)
            case "success":
                guard = after_success(guard, probe)
            case "failure":
                guard = after_failure(guard, probe, DOWN, now)
            case _:
                guard = after_release(guard, probe)
        assert (guard.state is BreakerState.CLOSED) == (guard.opened_at is None)
        assert guard.probe is None or guard.state is BreakerState.HALF_OPEN
        assert guard.state is not BreakerState.CLOSED or guard.failures < threshold
        if before.probe is not None and lives and what == "start":
            assert guard == before, "a second probe was let through"
        if before.state is BreakerState.OPEN and guard.state is not BreakerState.OPEN:
            assert guard.state is BreakerState.HALF_OPEN
            assert now - (before.opened_at or now) >= before.cooldown
        if before.state is BreakerState.HALF_OPEN and guard.state is BreakerState.CLOSED:
            assert (what, probe) == ("success", before.probe)


@given(HAPPENINGS)
def test_what_it_waits_for_comes(happenings: list[tuple[str, Probe, int]]) -> None:
    """A wait with an end is over at that end; a wait without one needs a living probe."""
    guard, now = Guard(tool="t", threshold=2), NOW
    for what, probe, seconds in happenings:
        now += timedelta(seconds=seconds)
        if what == "start":
            guard = after_start(guard, probe, now, everybody)
        elif what == "failure":
            guard = after_failure(guard, probe, DOWN, now)
    said = may_start(guard, now, everybody)
    if isinstance(said, Blocked) and said.until is not None:
        assert said.until > now
        assert may_start(guard, said.until, everybody) == Allowed(is_probe=True)
    elif isinstance(said, Blocked):
        assert may_start(guard, now, nobody) == Allowed(is_probe=True)


def test_the_record_says_what_memory_says(database: Database) -> None:
    """After each change the row and the picture agree, but for the time at which it was written."""
    made = Breakers((), is_running=nobody, threshold=2)
    for change in (
        made.failed("t", "a", 1, DOWN, NOW),
        made.failed("t", "a", 2, DOWN, NOW),
        made.started("t", "b", 1, NOW + MINUTE),
        made.failed("t", "b", 1, DOWN, NOW),
    ):
        record(database, change)
    with database.read() as conn:
        row = breakers.of_tool(conn, "t")
    assert row is not None
    assert guard_of(row) == replace(made.of("t"), writes=4)
