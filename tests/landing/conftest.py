"""A target that this process holds, with an intent to move it."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from maingate.clock import ManualClock
from maingate.db.dao.intents import Intent
from maingate.db.engine import Database
from maingate.git.repository import Repository
from maingate.ids import new_id
from maingate.landing.intended_move import HeldTarget
from support.database_factories import World, make_world
from support.factories import GitRepo

MAIN = "refs/heads/main"
NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(name="world")
def _world(database: Database) -> World:
    with database.write() as conn:
        return make_world(conn)


@pytest.fixture(name="commits")
def _commits(repo: GitRepo) -> tuple[str, str]:
    old = repo.commit({"a.txt": "1\n"}, "first")
    new = repo.commit({"a.txt": "2\n"}, "second")
    repo.git("reset", "-q", "--hard", old)
    return old, new


@pytest.fixture(name="target")
def _target(repo: GitRepo, commits: tuple[str, str], database: Database) -> Iterator[HeldTarget]:
    assert commits
    with Repository.open(repo.path) as repository:
        yield HeldTarget(
            repository=repository,
            ref=MAIN,
            database=database,
            fence=lambda _: None,
            clock=ManualClock(current=NOW),
        )


@pytest.fixture(name="intent")
def _intent(world: World, commits: tuple[str, str]) -> Intent:
    return Intent(
        id=new_id("intent"),
        run_id=world.run.id,
        workstream_id=world.workstream.id,
        ref=MAIN,
        old=commits[0],
        new=commits[1],
        created_at=NOW,
    )
