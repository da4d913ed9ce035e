"""Changes by run and machine, on both databases."""

from maingate.db.dao import runs
from maingate.db.dao.history import changes
from maingate.db.dao.history.changes import ChangedPart
from maingate.db.engine import Database
from maingate.db.ledger import running_head
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
