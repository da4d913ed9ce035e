"""Rows about queues: the last view, orders of each kind, ranks."""

from datetime import timedelta
from typing import Any

import pytest

from maingate.db.dao import queue_controls, queue_views
from maingate.db.dao.queue_controls import QueueRank
from maingate.db.dao.queue_views import QueueViewRow
from maingate.db.engine import Database
from maingate.errors import InvariantError
from maingate.state.queue_control import QueueControl, QueueOrder
from support.database_factories import NOW, make_world

KEY = "repo_1#refs/heads/main"


def order(kind: QueueOrder, **fields: Any) -> QueueControl:
    """Make an order."""
    plain: dict[str, Any] = {"key": KEY, "operator": "ada", "reason": "", "since": NOW}
    return QueueControl(kind=kind, **(plain | fields))


def test_a_view_takes_the_place_of_the_last_one(database: Database) -> None:
    """There is one for each target."""
    with database.write() as conn:
        run = make_world(conn).run.id
        assert queue_views.of_target(conn, KEY) is None
        for number in range(2):
            row = QueueViewRow(key=KEY, run_id=run, view={"n": number}, at=NOW + timedelta(seconds=number))
            queue_views.publish(conn, row)
        assert queue_views.of_target(conn, KEY) == row


def test_an_order_takes_the_place_of_one_of_its_kind(database: Database) -> None:
    """Others stay; the orders about other targets are others."""
    freeze = order(QueueOrder.FREEZE, until=NOW + timedelta(hours=1))
    schedule = order(QueueOrder.SCHEDULE, cron="0 18 * * 5", zone="UTC", seconds=60)
    with database.write() as conn:
        for each in (order(QueueOrder.PAUSE), order(QueueOrder.PAUSE, reason="again"), freeze, schedule):
            queue_controls.put(conn, each)
        queue_controls.put(conn, order(QueueOrder.PAUSE, key="repo_1#refs/heads/next"))
        paused = order(QueueOrder.PAUSE, reason="again")
        assert queue_controls.of_target(conn, KEY) == [freeze, paused, schedule]
        assert len(queue_controls.of_repository(conn, "repo_1")) == 4
        assert queue_controls.of_repository(conn, "repo_") == []
        queue_controls.remove(conn, KEY, *QueueOrder)
        assert queue_controls.of_target(conn, KEY) == []


def test_what_a_drain_lands_is_said_once(database: Database) -> None:
    """The process that heard of it says it; another that begins later must not say another thing."""
    with database.write() as conn:
        queue_controls.put(conn, order(QueueOrder.DRAIN))
        queue_controls.set_board(conn, KEY, ["ws_1"])
        queue_controls.set_board(conn, KEY, ["ws_2"])
        [drain] = queue_controls.of_target(conn, KEY)
    assert drain.on_board == ("ws_1",)


def test_the_last_rank_of_a_workstream_counts(database: Database) -> None:
    """A workstream is in one place."""
    with database.write() as conn:
        workstream = make_world(conn).workstream.id
        for rank in (-1, 2):
            queue_controls.set_rank(conn, QueueRank(workstream_id=workstream, key=KEY, rank=rank))
        assert queue_controls.ranks(conn, KEY) == {workstream: 2}
        assert queue_controls.ranks(conn, "repo_1#refs/heads/next") == {}


@pytest.mark.parametrize(
    "wrong",
    [
        order(QueueOrder.FREEZE),
        order(QueueOrder.PAUSE, until=NOW),
        order(QueueOrder.SCHEDULE, cron="0 18 * * 5"),
        order(QueueOrder.PAUSE, on_board=()),
    ],
)
def test_an_order_has_what_its_kind_needs(database: Database, wrong: QueueControl) -> None:
    """The database refuses any other."""
    with pytest.raises(InvariantError), database.write() as conn:
        queue_controls.put(conn, wrong)
