"""Recent events are counted as counting one by one does, on both databases."""

from datetime import timedelta

import pytest

from maingate.db.dao.history import events
from maingate.db.engine import Database
from maingate.db.rollups import store
from maingate.db.rollups.recent import recent_counts
from support.database_factories import NOW, World
from support.ledger_story import LATER, tell_a_story


@pytest.mark.parametrize("minutes", [0, 1, 59, 61, 121, 600])
@pytest.mark.parametrize("batch", [0, 41, 1000])
def test_recent_events_are_counted_from_a_time_on(
    database: Database, world: World, minutes: int, batch: int
) -> None:
    """Wherever the time begins, and however much is rolled up."""
    tell_a_story(database, world)
    if batch:
        store.advance(database, at=LATER, batch=batch)
    since = NOW + timedelta(minutes=minutes)
    with database.read() as conn:
        found, every = recent_counts(conn, since), events.query(conn, limit=100_000)
    wanted = [event for event in every if event.timestamp >= since]
    assert sum(found.transitions.values()) + sum(found.events.values()) == len(wanted)
    assert found.events.get("warning", 0) == sum(event.event_type == "warning" for event in wanted)
    running = sum(event.entity_type == "task" and event.to_state == "running" for event in wanted)
    assert found.transitions.get(("task", "running"), 0) == running
