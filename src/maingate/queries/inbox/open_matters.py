"""The inbox: the open matters of a repository that a person has to decide, read from its record.

Rows are read once, in one transaction. Their number follows the open matters, not the history: runs that have
not ended, refused patches for which nothing else stands (at most
`maingate.db.dao.overviews.refused_patches.NEWEST`), and the newest run on each target.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from maingate.db.dao import (
    approvals,
    breakers,
    patches,
    queue_controls,
    runs,
    tasks,
    tool_runs,
    webhooks,
    workstreams,
)
from maingate.db.dao.history import events, stops
from maingate.db.dao.overviews import refused_patches
from maingate.db.dao.runs import RunRow
from maingate.db.dao.webhooks import WebhookRow
from maingate.db.sql.connection import Connection
from maingate.landing.checkouts.behind import behind
from maingate.monitoring.alerts import FAILING_LONG, firing
from maingate.queries.inbox.items import items_of
from maingate.queries.inbox.refused_work import refused_work
from maingate.queries.inbox.values import About, InboxItem, InboxRows, OpenRun, RedBase, UnapprovedPatch
from maingate.queries.waits.handed_over import handed_over
from maingate.queries.waits.server_line import is_served
from maingate.queries.waits.target_rows import read_target
from maingate.repository_context import RepositoryContext
from maingate.settings.files import FILE_NAME
from maingate.state.queue_control import in_force

if TYPE_CHECKING:
    from maingate.db.dao.overviews.refused_patches import RefusedPatch
    from maingate.monitoring.stuck_watch import Stuck

__all__ = ("InboxItem", "inbox")

_RECENT_RUNS: Final = 20
"""Newest runs whose targets are checked for a red base."""


def inbox(context: RepositoryContext) -> list[InboxItem]:
    """Return the open matters that a person has to decide, the heaviest first; reads only."""
    now = context.clock.now()
    with context.database.read() as conn:
        unfinished = [run for run in runs.unfinished(conn) if context.is_own(run)]
        alive = {run.id: run for run in unfinished if context.is_at_work(conn, run)}
        red_bases = list(_red_bases(conn, context))
        refused = refused_work(conn, context, [patch for red in red_bases for patch in red.patches])
        stuck = [each for run in alive.values() for each in _stuck(conn, context, run, now)]
        rows = InboxRows(
            now=now,
            runs=[_open_run(conn, context, run, is_alive=run.id in alive) for run in unfinished],
            unapproved=[each for run in unfinished for each in _unapproved(conn, context, run)],
            quarantined=refused.quarantined,
            landed=frozenset(
                refused_patches.landed_changes(conn, {patch.change_key for patch in refused.quarantined})
            ),
            branches=frozenset(refused.branches),
            merged=refused.merged,
            own_gates=refused.own_gates,
            tried_again=refused.tried_again,
            red_bases=red_bases,
            breakers=breakers.all_of(conn),
            stuck=stuck,
            handed_over=_handed_over(conn, alive, [about for about, _ in stuck], now),
            behind=behind(context.repository),
            alerts=firing(conn),
            webhooks=_failing_webhooks(conn, context, now),
            orders=in_force(queue_controls.of_repository(conn, context.identity.id), now),
        )
    return items_of(rows)


def _failing_webhooks(conn: Connection, context: RepositoryContext, now: datetime) -> list[WebhookRow]:
    """Return the receivers of the settings that have failed for long, or are gone for good."""
    rows = [
        row
        for row in webhooks.of_repositories(conn, [context.identity.id])
        if row.failing_since is not None and (row.is_gone or now - row.failing_since >= FAILING_LONG)
    ]
    return [row for row in rows if row.name in context.settings.webhooks]


def _open_run(conn: Connection, context: RepositoryContext, run: RunRow, *, is_alive: bool) -> OpenRun:
    stopped = None if is_alive else stops.last(conn, run.id)
    return OpenRun(
        id=run.id,
        name=run.name,
        since=_last_seen(conn, run) if stopped is None else datetime.fromisoformat(stopped["at"]),
        is_alive=is_alive,
        is_served=not is_alive and is_served(context, conn, run),
        stopped=None if stopped is None else stopped["message"],
        spent_micros=tool_runs.spent_by_run(conn, run.id) or 0,
        budget_usd=run.plan.get("budget_usd"),
    )


def _last_seen(conn: Connection, run: RunRow) -> datetime:
    """Return the time of the newest event of a run: the last sign of life on record."""
    newest = events.query(conn, run_id=run.id, newest=True, limit=1)
    return newest[0].timestamp if newest else run.changed_at


def _unapproved(conn: Connection, context: RepositoryContext, run: RunRow) -> Iterator[UnapprovedPatch]:
    """Yield the patches of a run that its process would apply if people approved them."""
    waiting = patches.listed(conn, run_id=run.id, state="validated")
    if not waiting:
        return
    from maingate.plan.model import Plan  # noqa: PLC0415 - only where a patch waits

    plan, policy = Plan.from_json(run.plan), context.settings_of(run.id).policy
    given = approvals.counts(conn, [patch.id for patch in waiting])
    streams = workstreams.get_many(conn, {patch.workstream_id for patch in waiting})
    rows = tasks.get_many(conn, {patch.task_id for patch in waiting})
    for patch in waiting:
        names = streams[patch.workstream_id].name, rows[patch.task_id].name
        layers = [policy, *plan.policy_layers(*names)]
        changes_settings = FILE_NAME in patch.paths and any(
            layer.allow_settings_changes is False for layer in layers
        )
        wanted = max(policy.reviewers or 0, plan.reviewers(*names), int(changes_settings))
        missing = wanted - given[patch.id]
        if missing > 0:
            about = _part(run, "patch", patch.id, "/".join(names))
            yield UnapprovedPatch(about=about, missing=missing, since=patch.changed_at)


def _red_bases(conn: Connection, context: RepositoryContext) -> Iterator[RedBase]:
    """Yield for each gate that failed on a target itself, in the newest run there, the patches it stopped."""
    newest = refused_patches.newest_run_by_target(conn, context.identity.id, among=_RECENT_RUNS)
    for ref, run_id in newest.items():
        by_gate: dict[str, list[RefusedPatch]] = {}
        for patch in refused_patches.stopped_by_base(conn, run_id):
            gate = str(patch.reason.detail.get("gate")) if patch.reason else ""
            by_gate.setdefault(gate, []).append(patch)
        for stopped in by_gate.values():
            file = stopped[0].plan_file
            yield RedBase(
                patches=stopped,
                head=context.repository.ref_value(ref),
                has_plan_file=file is not None and Path(file).is_file(),
            )


def _stuck(
    conn: Connection, context: RepositoryContext, run: RunRow, now: datetime
) -> "Iterator[tuple[About, Stuck]]":
    """Yield the tasks and workstreams of a living run that have made no progress for too long."""
    from maingate.monitoring.stuck_watch import StuckLimits, held, overdue  # noqa: PLC0415 - only for a living run

    patience = StuckLimits.of(context.settings)
    running = tasks.running(conn, run.id)
    silent = [
        row for row in workstreams.executing(conn, run.id) if now - row.changed_at > patience.workstream
    ]
    parts = [part for row in silent for part in tasks.of_workstream(conn, row.id)]
    ledger = patches.of_tasks(conn, [part.id for part in parts])
    names = {row.id: row.name for row in silent}
    owners = workstreams.get_many(conn, {task.workstream_id for task in running})
    names |= {task.id: f"{owners[task.workstream_id].name}/{task.name}" for task in running}
    rows = [*silent, *{row.id: row for row in (*running, *parts)}.values(), *ledger]
    found = overdue(rows, patience, now=now)
    excused = held(conn, run, found.values(), now)
    for entity_id, stuck in ((key, one) for key, one in found.items() if key not in excused):
        yield _part(run, stuck.machine, entity_id, names[entity_id]), stuck


def _handed_over(
    conn: Connection, alive: Mapping[str, RunRow], stuck: Sequence[About], now: datetime
) -> dict[str, str]:
    """Return what stuck workstreams wait for whose runs have handed them to another process."""
    by_run: dict[str, list[str]] = {}
    for about in stuck:
        if about.kind == "workstream" and about.run_id is not None:
            by_run.setdefault(about.run_id, []).append(about.id)
    found: dict[str, str] = {}
    for run_id, ids in by_run.items():
        target = read_target(conn, alive[run_id], now)
        for row in workstreams.get_many(conn, target.items.keys() & ids).values():
            if (why := handed_over(row, alive[run_id], target)) is not None:
                found[row.id] = why.what
    return found


def _part(run: RunRow, kind: str, entity_id: str, name: str) -> About:
    return About(kind=kind, id=entity_id, name=name, run_id=run.id, run_name=run.name)
