"""The result of an operator's decision about a task or a workstream."""

from typing import Any

from maingate.db.dao import runs, tasks, workstreams
from maingate.db.dao.lookup import Found
from maingate.repository_context import RepositoryContext
from maingate.state.run import RUN


def decided(context: RepositoryContext, found: Found, *, action: str, operator: str) -> dict[str, Any]:
    """Return a decision and the state of its entity after it, in the public JSON form."""
    with context.database.read() as conn:
        row = (tasks if found.machine == "task" else workstreams).get(conn, found.id)
    return {
        "id": row.id,
        "name": found.name,
        "action": action,
        "state": str(row.state),
        "reason": None if row.reason is None else row.reason.as_json(),
        "operator": operator,
        "run_id": row.run_id,
    }


def is_interrupted(context: RepositoryContext, run_id: str) -> bool:
    """Return whether a run of this repository has not ended and no living process is at work on it."""
    with context.database.read() as conn:
        run = runs.get(conn, run_id)
        is_open = context.is_own(run) and not RUN.is_terminal(run.state)
        return is_open and not context.is_at_work(conn, run)
