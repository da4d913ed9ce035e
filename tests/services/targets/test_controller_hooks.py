"""The followers of the ledger that the processes of a repository have."""

from datetime import timedelta

import pytest

from maingate.bootstrap import Maingate
from maingate.db.dao.history import events
from maingate.db.ledger.new_event import new_event
from maingate.db.rollups import store
from maingate.events import EventType
from maingate.monitoring.ledger_followers import RollupFollower
from maingate.services.targets.controller_hooks import server_hooks
from support.crashing import wait_until
from support.factories import GitRepo


def test_a_server_rolls_up_what_ended_runs_have_left(repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each report and each chart would count it anew, until the next run."""
    monkeypatch.setattr(RollupFollower, "rest", timedelta(0))
    repo.commit({"a": "1"})
    with Maingate.open(repo.path) as maingate:
        database = maingate.database
        with database.write() as conn:
            events.record(conn, new_event(EventType.WARNING, None, maingate.context.clock.now(), reason="x"))
        assert store.behind(database) == 1
        with server_hooks(maingate.context, pytest.fail):
            wait_until(lambda: not store.behind(database), "the roll-ups")
