"""Racing writers: processes that are forked, and what they do."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from maingate.db.dao import tasks
from maingate.db.engine import open_database
from maingate.db.transitions import write
from maingate.errors import StaleTransitionError
from maingate.state.steps import tasks as task_steps

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


def race_for(line: "Connection[Any, Any]", url: str, task_ids: list[str]) -> None:
    """Read every task, send a greeting, wait for the answer, try to queue each, and send those won."""
    database = open_database(url)
    with database.read() as connection:
        rows = tasks.get_many(connection, task_ids)
    line.send("ready")
    line.recv()
    won = []
    for task_id in task_ids:
        row = rows[task_id]
        try:
            with database.write() as connection:
                write(connection, {task_id: row.head}, [task_steps.queue(row)], at=datetime.now(UTC))
            won.append(task_id)
        except StaleTransitionError:
            continue
    line.send(won)
    database.close()


def upgrade(line: "Connection[Any, Any]", url: str) -> None:
    """Send a greeting, wait for the answer, and open a database that may be empty."""
    line.send("ready")
    line.recv()
    open_database(url).upgrade()
    line.send("done")
