"""The report of a run: the public JSON object of ``run --json``, ``status --json`` and the HTTP interface.

Read from the database alone; the standing of a run is derived here each time and stored nowhere.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from maingate.db.dao import patches, runs, verdicts
from maingate.db.dao.entity import EntityRow
from maingate.db.dao.history import stops
from maingate.db.dao.overviews.taken_back import TakenBack, taken_back
from maingate.db.dao.runs import RunRow
from maingate.db.sql.connection import Connection
from maingate.errors import UsageError
from maingate.ids import RunId
from maingate.landing.checkouts.behind import behind
from maingate.queries.runs import report_parts
from maingate.queries.runs.next_action import LEADING, next_action
from maingate.queries.waits.run_rows import RunRows, has_ended, read_rows
from maingate.queries.waits.server_line import ServerLine, server_line
from maingate.repository_context import RepositoryContext
from maingate.state.tool_run import MICROS

if TYPE_CHECKING:
    from maingate.monitoring.stuck_watch import StuckLimits

Json = dict[str, Any]

NEXT_ACTION: Final = "next_action"
"""The field that other fields lead to."""


def report(context: RepositoryContext, run_id: RunId | None = None, fields: Collection[str] = ()) -> Json:
    """Report a run (default: the newest) in the public JSON form, and whether its process is alive.

    Args:
        context: The repository and its record.
        run_id: The run.
        fields: The fields that are wanted, so that nothing else is read; all if there are none, or if one is
            unknown.

    Raises:
        UsageError: There is no run yet.
        UnknownEntityError: There is no such run.
    """
    others = [field for field in fields if field != NEXT_ACTION]
    wanted = {*others, *LEADING} if NEXT_ACTION in fields else set(others)
    with context.database.read() as conn:
        run = runs.newest(conn) if run_id is None else runs.get(conn, run_id)
        if run is None:
            raise UsageError("no runs yet; `maingate land BRANCH` or `maingate run PLAN` starts one")
        told = RunReporter(
            conn,
            run,
            repository=str(context.repository.git_dir) if context.is_own(run) else run.repository,
            tree_of=context.repository.tree_of,
            now=context.clock.now(),
            is_alive=context.is_at_work(conn, run),
            patience=None if has_ended(run) else _patience(context),
            line=server_line(context, conn, run),
        ).fields(wanted)
    if "target" in told:
        told["target"]["behind"] = behind_json(context, run.target_ref)
    if NEXT_ACTION in fields or told.keys() != set(others):  # asked for, or all fields
        told[NEXT_ACTION] = next_action(told)
    is_part = bool(fields) and told.keys() <= {*wanted, NEXT_ACTION}
    return {field: told[field] for field in told if field in fields} if is_part else told


def behind_json(context: RepositoryContext, ref: str) -> list[Json]:
    """Return the checkouts that have not followed a branch, in the public JSON form."""
    return [each.as_json() for each in behind(context.repository, ref)]


def _patience(context: RepositoryContext) -> "StuckLimits":
    """Return how long work may stay as it is."""
    from maingate.monitoring.stuck_watch import StuckLimits  # noqa: PLC0415 - a run that has ended needs no settings

    return StuckLimits.of(context.settings)


def run_report(conn: Connection, run_id: RunId | str, **how: Any) -> Json:
    """Describe a run: its target, each workstream and task with its reason, and what the gates did.

    Args:
        conn: A reading connection; one consistent moment.
        run_id: The run.
        **how: As for `RunReporter`.

    Returns:
        The object of the public face, ready for ``json.dumps``.

    Raises:
        UnknownEntityError: There is no such run.
    """
    return RunReporter(conn, runs.get(conn, RunId(run_id)), **how).fields()


class RunReporter:
    """The report of a run. Its rows are read when a field needs them.

    Args:
        conn: A reading connection; one consistent moment.
        run: The run.
        repository: The present place of its repository; by default its place when the run was admitted.
        tree_of: Gives the tree id of a commit; without it ``target.tree`` is null.
        now: The time, for the seconds of a run that has not ended; without it they are null.
        is_alive: Whether a living process is at work on it.
        patience: How long what is under way may stay as it is; without it, or without ``now``, nothing
            is called stuck.
        line: Its place in the line of the living server that is to give it a process; None without one.
    """

    def __init__(
        self,
        conn: Connection,
        run: RunRow,
        *,
        repository: str | None = None,
        tree_of: Callable[[str], str] | None = None,
        now: datetime | None = None,
        is_alive: bool = True,
        patience: "StuckLimits | None" = None,
        line: ServerLine | None = None,
    ) -> None:
        self._conn, self._run = conn, run
        self._repository, self._tree_of, self._now = repository or run.repository, tree_of, now
        self._is_alive, self._is_over = is_alive, has_ended(run)
        self._patience, self._line = patience, line

    def fields(self, wanted: Collection[str] = ()) -> Json:
        """Return the wanted fields; all if there are none, or if one is unknown."""
        makers = self._makers()
        chosen = wanted if wanted and all(field in makers for field in wanted) else makers
        return {field: make() for field, make in makers.items() if field in chosen}

    def _makers(self) -> dict[str, Callable[[], Any]]:
        """Return the function that makes each field."""
        run, is_at_work = self._run, self._is_alive and not self._is_over
        return {
            "run_id": lambda: run.id,
            "name": lambda: run.name,
            "state": lambda: str(run.state),
            "reason": lambda: report_parts.reason_json(run.reason),
            "alive": lambda: is_at_work,
            "waiting": lambda: self._waits.get(run.id),
            "stopped": lambda: None if self._is_alive or self._is_over else _stopped(self._conn, run),
            "repository": lambda: self._repository,
            "target": lambda: report_parts.target_json(run, self._tree_of),
            "workstreams": self._workstreams,
            "tasks": self._tasks,
            "gates": self._gates,
            "cost": lambda: _cost(self._rows),
            "seconds": self._seconds,
            "created_at": lambda: report_parts.moment_json(run.created_at),
            "started_at": lambda: report_parts.moment_json(run.started_at),
            "completed_at": lambda: report_parts.moment_json(run.completed_at),
        }

    def _seconds(self) -> float | None:
        """Return the time so far; no rows are read for it, since clients that wait ask again and again."""
        return report_parts.seconds_json(self._run, self._now, stops.paused_seconds(self._conn, self._run.id))

    def _workstreams(self) -> list[Json]:
        return [
            {
                **report_parts.workstream_json(stream),
                **self._standing(stream),
                "taken_back": report_parts.taken_back_of_stream(stream, self._rows.patches, self._taken_back),
            }
            for stream in self._rows.workstreams
        ]

    def _tasks(self) -> list[Json]:
        names = {stream.id: stream.name for stream in self._rows.workstreams}
        newest = patches.present(self._rows.patches)
        return [
            {
                **report_parts.task_json(task, names[task.workstream_id], newest.get(task.id)),
                **self._standing(task),
                "taken_back": report_parts.taken_back_of_task(task, newest.get(task.id), self._taken_back),
            }
            for task in self._rows.tasks
        ]

    def _gates(self) -> Json:
        judged = [*(patch.id for patch in self._rows.patches), *(each.id for each in self._rows.workstreams)]
        return report_parts.gates_json(self._rows.gates, verdicts.evidence(self._conn, judged))

    @cached_property
    def _taken_back(self) -> Mapping[str, TakenBack]:
        """The changes that were on the target already, and were rolled back since, by the patches."""
        return taken_back(self._conn, self._run.id)

    def _standing(self, row: EntityRow) -> Json:
        """Return why an entity waits, and since when it has not moved for too long."""
        return {"waiting": self._waits.get(row.id), "stuck": self._stuck.get(row.id)}

    @cached_property
    def _rows(self) -> RunRows:
        return replace(read_rows(self._conn, self._run, now=self._now), line=self._line)

    @cached_property
    def _waits(self) -> dict[str, Json]:
        return {} if self._is_over else _waits(self._rows, is_alive=self._is_alive)

    @cached_property
    def _stuck(self) -> dict[str, Json]:
        if self._is_over or not self._is_alive or self._patience is None or self._now is None:
            return {}
        rows = [*self._rows.workstreams, *self._rows.tasks, *self._rows.patches]
        held = {
            row.id for row in self._rows.workstreams if report_parts.is_held_by_order(self._waits.get(row.id))
        }
        return _stuck((row for row in rows if row.id not in held), self._patience, self._now)


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
