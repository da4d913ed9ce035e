"""The watch of orders: each change is told once, and windows begin and end as time goes by."""

from datetime import timedelta

from maingate.clock import ManualClock
from maingate.db.dao import queue_controls
from maingate.db.dao.queue_controls import QueueRank
from maingate.db.engine import Database
from maingate.orchestrator.core.events import QueueOrdersRead
from maingate.orchestrator.queue_order_watch import QueueOrderWatch
from maingate.state.queue_control import QueueControl, QueueLeave, QueueOrder
from support.database_factories import make_world

KEY = "repo_1#refs/heads/main"


def test_orders_are_told_when_they_change(database: Database) -> None:
    """A freeze ends by the clock; nothing is told twice, or where nothing was ordered."""
    clock = ManualClock()
    watch = QueueOrderWatch(KEY, database, clock)
    assert watch.news() is None
    freeze = QueueControl(
        key=KEY,
        kind=QueueOrder.FREEZE,
        operator="ada",
        reason="",
        since=clock.now(),
        until=clock.now() + timedelta(hours=1),
    )
    with database.write() as conn:
        queue_controls.put(conn, freeze)
    frozen = QueueOrdersRead(leave=QueueLeave(may_land=False))
    assert [watch.news(), watch.news()] == [frozen, None]
    clock.advance(timedelta(hours=1))
    assert [watch.news(), watch.news()] == [QueueOrdersRead(), None]


def test_what_a_drain_lands_and_who_was_moved_is_told(database: Database) -> None:
    """None for the board until a process has said what it is."""
    watch = QueueOrderWatch(KEY, database, ManualClock())
    drain = QueueControl(key=KEY, kind=QueueOrder.DRAIN, operator="ada", reason="", since=ManualClock().now())
    with database.write() as conn:
        workstream = make_world(conn).workstream.id
        queue_controls.put(conn, drain)
        queue_controls.set_rank(conn, QueueRank(workstream_id=workstream, key=KEY, rank=-1))
    draining = QueueLeave(is_draining=True)
    assert watch.news() == QueueOrdersRead(leave=draining, ranks={workstream: -1})
    with database.write() as conn:
        queue_controls.set_board(conn, KEY, [workstream])
    on_board = frozenset({workstream})
    assert watch.news() == QueueOrdersRead(leave=draining, on_board=on_board, ranks={workstream: -1})
