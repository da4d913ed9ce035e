"""What an operator may decide: only what the tables, the needs and the gates leave to decide."""

import pytest

from maingate.db.dao import approvals, patches
from maingate.db.engine import Database
from maingate.errors import UsageError
from maingate.recovery.breaker_and_patch_overrides import approve_patch, drop_patch
from support.database_factories import (
    NOW,
    World,
    bring_to,
    make_patch,
    make_world,
)

SAID = {"message": "it is time", "operator": "ada"}


@pytest.fixture
def world(database: Database) -> World:
    """Give one of every entity; the workstream is executing."""
    with database.write() as conn:
        made = make_world(conn)
        bring_to(conn, made.workstream.head, "executing")
        return made


def test_who_approves_twice_counts_once(database: Database, world: World) -> None:
    """Approvals are counted by person; of a patch that is decided none is taken."""
    with database.write() as conn:
        row = patches.get(conn, world.patch.id)
        given = [
            approve_patch(conn, row, message="good", operator=name, at=NOW)
            for name in ("ada", "grace", "ada")
        ]
        assert given == [True, True, False]
        assert approvals.count(conn, row.id) == 2
        assert [each.operator for each in approvals.of_patch(conn, row.id)] == ["ada", "grace"]
        gone = make_patch(world.task)
        patches.insert_many(conn, [gone], at=NOW)
        bring_to(conn, gone.head, "dropped")
    with pytest.raises(UsageError, match="nothing any more"), database.write() as conn:
        approve_patch(conn, patches.get(conn, gone.id), message="", operator="a", at=NOW)


def test_only_what_is_quarantined_can_be_dropped(database: Database, world: World) -> None:
    """What landed is for `maingate rollback`, and the refusal says so."""
    with database.write() as conn:
        bring_to(conn, world.patch.head, "committed")
    with pytest.raises(UsageError, match="rollback"), database.write() as conn:
        drop_patch(conn, patches.get(conn, world.patch.id), **SAID, at=NOW)
