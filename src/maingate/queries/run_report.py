"""The report of a run: the public JSON object of ``run --json``, ``status --json`` and the HTTP interface.

Read from the database alone; the standing of a run is derived here each time and stored nowhere.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from maingate.db.connection import Connection
from maingate.db.dao import (
    approvals,
    breakers,
    gates,
    intents,
    patches,
    runs,
    stops,
    tasks,
    tool_runs,
    verdicts,
    workstreams,
)
from maingate.db.dao.entity import EntityRow
from maingate.db.dao.gates import GateRow
from maingate.db.dao.patches import PatchRow
from maingate.db.dao.runs import RunRow
from maingate.db.dao.tasks import TaskRow
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.errors import UsageError
from maingate.ids import RunId
from maingate.landing.late_checkouts import behind
from maingate.landing.lease import server_of
from maingate.queries import run_parts
from maingate.repository_context import RepositoryContext
from maingate.state.machines import MACHINES
from maingate.state.patch_ledger import PatchState
from maingate.state.tool_run import MICROS

if TYPE_CHECKING:
    from maingate.monitoring.stuck import Patience

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
        patience, reviewers = (None, 0) if has_ended(run) else _expectations(context, run)
        told = run_report(
            conn,
            run.id,
            repository=str(context.repository.git_dir) if context.is_own(run) else run.repository,
            tree_of=context.repository.tree_of,
            now=context.clock.now(),
            is_alive=context.is_at_work(conn, run),
            patience=patience,
            reviewers=reviewers,
            is_served=is_served(context, conn, run),
        )
    told["target"]["behind"] = [each.as_json() for each in behind(context.repository, run.target_ref)]
    return told


def is_served(context: RepositoryContext, conn: Connection, run: RunRow) -> bool:
    """Return whether a living server is to give a run a process: not one that stopped until it is resumed."""
    if has_ended(run) or not context.is_own(run):
        return False
    is_there = server_of(conn, context.identity.id, context.clock.now()) is not None
    return is_there and stops.newest(conn, run.id) is None


def _expectations(context: RepositoryContext, run: RunRow) -> "tuple[Patience, int]":
    """Return how long work may stay as it is, and how many people are to approve a patch."""
    from maingate.monitoring.stuck import Patience  # noqa: PLC0415 - a run that has ended needs no settings

    return Patience.of(context.settings), context.settings_of(run.id).policy.reviewers or 0


def run_report(
    conn: Connection,
    run_id: RunId | str,
    *,
    repository: str | None = None,
    tree_of: Callable[[str], str] | None = None,
    now: datetime | None = None,
    is_alive: bool = True,
    patience: "Patience | None" = None,
    reviewers: int = 0,
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
        reviewers: How many people the settings want to approve each patch; the plan may want more.
        is_served: Whether a living server is to give the run a process.

    Returns:
        The object of the public face, ready for ``json.dumps``.

    Raises:
        UnknownEntityError: There is no such run.
    """
    run = runs.get(conn, RunId(run_id))
    streams = workstreams.of_run(conn, run.id)
    rows = tasks.of_run(conn, run.id)
    ledger = patches.of_run(conn, run.id)
    judged = gates.of_run(conn, run.id)
    is_over = has_ended(run)
    is_at_work = is_alive and not is_over
    cost = _cost(conn, run)
    waits = (
        {}
        if is_over
        else _waits(
            conn,
            run=run,
            streams=streams,
            rows=rows,
            ledger=ledger,
            judged=judged,
            cost=cost,
            reviewers=reviewers,
            is_alive=is_alive,
            is_served=is_served,
            now=now,
        )
    )
    stuck = (
        _stuck([*streams, *rows, *ledger], patience, now)
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
        "reason": run_parts.reason_json(run.reason),
        "alive": is_at_work,
        "waiting": waits.get(run.id),
        "stopped": None if is_alive or is_over else _stopped(conn, run),
        "repository": repository or run.repository,
        "target": run_parts.target_json(run, tree_of),
        "workstreams": [
            {
                **run_parts.workstream_json(stream),
                "waiting": waits.get(stream.id),
                "stuck": stuck.get(stream.id),
            }
            for stream in streams
        ],
        "tasks": [
            {
                **run_parts.task_json(task, names[task.workstream_id], newest.get(task.id)),
                "waiting": waits.get(task.id),
                "stuck": stuck.get(task.id),
            }
            for task in rows
        ],
        "gates": run_parts.gates_json(judged, verdicts.evidence(conn, subjects)),
        "cost": cost,
        "seconds": run_parts.seconds_json(run, now),
        "created_at": run_parts.moment_json(run.created_at),
        "started_at": run_parts.moment_json(run.started_at),
        "completed_at": run_parts.moment_json(run.completed_at),
    }


