"""The roll-ups: each row is counted once, by one process or another, and the rows behind are read too."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from maingate.db.dao.history import events
from maingate.db.engine import Database, open_database
from maingate.db.ledger import follower_positions
from maingate.db.ledger.new_event import new_event, the_run
from maingate.db.rollups import store
from maingate.db.schema.rollup_kinds import (
    EVENT_COLUMNS,
    MEASURE_COLUMNS,
    MOST_NAMES,
    OTHER,
    EventKind,
    Measure,
    MeasureKind,
)
from maingate.db.schema.tables import duration_kinds, event_kinds
from maingate.db.sql.statements import change, rows_of
from maingate.db.transitions import write
from maingate.events import EventType
from maingate.reasons import Reason, ReasonCode
from maingate.state.steps import tasks as task_steps
from support.database_factories import NOW, World, bring_to
from support.ledger_story import LATER, seconds, tell_a_story

COUNTER = Path(__file__).with_name("counter.py")


def state_of(machine: str, state: str, **rest: str) -> MeasureKind:
    """Return the kind of the time in a state."""
    return MeasureKind(measure=Measure.STATE, entity_type=machine, state=state, **rest)


def counted_by_hand(database: Database) -> Counter[tuple[Any, ...]]:
    """Count every event one by one."""
    with database.read() as connection:
        found = events.query(connection, limit=10_000)
    return Counter(
        (
            each.event_type,
            each.entity_type or "",
            each.from_state or "",
            each.to_state or "",
            each.trigger or "",
            str(each.severity),
            each.operator or "",
            (each.reason or {}).get("code", ""),
        )
        for each in found
    )


def counted(database: Database) -> Counter[tuple[Any, ...]]:
    """Count what the roll-ups say, by the same columns."""
    found: Counter[tuple[Any, ...]] = Counter()
    with database.read() as connection:
        for kind, number in store.totals(connection).events.items():
            found[
                kind.event_type,
                kind.entity_type,
                kind.from_state,
                kind.to_state,
                kind.trigger,
                kind.severity,
                kind.operator,
                kind.reason,
            ] += number
    return found


def totals(database: Database) -> store.Totals:
    """Read the totals."""
    with database.read() as connection:
        return store.totals(connection)


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_totals_are_those_of_every_event_counted_by_hand(
    database: Database, world: World, batch: int
) -> None:
    """Batches of any size, none at all, and a part of them give the same totals as counting."""
    tell_a_story(database, world)
    by_hand, without = counted_by_hand(database), totals(database)
    assert counted(database) == by_hand
    while store.advance(database, at=LATER, batch=batch):
        assert counted(database) == by_hand
        assert totals(database) == without
    assert store.behind(database) == 0


def test_hours_add_up_to_all_time(database: Database, world: World) -> None:
    """The rows of the hours have the same sums as the rows of all time."""
    tell_a_story(database, world)
    store.catch_up(database, at=LATER)
    with database.read() as connection:
        for table, value in (("event_rollups", "count"), ("duration_rollups", "total")):
            sql = f"SELECT kind_id, sum({value}) FROM {table} WHERE hour {{}} -1 GROUP BY 1 ORDER BY 1"
            hours, ever = (rows_of(connection, sql.format(sign)) for sign in ("<>", "="))
            assert [tuple(row) for row in hours] == [tuple(row) for row in ever]
        covered = rows_of(connection, "SELECT min(first_seq), max(last_seq) FROM rollup_hours")
        last = rows_of(
            connection,
            "SELECT max(seq) FROM (SELECT seq FROM events UNION ALL SELECT seq FROM state_transitions) one",
        )
    assert covered[0][0] == 1
    assert covered[0][1] == last[0][0]


def test_times_in_states_and_to_the_end_are_measured(database: Database, world: World) -> None:
    """Time in a state is between two transitions; a patch's life ends with its landing, a tool is timed."""
    tell_a_story(database, world)
    store.catch_up(database, at=LATER)
    found = totals(database).measures
    running = found[state_of("task", "running", tool="aider", variant="patch")]
    assert (running.count, running.total) == (1, 3_000_000)
    landed = found[MeasureKind(measure=Measure.LIFE, entity_type="patch_ledger", state="committed")]
    assert (landed.count, landed.total) == (1, 45_000_000)
    pending = state_of("test_gate", "PENDING", gate="unit", variant="UNIT")
    assert found[pending].total == 70_000_000
    tool = MeasureKind(measure=Measure.TOOL, tool="aider", variant="failed")
    assert (found[tool].count, found[tool].total) == (1, 1_500_000)
    cost = MeasureKind(measure=Measure.TOOL_COST, tool="aider", variant="failed")
    assert found[cost].total == 250
    reuse = MeasureKind(measure=Measure.REUSE, entity_type="test_gate", gate="unit", variant="UNIT")
    assert found[reuse].count == 2


