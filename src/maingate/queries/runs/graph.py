"""The graph of a run: its workstreams with the numbers of their tasks, and the tasks of one workstream."""

from collections import Counter, defaultdict
from typing import Any

from maingate.db.dao import patches, runs, tasks, workstreams
from maingate.ids import RunId
from maingate.queries.runs import parts
from maingate.repository_context import RepositoryContext

Json = dict[str, Any]


def run_graph(context: RepositoryContext, run_id: RunId) -> Json:
    """Return the workstreams of a run with their needs and the numbers of their tasks, by state.

    Args:
        context: The repository and its record.
        run_id: The run.

    Raises:
        UnknownEntityError: There is no such run.
    """
    with context.database.read() as conn:
        run = runs.get(conn, run_id)
        streams, needs = workstreams.of_run(conn, run_id), workstreams.needs(conn, run_id)
        counted: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for task in tasks.of_run(conn, run_id):
            counted[task.workstream_id][str(task.state)] += 1
    return {
        "run_id": run.id,
        "workstreams": [
            {
                **parts.workstream_json(stream),
                "version": stream.version,
                "needs": list(needs.get(stream.id, ())),
                "tasks": dict(counted[stream.id]),
            }
            for stream in streams
        ],
    }


def workstream_graph(context: RepositoryContext, workstream_id: str) -> Json:
    """Return the tasks of a workstream with their needs and present patches.

    Args:
        context: The repository and its record.
        workstream_id: The workstream.

    Raises:
        UnknownEntityError: There is no such workstream.
    """
    with context.database.read() as conn:
        stream = workstreams.get(conn, workstream_id)
        of_stream = tasks.of_workstream(conn, workstream_id)
        needs = tasks.needs(conn, stream.run_id)
        newest = patches.present(patches.ROWS.select_in(conn, "task_id", [task.id for task in of_stream]))
    return {
        "id": stream.id,
        "name": stream.name,
        "tasks": [
            {
                **parts.task_json(task, stream.name, newest.get(task.id)),
                "short": task.name,
                "needs": list(needs.get(task.id, ())),
                "version": task.version,
                "started_at": task.started_at,
                "completed_at": task.completed_at,
            }
            for task in of_stream
        ],
    }
