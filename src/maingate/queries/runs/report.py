"""The report of a run: the public JSON object of ``run --json``, ``status --json`` and the HTTP interface.

Read from the database alone; the standing of a run is derived here each time and stored nowhere.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from maingate.db.dao import patches, runs, verdicts
from maingate.db.dao.entity import EntityRow
from maingate.db.dao.history import stops
from maingate.db.dao.runs import RunRow
from maingate.db.sql.connection import Connection
from maingate.errors import UsageError
from maingate.ids import RunId
from maingate.landing.late_checkouts import behind
from maingate.queries.runs import parts
from maingate.queries.waits import run_rows
from maingate.queries.waits.run_rows import RunRows, has_ended, read_rows
from maingate.repository_context import RepositoryContext
from maingate.state.tool_run import MICROS

if TYPE_CHECKING:
    from maingate.monitoring.stuck_watch import StuckLimits

Json = dict[str, Any]


def report(context: RepositoryContext, run_id: RunId | None = None) -> Json:
    """Report a run (default: the newest) in the public JSON form, and whether its process is alive.

    Args:
        context: The repository and its record.
        run_id: The run.

    Raises:
        UsageError: There is no run yet.
        UnknownEntityError: There is no such run.
    """
    with context.database.read() as conn:
        run = runs.newest(conn) if run_id is None else runs.get(conn, run_id)
        if run is None:
            raise UsageError("no runs yet; `maingate run PLAN` starts one")
        patience = None if has_ended(run) else _patience(context)
        told = run_report(
            conn,
            run.id,
            repository=str(context.repository.git_dir) if context.is_own(run) else run.repository,
            tree_of=context.repository.tree_of,
            now=context.clock.now(),
            is_alive=context.is_at_work(conn, run),
            patience=patience,
            is_served=run_rows.is_served(context, conn, run),
        )
    told["target"]["behind"] = [each.as_json() for each in behind(context.repository, run.target_ref)]
    return told


def _patience(context: RepositoryContext) -> "StuckLimits":
    """Return how long work may stay as it is."""
    from maingate.monitoring.stuck_watch import StuckLimits  # noqa: PLC0415 - a run that has ended needs no settings

    return StuckLimits.of(context.settings)


def run_report(
    conn: Connection,
    run_id: RunId | str,
    *,
    repository: str | None = None,
    tree_of: Callable[[str], str] | None = None,
    now: datetime | None = None,
    is_alive: bool = True,
    patience: "StuckLimits | None" = None,
    is_served: bool = False,
) -> Json:
    """Describe a run: its target, each workstream and task with its reason, and what the gates did.

    Args:
        conn: A reading connection; one consistent moment.
        run_id: The run.
        repository: The present place of its repository; by default its place when the run was admitted.
        tree_of: Gives the tree id of a commit; without it ``target.tree`` is null.
        now: The time, for the seconds of a run that has not ended; without it they are null.
        is_alive: Whether a living process is at work on it.
        patience: How long what is under way may stay as it is; without it, or without ``now``, nothing
            is called stuck.
        is_served: Whether a living server is to give the run a process.

    Returns:
        The object of the public face, ready for ``json.dumps``.

    Raises:
        UnknownEntityError: There is no such run.
    """
    rows = replace(read_rows(conn, runs.get(conn, RunId(run_id))), is_served=is_served)
    run, streams, ledger = rows.run, rows.workstreams, rows.patches
    is_over = has_ended(run)
    is_at_work = is_alive and not is_over
    waits = {} if is_over else _waits(rows, is_alive=is_alive)
    stuck = (
        _stuck([*streams, *rows.tasks, *ledger], patience, now)
        if is_at_work and patience is not None and now is not None
        else {}
    )
    subjects = [*(patch.id for patch in ledger), *(stream.id for stream in streams)]
    names = {stream.id: stream.name for stream in streams}
    newest = patches.present(ledger)
    return {
        "run_id": run.id,
        "name": run.name,
        "state": str(run.state),
        "reason": parts.reason_json(run.reason),
        "alive": is_at_work,
        "waiting": waits.get(run.id),
        "stopped": None if is_alive or is_over else _stopped(conn, run),
        "repository": repository or run.repository,
        "target": parts.target_json(run, tree_of),
        "workstreams": [
            {
                **parts.workstream_json(stream),
                "waiting": waits.get(stream.id),
                "stuck": stuck.get(stream.id),
            }
            for stream in streams
        ],
        "tasks": [
            {
                **parts.task_json(task, names[task.workstream_id], newest.get(task.id)),
                "waiting": waits.get(task.id),
                "stuck": stuck.get(task.id),
            }
            for task in rows.tasks
        ],
        "gates": parts.gates_json(rows.gates, verdicts.evidence(conn, subjects)),
        "cost": _cost(rows),
        "seconds": parts.seconds_json(run, now),
        "created_at": parts.moment_json(run.created_at),
        "started_at": parts.moment_json(run.started_at),
        "completed_at": parts.moment_json(run.completed_at),
    }


def _stopped(conn: Connection, run: RunRow) -> Json | None:
    """Return why the last process that worked on a run stopped, where that could be recorded."""
    stopped = stops.last(conn, run.id)
    return None if stopped is None else dict(stopped)


def _stuck(rows: Iterable[EntityRow], patience: "StuckLimits", now: datetime) -> dict[str, Json]:
    """Return the entities that have not moved for too long, with the time of their last move."""
    from maingate.monitoring.stuck_watch import overdue  # noqa: PLC0415 - only for a run that has not ended

    return {key: one.as_json(now) for key, one in overdue(rows, patience, now=now).items()}


def _waits(rows: RunRows, *, is_alive: bool) -> dict[str, Json]:
    """Return the reason why each entity waits that has not ended."""
    from maingate.queries.waits.explain import why_waiting  # noqa: PLC0415 - only for a run that has not ended

    return {key: why.as_json() for key, why in why_waiting(rows, is_alive=is_alive).items()}


def _cost(rows: RunRows) -> Json | None:
    """Return the cost of the tools and their budget; None when no tool reported a cost."""
    if rows.spent is None:
        return None
    budget = rows.run.plan.get("budget_usd")
    return {"spent_usd": rows.spent / MICROS, "budget_usd": budget, "used_up": rows.is_overspent}
