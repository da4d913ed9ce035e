"""The result of an operator's decision about a task or a workstream."""

from typing import Any

from maingate.db.dao import runs, tasks, workstreams
from maingate.db.dao.names.lookup import Found
from maingate.errors import ChangedMeanwhileError
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


def require_version(context: RepositoryContext, entity_id: str, version: int | None) -> None:
    """Check that a run, a workstream or a task is in the version that a decision was made about.

    Args:
        context: The repository and its record.
        entity_id: The entity.
        version: The version; None for any.

    Raises:
        ChangedMeanwhileError: It has another one.
    """
    if version is not None and (present := version_of(context, entity_id)) != version:
        raise ChangedMeanwhileError(
            f"{entity_id} is in version {present}, and this decision is about version {version}; "
            "read it again and decide anew"
        )


def version_of(context: RepositoryContext, entity_id: str) -> int:
    """Return the version of a run, a workstream or a task."""
    with context.database.read() as conn:
        if entity_id.startswith("run_"):
            version: int = runs.get(conn, entity_id).version
        else:
            version = (tasks if entity_id.startswith("task_") else workstreams).get(conn, entity_id).version
        return version


def is_interrupted(context: RepositoryContext, run_id: str) -> bool:
    """Return whether a run of this repository has not ended and no living process is at work on it."""
    with context.database.read() as conn:
        run = runs.get(conn, run_id)
        is_open = context.is_own(run) and not RUN.is_terminal(run.state)
        return is_open and not context.is_at_work(conn, run)