def has_ended(run: RunRow) -> bool:
    """Return whether a run is over, so that nothing of it waits or is stuck."""
    return MACHINES[run.machine].is_terminal(run.state)


def _stopped(conn: Connection, run: RunRow) -> Json | None:
    """Return why the last process that worked on a run stopped, where that could be recorded."""
    stopped = stops.last(conn, run.id)
    return None if stopped is None else dict(stopped)


def _stuck(rows: Iterable[EntityRow], patience: "Patience", now: datetime) -> dict[str, Json]:
    """Return the entities that have not moved for too long, with the time of their last move."""
    from maingate.monitoring.stuck import overdue  # noqa: PLC0415 - only for a run that has not ended

    return {key: one.as_json(now) for key, one in overdue(rows, patience, now=now).items()}


def _waits(
    conn: Connection,
    *,
    run: RunRow,
    streams: Sequence[WorkstreamRow],
    rows: Sequence[TaskRow],
    ledger: Sequence[PatchRow],
    judged: Sequence[GateRow],
    cost: Json | None,
    reviewers: int,
    is_alive: bool,
    is_served: bool,
    now: datetime | None,
) -> dict[str, Json]:
    """Return the reason why each entity waits that has not ended."""
    from maingate.queries.explain import why_waiting  # noqa: PLC0415 - loads plans
    from maingate.queries.wait_causes import RunRows  # noqa: PLC0415 - loads plans

    labels = {stream.id: stream.name for stream in streams}
    names = {task.id: (labels[task.workstream_id], task.name) for task in rows}
    unapproved = {patch.id: names[patch.task_id] for patch in ledger if patch.state is PatchState.VALIDATED}
    every = RunRows(
        run=run,
        workstreams=streams,
        tasks=rows,
        patches=ledger,
        gates=judged,
        breakers=breakers.all_of(conn),
        landing={intent.workstream_id for intent in intents.pending(conn, run.id)},
        needs={**workstreams.needs(conn, run.id), **tasks.needs(conn, run.id)},
        approvals_missing=_approvals_missing(conn, run, unapproved, reviewers) if unapproved else {},
        is_served=is_served,
        is_overspent=cost is not None and cost["used_up"],
        now=now,
    )
    return {key: why.as_json() for key, why in why_waiting(every, is_alive=is_alive).items()}


def _approvals_missing(
    conn: Connection, run: RunRow, unapproved: Mapping[str, tuple[str, str]], reviewers: int
) -> dict[str, int]:
    """Count the people who have still to approve patches, given each one's workstream and task."""
    from maingate.plan.model import Plan  # noqa: PLC0415 - only for a run that has not ended

    plan = Plan.from_json(run.plan)
    wanted = {patch: max(reviewers, plan.reviewers(*names)) for patch, names in unapproved.items()}
    given = approvals.counts(conn, wanted)
    return {patch: max(1, count - given[patch]) for patch, count in wanted.items()}


def _cost(conn: Connection, run: RunRow) -> Json | None:
    """Return the cost of the tools and their budget; None when no tool reported a cost."""
    spent = tool_runs.spent_by_run(conn, run.id)
    if spent is None:
        return None
    budget = run.plan.get("budget_usd")
    is_used_up = budget is not None and spent >= round(budget * MICROS)
    return {"spent_usd": spent / MICROS, "budget_usd": budget, "used_up": is_used_up}