def test_a_clock_that_runs_backwards_takes_no_time_off(database: Database, world: World) -> None:
    """A transition before the one that it follows took no time."""
    with database.write() as connection:
        head = bring_to(connection, world.task.head, "queued", at=NOW)
        write(connection, {head.id: head}, [task_steps.cancel(head, REASON)], at=NOW - seconds(60))
    found = totals(database).measures
    kind = state_of("task", "queued", variant="patch")
    assert (found[kind].total, found[kind].buckets) == (0, {0: 1})


REASON = Reason(code=ReasonCode.CANCELLED, message="enough")


def test_texts_that_are_no_json_are_counted_without_a_code(database: Database, world: World) -> None:
    """A damaged text, or a code that is none of the program, stops nothing and makes no kind of its own."""
    texts = (
        '{"code":"',
        '{"code":"made up"}',
        "nonsense",
        '{"code":"gate_failed","message":"\\"gate\\":\\"x\\""}',
    )
    insert = (
        "INSERT INTO events (seq, event_id, event_type, severity, reason, metadata, at, hash)"
        " VALUES (?, ?, 'warning', 'warning', ?, ?, ?, '')"
    )
    with database.write() as connection:
        [[last]] = rows_of(connection, "SELECT value FROM counters")
        for seq, text in enumerate(texts, last + 1):
            change(connection, insert, (seq, f"evt_{seq}", text, text, 1))
        change(connection, "UPDATE counters SET value = value + ?", (len(texts),))
    store.catch_up(database, at=LATER)
    found = {kind: number for kind, number in totals(database).events.items() if kind.event_type == "warning"}
    plain = EventKind(event_type="warning", severity="warning")
    assert found == {plain: 3, EventKind(event_type="warning", severity="warning", reason="gate_failed"): 1}
    assert world


def test_names_beyond_a_limit_count_together(database: Database, world: World) -> None:
    """However many people and tools there are, the kinds stay few; nobody's events are lost."""
    people = [f"person {number}" for number in range(MOST_NAMES + 20)]
    for part in (people[:50], people[50:], people):
        with database.write() as connection:
            for person in part:
                one = new_event(EventType.WARNING, the_run(world.run.id), NOW, operator=person)
                events.record(connection, one)
        store.catch_up(database, at=NOW)
    found = Counter(
        {kind.operator: number for kind, number in totals(database).events.items() if kind.operator}
    )
    assert len(found) == MOST_NAMES + 1
    assert found[OTHER] == 40
    assert found.total() == 2 * len(people)


def test_racing_processes_count_each_row_once(database: Database, world: World, url: str) -> None:
    """Two that roll up at once: one wins each part, and nothing is counted twice."""
    tell_a_story(database, world)
    by_hand, barrier = counted_by_hand(database), Barrier(4)

    def count(_number: int) -> None:
        own = open_database(url)
        barrier.wait()
        while store.advance(own, at=LATER, batch=3):
            pass
        own.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(4)))
    assert store.behind(database) == 0
    assert counted(database) == by_hand


def test_a_killed_process_leaves_a_part_to_the_next(dialect: str, new_url: Callable[..., str]) -> None:
    """After kill -9 amid the transaction its part is counted by the next process, once."""
    url = new_url(dialect, has_world=True)
    environment = {**os.environ, "MAINGATE_FAULTPOINT": "rollup.inside@2"}
    killed = subprocess.run([sys.executable, COUNTER, url], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    database = open_database(url)
    with database.read() as connection:
        assert follower_positions.position(connection, store.FOLLOWER) == 3
        assert rows_of(connection, "SELECT sum(count) FROM event_rollups WHERE hour = -1")[0][0] == 3
    by_hand = counted_by_hand(database)
    store.catch_up(database, at=LATER)
    assert counted(database) == by_hand
    database.close()


def test_the_columns_of_kinds_are_those_of_the_tables() -> None:
    """What a kind has is what its row has."""
    assert [column.name for column in event_kinds.columns] == ["id", *EVENT_COLUMNS]
    assert [column.name for column in duration_kinds.columns] == ["id", *MEASURE_COLUMNS]


def test_old_hours_are_removed_and_all_time_stays(database: Database, world: World) -> None:
    """Totals never go down; the hours that are kept are still those of their events."""
    tell_a_story(database, world)
    store.catch_up(database, at=LATER)
    before = totals(database)
    store.forget(database, NOW + timedelta(hours=2, minutes=30))
    assert totals(database) == before
    with database.read() as connection:
        for table in ("event_rollups", "duration_rollups", "rollup_hours"):
            [[first]] = rows_of(connection, f"SELECT min(hour) FROM {table} WHERE hour >= 0")
            assert first == (NOW + timedelta(hours=2)).timestamp() // 3600
    store.forget(database, NOW)
    assert totals(database) == before
