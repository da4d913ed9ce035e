"""The check for entities without progress."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from maingate.db.dao import patches, runs, tasks, workstreams
from maingate.db.dao.overviews import open_work
from maingate.db.sql.connection import Connection
from maingate.monitoring.finding import SHOWN, CheckFinding, Trouble, command_in
from maingate.monitoring.stuck_watch import Stuck, StuckLimits, held, overdue
from maingate.repository_context import RepositoryContext
from maingate.wording import short

if TYPE_CHECKING:
    from maingate.db.dao.entity import EntityRow
    from maingate.db.dao.runs import RunRow


def check_stuck(context: RepositoryContext) -> CheckFinding:
    """Check that no entity of a run at work has made no progress for longer than its limit."""
    now = context.clock.now()
    with context.database.read() as conn:
        found = stuck_in(context, conn)
        named = {one.entity_id: _name(conn, one) for one in found}
    return CheckFinding(
        summary="everything under way makes progress",
        troubles=[_without_progress(context, one, named[one.entity_id], now) for one in found[:SHOWN]],
        detail={"stuck": [{"id": one.entity_id, **one.as_json(now)} for one in found]},
    )


def stuck_in(context: RepositoryContext, conn: Connection) -> Sequence[Stuck]:
    """Return the tasks and workstreams of runs at work that are stuck, the longest first.

    A workstream that an order about the queue holds is not.
    """
    now, patience = context.clock.now(), StuckLimits.of(context.settings)
    late_tasks = open_work.running_tasks(conn, since_before=now - patience.task)
    late = open_work.executing_workstreams(conn, since_before=now - patience.workstream)
    at_work = _at_work(
        context, conn, {*(task.run_id for task in late_tasks), *(each.run_id for each in late)}
    )
    rows: list[EntityRow] = [task for task in late_tasks if task.run_id in at_work]
    for stream in (each for each in late if each.run_id in at_work):
        ledger = [each for each in patches.of_run(conn, stream.run_id) if each.workstream_id == stream.id]
        rows += [stream, *tasks.of_workstream(conn, stream.id), *ledger]
    found = overdue({row.id: row for row in rows}.values(), patience, now=now)
    run_of = {stream.id: stream.run_id for stream in late}
    excused: set[str] = set()
    for run_id in {run_of[entity_id] for entity_id in found.keys() & run_of.keys()}:
        mine = [one for one in found.values() if run_of.get(one.entity_id) == run_id]
        excused |= held(conn, at_work[run_id], mine, now).keys()
    return sorted((one for key, one in found.items() if key not in excused), key=lambda one: one.since)


def _at_work(
    context: RepositoryContext, conn: Connection, run_ids: Collection[str]
) -> "Mapping[str, RunRow]":
    found = runs.get_many(conn, run_ids).items()
    return {key: run for key, run in found if context.is_own(run) and context.is_at_work(conn, run)}


def _name(conn: Connection, one: Stuck) -> str:
    if one.machine == "workstream":
        return workstreams.get(conn, one.entity_id).name
    task = tasks.get(conn, one.entity_id)
    return f"{workstreams.get(conn, task.workstream_id).name}/{task.name}"


def _without_progress(context: RepositoryContext, one: Stuck, name: str, now: datetime) -> Trouble:
    minutes = (now - one.since).total_seconds() / 60
    limit = one.threshold.total_seconds() / 60
    verb = "force-fail" if one.machine == "task" else "fail"
    words = ("override", verb, one.entity_id, "--reason", "it makes no progress")
    return Trouble(
        reason=f"{one.machine} {short(name)} has made no progress for {minutes:.0f} minutes; "
        f"its limit is {limit:g}",
        command=command_in(context.repository.root, *words),
    )
