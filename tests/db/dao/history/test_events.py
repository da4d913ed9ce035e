"""Events of both tables in one order, narrowed and counted, on both databases (docs/SPECIFICATION.md §7)."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from maingate.db.dao.history import events
from maingate.db.engine import Database
from maingate.db.sql.statements import row_of, rows_of
from maingate.db.transitions import write
from maingate.errors import InvariantError
from maingate.events import Event, Severity
from maingate.ids import new_id
from maingate.state.steps import runs as run_steps
from maingate.state.steps import tasks as task_steps
from support.database_factories import NOW, REASON, World

LATER = NOW + timedelta(seconds=1)


def make_override(world: World) -> Event:
    """Make an event that is no transition."""
    return Event(
        event_id=new_id("evt"),
        timestamp=LATER,
        event_type="manual_override",
        severity=Severity.WARNING,
        entity_type="task",
        entity_id=world.task.id,
        reason=REASON.as_json(),
        metadata={"what": "unblock"},
        operator="ada",
        run_id=world.run.id,
        task_id=world.task.id,
    )


@pytest.fixture
def override(database: Database, world: World) -> Event:
    """Return a history: nine transitions, an override between the last two."""
    made = make_override(world)
    with database.write() as connection:
        assert events.record(connection, made) == 9
        write(connection, {world.task.id: world.task.head}, [task_steps.queue(world.task)], at=LATER)
        write(
            connection,
            {world.run.id: world.run.head},
            [run_steps.cancel(world.run, REASON, operator="ada")],
            at=LATER,
        )
    return made


def test_all_events_come_in_the_order_of_their_commits(database: Database, override: Event) -> None:
    """Transitions and other events share one sequence without a gap."""
    with database.read() as connection:
        found = events.query(connection)
    assert [event.seq for event in found] == list(range(1, 12))
    assert [event.event_type for event in found][7:] == [
        "circuit_breaker_state_transition",
        "manual_override",
        "task_state_transition",
        "run_state_transition",
    ]
    assert found[8] == Event(**{**override.__dict__, "seq": 9})


def test_a_transition_is_an_event_with_its_severity(
    database: Database, world: World, override: Event
) -> None:
    """Its type, states and severity follow from the audit row."""
    with database.read() as connection:
        [last] = events.query(connection, newest=True, limit=1)
    assert override.seq is None
    assert last == Event(
        event_id=last.event_id,
        timestamp=LATER,
        event_type="run_state_transition",
        severity=Severity.WARNING,
        entity_type="run",
        entity_id=world.run.id,
        from_state="pending",
        to_state="canceled",
        trigger="user_canceled",
        reason=REASON.as_json(),
        operator="ada",
        run_id=world.run.id,
        seq=11,
    )


def test_events_can_be_narrowed(database: Database, world: World, override: Event) -> None:
    """By entity, type, time, place and run, together and apart; the newest ones on request."""

    def numbers(**wanted: object) -> list[int | None]:
        with database.read() as connection:
            return [event.seq for event in events.query(connection, **wanted)]  # type: ignore[arg-type]

    assert override.operator == "ada"
    assert numbers(entity=world.task.id) == [5, 9, 10]
    assert numbers(type="manual_override") == [9]
    assert numbers(type="task_state_transition") == [5, 10]
    assert numbers(type="nothing") == []
    assert numbers(since=LATER) == [9, 10, 11]
    assert numbers(after_seq=9) == [10, 11]
    assert numbers(run_id=world.run.id) == [1, 4, 5, 6, 7, 9, 10, 11]
    assert numbers(limit=3) == [1, 2, 3]
    assert numbers(limit=3, newest=True) == [11, 10, 9]
    assert numbers(entity=world.task.id, type="task_state_transition", after_seq=5) == [10]


def test_events_are_counted(database: Database, world: World, override: Event) -> None:
    """Counts by type, states and trigger, the most frequent first, with when they happened."""
    assert override.operator == "ada"
    with database.read() as connection:
        every = events.aggregate(connection)
        recent = events.aggregate(connection, since=LATER, run_id=world.run.id)
    assert sum(count.count for count in every) == 11
    assert [(count.event_type, count.to_state, count.count, count.first) for count in recent] == [
        ("manual_override", None, 1, LATER),
        ("run_state_transition", "canceled", 1, LATER),
        ("task_state_transition", "queued", 1, LATER),
    ]


def test_a_transition_is_never_recorded_by_hand(database: Database, world: World) -> None:
    """Events of transitions come from the writer of states alone."""
    forged = Event(**{**make_override(world).__dict__, "event_type": "task_state_transition"})
    with database.write() as connection, pytest.raises(InvariantError, match="by hand"):
        events.record(connection, forged)


def test_the_newest_transition_of_an_entity_is_found_by_its_version(
    database: Database, override: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by reading and sorting all it ever had; an event that is no transition is none of them."""
    asked = list[str]()

    def noting(connection: Connection, sql: str, values: Sequence[Any]) -> Sequence[Any] | None:
        asked.append(sql)
        return row_of(connection, sql, values)

    monkeypatch.setattr(events, "row_of", noting)
    with database.read() as connection:
        found = events.newest_transition_of(connection, str(override.entity_id))
        assert found is not None
        assert (found.entity_id, found.to_state, found.seq) == (override.entity_id, "queued", 10)
        assert events.newest_transition_of(connection, new_id("task")) is None
        if database.dialect == "sqlite":
            plan = rows_of(connection, f"EXPLAIN QUERY PLAN {asked[0]}", ("x",))
            assert not [line for *_, line in plan if "TEMP B-TREE" in line or line.startswith("SCAN")]
