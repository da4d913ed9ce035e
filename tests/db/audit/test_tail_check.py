"""The newest rows of the ledger are verified as they come, and a change of them is found."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection

from maingate.db.audit.tail_check import TailCheck, check_tail
from maingate.db.engine import Database
from maingate.db.ledger import running_head
from support.database_factories import World, bring_to, make_world
from support.tampering import drop_triggers


def checked(database: Database, after: TailCheck | None = None, *, most: int = 1000) -> TailCheck:
    """Check the tail, from where another check ended."""
    with database.read() as connection:
        return check_tail(connection, None if after is None else after.verified, most=most)


def test_the_first_check_verifies_the_last_rows(database: Database, world: World) -> None:
    """And trusts the head on record, from which the next one goes on."""
    assert world
    done = checked(database, most=3)
    assert (done.problem, done.first) == (None, done.end.seq - 2)
    assert done.verified == done.end


def test_the_next_check_reads_what_was_added(database: Database, world: World) -> None:
    """A part of it when there is much, and the rest the next time."""
    before = checked(database)
    with database.write() as connection:
        bring_to(connection, world.task.head, "completed")
    part = checked(database, before, most=2)
    assert part.problem is None
    assert part.verified is not None
    assert part.verified.seq == before.end.seq + 2 < part.end.seq
    whole = checked(database, part)
    assert (whole.problem, whole.verified) == (None, whole.end)


def changed(connection: Connection, seq: int) -> None:
    """Change a row."""
    connection.exec_driver_sql(f"UPDATE state_transitions SET trigger = 'x' WHERE seq = {seq}")


def removed(connection: Connection, seq: int) -> None:
    """Remove a row."""
    for table in ("state_transitions", "events", "facts"):
        connection.exec_driver_sql(f"DELETE FROM {table} WHERE seq = {seq}")


def cut_off(connection: Connection, seq: int) -> None:
    """Remove the end of the ledger."""
    for table in ("state_transitions", "events", "facts"):
        connection.exec_driver_sql(f"DELETE FROM {table} WHERE seq >= {seq}")
    connection.exec_driver_sql(f"UPDATE counters SET value = {seq - 1} WHERE name = 'event'")


def head_replaced(connection: Connection, seq: int) -> None:
    """Replace the head on record."""
    head = running_head.onward("x", [str(seq)])
    connection.exec_driver_sql(f"UPDATE counters SET head = '{head}' WHERE name = 'event'")


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (changed, "row {} was changed"),
        (removed, "row {} was removed"),
        (head_replaced, "does not lead to the head"),
    ],
)
def test_a_change_past_the_writer_is_found(
    database: Database, world: World, tamper: Callable[[Connection, int], None], said: str
) -> None:
    """In the rows that were added since the last check."""
    before = checked(database)
    with database.write() as connection:
        bring_to(connection, world.task.head, "completed")
        drop_triggers(connection)
        tamper(connection, before.end.seq + 2)
    found = checked(database, before)
    assert found.verified is None
    assert said.format(before.end.seq + 2) in str(found.problem)


def test_a_ledger_that_is_shorter_than_before_is_found(database: Database, world: World) -> None:
    """Its end was cut off, or an older copy was restored."""
    assert world
    before = checked(database)
    with database.write() as connection:
        drop_triggers(connection)
        cut_off(connection, before.end.seq)
    assert "its end was cut off" in str(checked(database, before).problem)


def test_the_cost_follows_what_was_added(database: Database, world: World) -> None:
    """However long the ledger is, no more rows are read than it may."""
    assert world
    with database.write() as connection:
        for number in range(20):
            make_world(connection, name=f"plan-{number}")
    assert checked(database, most=5).first == checked(database).end.seq - 4
