"""Changes by run and machine, on both databases."""

from maingate.db.dao import runs
from maingate.db.dao.history import changes
from maingate.db.dao.history.changes import ChangedPart
from maingate.db.engine import Database
from maingate.db.ledger import running_head
from maingate.db.sql.statements import rows_of
from maingate.db.transitions import write
from maingate.state.steps import tasks as task_steps
from support.database_factories import NOW, World


def test_rows_of_all_kinds_are_about_their_entities(database: Database, world: World) -> None:
    """A transition is about its own; a fact about the one that its evidence is of; old rows are not read."""
    with database.write() as connection:
        before = running_head.position(connection).seq
        write(connection, {world.task.id: world.task.head}, [task_steps.queue(world.task)], at=NOW)
        runs.ROWS.set_column(connection, world.run.id, "new_head", "c" * 40)
    with database.read() as connection:
        found = changes.since(connection, before)
        end = running_head.position(connection).seq
        assert changes.since(connection, end) == []
    assert sorted(found, key=lambda each: each.seq) == [
        ChangedPart(run_id=world.run.id, machine="task", seq=before + 1),
        ChangedPart(run_id=world.run.id, machine="run", seq=before + 2),
    ]


def test_rows_before_the_place_are_not_read(database: Database, dialect: str) -> None:
    """However long the ledger is: each table is entered at the place, and by no other index."""
    if dialect != "sqlite":
        return  # its plan depends on statistics
    with database.read() as connection:
        plan = [row[3] for row in rows_of(connection, f"EXPLAIN QUERY PLAN {changes.SINCE}", (1, 1, 1))]
    entered = [line for line in plan if line.startswith(("SCAN", "SEARCH")) and "first_row" not in line]
    assert [line.split()[:2] for line in entered] == [
        ["SEARCH", table] for table in ("state_transitions", "events", "facts")
    ]
    assert all("(rowid>?)" in line for line in entered)
