"""Receivers of webhooks on record: held by one process, moved from a known place only."""

from datetime import timedelta

from maingate.db.dao import webhooks
from maingate.db.dao.webhooks import WebhookKey, WebhookRow
from maingate.db.engine import Database
from support.database_factories import NOW

KEY = WebhookKey("repo_1", "chat")
LATER = NOW + timedelta(minutes=1)


def test_a_receiver_moves_for_the_process_that_holds_it(database: Database) -> None:
    """From its place only; a failure stays on record until the next delivery."""

    def row() -> WebhookRow:
        found = webhooks.find(conn, KEY)
        assert found is not None
        return found

    with database.write() as conn:
        assert webhooks.find(conn, KEY) is None
        webhooks.register(conn, KEY, 7)
        webhooks.register(conn, KEY, 9)
        assert (row().seq, row().is_gone) == (7, False)
        assert webhooks.hold(conn, KEY, "one", at=NOW, until=LATER)
        assert not webhooks.hold(conn, KEY, "two", at=LATER, until=LATER)
        for holder in ("two", "one"):
            webhooks.failed(conn, KEY, holder, "a\0b", at=NOW, next_at=LATER, is_gone=True)
        webhooks.failed(conn, KEY, "one", "again", at=LATER, next_at=LATER, is_gone=True)
        failing = row()
        assert (failing.failures, failing.failed, failing.failure) == (2, 2, "again")
        assert (failing.failing_since, failing.tried_at, failing.is_gone) == (NOW, LATER, True)
        webhooks.hurry(conn, KEY)
        assert not row().rests_at(LATER)
        ways = [((7, 8), "two"), ((6, 8), "one"), ((7, 8), "one")]
        moved = [
            webhooks.delivered(conn, KEY, places, holder, at=LATER, until=LATER) for places, holder in ways
        ]
        assert moved == [False, False, True]
        assert (row().delivered, row().delivered_at, row().failures, row().next_at) == (1, LATER, 0, None)
        assert [webhooks.move(conn, KEY, before, 9) for before in (7, 8)] == [False, True]
        webhooks.release(conn, KEY, "two")
        assert row().holder == "one"
        assert webhooks.hold(conn, KEY, "two", at=LATER + timedelta(seconds=1), until=LATER)
        webhooks.release(conn, KEY, "two")
        assert [one.seq for one in webhooks.of_repositories(conn, ["repo_1", "repo_2"])] == [9]
