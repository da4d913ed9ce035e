"""One racing writer as a process of its own: `racer.py URL TASK…`.

It reads every task, says that it is ready, waits for a line, tries to queue each, and tells which it won.
"""

import json
import sys
from datetime import UTC, datetime

from maingate.db.dao import tasks
from maingate.db.engine import open_database
from maingate.db.transitions import write
from maingate.errors import StaleTransitionError
from maingate.state.steps import tasks as task_steps


def main(url: str, task_ids: list[str]) -> None:
    """Race for the tasks."""
    database = open_database(url)
    with database.read() as connection:
        rows = tasks.get_many(connection, task_ids)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    won = []
    for task_id in task_ids:
        row = rows[task_id]
        try:
            with database.write() as connection:
                write(connection, {task_id: row.head}, [task_steps.queue(row)], at=datetime.now(UTC))
            won.append(task_id)
        except StaleTransitionError:
            continue
    sys.stdout.write(json.dumps(won) + "\n")
    database.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
