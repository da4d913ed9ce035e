"""The standing of a run by its workstreams, and the tasks of one workstream, for pages.

The report of a run (`maingate.queries.runs.report`) has every task. Here the database counts the tasks that
are not shown, and of those that have ended no row is read.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from maingate.db.dao import patches, runs, tasks, tool_runs, workstreams
from maingate.db.dao.entity import EntityRow
from maingate.db.dao.history import stops
from maingate.db.dao.overviews import run_counts
from maingate.db.dao.overviews.taken_back import taken_back
from maingate.db.dao.runs import RunRow
from maingate.db.dao.tasks import TaskRow
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.db.sql.connection import Connection
from maingate.ids import RunId
from maingate.queries.runs import report_parts
from maingate.queries.waits.explain import why_waiting
from maingate.queries.waits.run_rows import has_ended, read_unfinished
from maingate.queries.waits.server_line import server_line
from maingate.repository_context import RepositoryContext
from maingate.state.operator_rules import TaskFacts, WorkstreamFacts, suitable
from maingate.state.patch_ledger import PatchState
from maingate.state.task import TaskState
from maingate.state.tool_run import MICROS

Json = dict[str, Any]

MOST_CAUSES: Final = 8
"""Causes of waiting that are listed."""


@dataclass(frozen=True, kw_only=True)
class _Wait:
    """An entity that has not ended, and why it is where it is, in the public JSON form."""

    row: EntityRow
    why: Json


def run_standing(context: RepositoryContext, run_id: RunId, opened: str = "") -> Json:
    """Return a run with its workstreams, the numbers of their tasks by state, and what is waited for.

    Args:
        context: The repository and its record.
        run_id: The run.
        opened: The workstream whose tasks are returned too; of a run of one workstream, that one's are.

    Raises:
        UnknownEntityError: There is no such run.
    """
    with context.database.read() as conn:
        run = runs.get(conn, run_id)
        streams, needs = workstreams.of_run(conn, run_id), workstreams.needs(conn, run_id)
        counts, gates = run_counts.tasks_by_state(conn, run_id), run_counts.ended_gates(conn, run_id)
        is_alive = not has_ended(run) and context.is_at_work(conn, run)
        waits = _waits(context, conn, run)
        stopped = None if is_alive or has_ended(run) else stops.last(conn, run.id)
        spent, paused = tool_runs.spent_by_run(conn, run.id), stops.paused_seconds(conn, run.id)
        wanted = [each for each in streams if each.id == opened] or (streams if len(streams) == 1 else [])
        gone = taken_back(conn, run.id)
        passed_over = patches.get_many(conn, gone).values()
        shown = [_with_tasks(conn, run, each, waits) for each in wanted]
        landed = sum(stream.landed_commit is not None for stream in streams)
        left, back = (
            patches.count(conn, run_id=run_id, state=state) if landed else 0
            for state in (PatchState.COMMITTED, PatchState.ROLLED_BACK)
        )
    of_run: Counter[str] = Counter()
    for counted in counts.values():
        of_run.update(counted)
    moving = [each for each in streams if not report_parts.is_held_by_order(_json_of(waits, each))]
    stuck = _stuck(context, moving) if is_alive else {}
    names = {stream.id: stream.name for stream in streams}
    return {
        "run_id": run.id,
        "name": run.name,
        "version": run.version,
        "state": str(run.state),
        "reason": report_parts.reason_json(run.reason),
        "alive": is_alive,
        "waiting": _json_of(waits, run),
        "stopped": None if stopped is None else dict(stopped),
        "target": report_parts.target_json(run, None),
        "gates": report_parts.gate_counts_json(gates),
        "cost": None if spent is None else _cost(run, spent),
        "seconds": report_parts.seconds_json(run, context.clock.now(), paused),
        "created_at": report_parts.moment_json(run.created_at),
        "started_at": report_parts.moment_json(run.started_at),
        "completed_at": report_parts.moment_json(run.completed_at),
        "open": shown[0] if shown else None,
        "task_counts": dict(of_run.most_common()),
        "tasks_total": of_run.total(),
        "landed": landed,
        "patches_landed": left,
        "patches_rolled_back": back,
        "waits": _causes(waits, names),
        "workstreams": [
            {
                **report_parts.workstream_json(stream),
                "version": stream.version,
                "needs": list(needs.get(stream.id, ())),
                "tasks": dict(counts.get(stream.id, {})),
                "waiting": _json_of(waits, stream),
                "stuck": stuck.get(stream.id),
                "taken_back": report_parts.taken_back_of_stream(stream, passed_over, gone),
            }
            for stream in streams
        ],
    }


def workstream_standing(context: RepositoryContext, workstream_id: str) -> Json:
    """Return the tasks of a workstream with their needs, their present patches and what each waits for.

    Args:
        context: The repository and its record.
        workstream_id: The workstream.

    Raises:
        UnknownEntityError: There is no such workstream.
    """
    with context.database.read() as conn:
        stream = workstreams.get(conn, workstream_id)
        run = runs.get(conn, RunId(stream.run_id))
        return _with_tasks(conn, run, stream, _waits(context, conn, run, {workstream_id}))


def _with_tasks(conn: Connection, run: RunRow, stream: WorkstreamRow, waits: Mapping[str, _Wait]) -> Json:
    """Return a workstream with its tasks."""
    of_stream, needs = tasks.of_workstream(conn, stream.id), tasks.needs(conn, run.id)
    newest = patches.present(patches.of_tasks(conn, [task.id for task in of_stream]))
    gone = taken_back(conn, run.id)
    return {
        "id": stream.id,
        "run_id": run.id,
        "is_over": has_ended(run),
        "name": stream.name,
        "state": str(stream.state),
        "version": stream.version,
        "landed": stream.landed_commit,
        "has_ended": has_ended(stream),
        "decisions": _decisions_about_stream(stream, of_stream),
        "tasks": [
            {
                **report_parts.task_json(task, stream.name, newest.get(task.id)),
                "short": task.name,
                "needs": list(needs.get(task.id, ())),
                "version": task.version,
                "started_at": task.started_at,
                "completed_at": task.completed_at,
                "waiting": _json_of(waits, task),
                "taken_back": report_parts.taken_back_of_task(task, newest.get(task.id), gone),
                "kind": task.kind,
                "decisions": _decisions_about(task, stream, of_stream, needs.get(task.id, ())),
            }
            for task in of_stream
        ],
    }


def _decisions_about(
    task: TaskRow, stream: WorkstreamRow, of_stream: Sequence[TaskRow], needs: Sequence[str]
) -> Sequence[str]:
    """Return the overrides that suit a task as it is now."""
    unmet = [each.name for each in of_stream if each.id in needs and each.state is not TaskState.COMPLETED]
    facts = TaskFacts(name=task.name, kind=task.kind, state=task.state, workstream=stream.state, unmet=unmet)
    return suitable(facts)


def _decisions_about_stream(stream: WorkstreamRow, of_stream: Sequence[TaskRow]) -> Sequence[str]:
    """Return the overrides that suit a workstream as it is now."""
    under_way = (each for each in of_stream if not has_ended(each) and each.state is not TaskState.VALIDATING)
    left = [each.name for each in under_way if each.is_critical]
    return suitable(WorkstreamFacts(name=stream.name, state=stream.state, indispensable=left))


def _waits(
    context: RepositoryContext, conn: Connection, run: RunRow, workstream_ids: Collection[str] | None = None
) -> dict[str, _Wait]:
    """Return why each workstream and task of a run waits that has not ended, and the run itself.

    Args:
        context: The repository and its record.
        conn: A reading connection; one consistent moment.
        run: The run.
        workstream_ids: Only the tasks of these workstreams; None for all.
    """
    if has_ended(run):
        return {}
    rows = read_unfinished(conn, run, workstream_ids, now=context.clock.now())
    rows = replace(rows, line=server_line(context, conn, run))
    waiting = [run, *(stream for stream in rows.workstreams if not has_ended(stream)), *rows.tasks]
    explained = why_waiting(rows, is_alive=context.is_at_work(conn, run), among=waiting)
    return {row.id: _Wait(row=row, why=explained[row.id].as_json()) for row in waiting}


def _cost(run: RunRow, spent: int) -> Json:
    return {"spent_usd": spent / MICROS, "budget_usd": run.plan.get("budget_usd")}


def _json_of(waits: Mapping[str, _Wait], row: EntityRow) -> Json | None:
    return waits[row.id].why if row.id in waits else None


def _causes(waits: Mapping[str, _Wait], names: Mapping[str, str]) -> list[Json]:
    """Return the causes that tasks wait for, each once, with the number of tasks and one of them."""
    counted: Counter[str] = Counter()
    first: dict[str, Json] = {}
    for wait in waits.values():
        if isinstance(wait.row, TaskRow) and not wait.why["moving"]:
            cause = wait.why["kind"]
            counted[cause] += 1
            name = f"{names[wait.row.workstream_id]}/{wait.row.name}"
            first.setdefault(cause, {"task": name, "until": wait.why["until"]})
    return [
        {"kind": cause, "count": count, **first[cause]} for cause, count in counted.most_common(MOST_CAUSES)
    ]


def _stuck(context: RepositoryContext, streams: Iterable[WorkstreamRow]) -> Mapping[str, Json]:
    """Return the workstreams that have not moved for too long."""
    from maingate.monitoring.stuck_watch import StuckLimits, overdue  # noqa: PLC0415 - as in the report

    now = context.clock.now()
    found = overdue(streams, StuckLimits.of(context.settings), now=now)
    return {id_: stuck.as_json(now) for id_, stuck in found.items()}
