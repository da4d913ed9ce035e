"""The list of runs."""

from typing import Any

from maingate.db.dao import runs
from maingate.db.dao.history import stops
from maingate.db.dao.runs import RunRow
from maingate.db.sql.connection import Connection
from maingate.queries.limited_list import Page
from maingate.queries.runs.report_parts import seconds_json
from maingate.repository_context import RepositoryContext
from maingate.state.run import RUN


def list_runs(context: RepositoryContext, *, limit: int) -> Page:
    """Return the newest runs in the public JSON form, newest first."""
    with context.database.read() as conn:
        rows = runs.recent(conn, limit=limit)
        alive = {row.id for row in rows if not RUN.is_terminal(row.state) and context.is_at_work(conn, row)}
        shown = [{**run_json(row, is_alive=row.id in alive), "seconds": _seconds(conn, row)} for row in rows]
        return Page(rows=shown, more=runs.count(conn) - limit if len(rows) == limit else 0)


def _seconds(conn: Connection, row: RunRow) -> float | None:
    """Return the time that a run took, without pauses; None for one that has not ended."""
    if row.completed_at is None:
        return None
    return seconds_json(row, None, stops.paused_seconds(conn, row.id))


def run_json(row: RunRow, *, is_alive: bool) -> dict[str, Any]:
    """Return the public JSON form of a run, without its parts."""
    return {
        "run_id": row.id,
        "name": row.name,
        "state": str(row.state),
        "alive": is_alive,
        "reason": None if row.reason is None else row.reason.as_json(),
        "target": {"ref": row.target_ref, "old": row.old_head, "new": row.new_head or row.old_head},
        "plan_file": row.plan_file,
        "retry_of": row.retry_of,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "completed_at": row.completed_at,
    }
