"""Gauges of one record, from the rows of open work, read at the time of the scrape."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from maingate.db.dao import breakers, queue_controls, runs, tool_runs, webhooks
from maingate.db.dao.overviews import open_work
from maingate.db.ledger import running_head
from maingate.db.schema.rollup_kinds import MOST_NAMES, OTHER
from maingate.db.sql.connection import Connection
from maingate.monitoring.checks.lease import holds_of
from maingate.monitoring.checks.pool import QUEUES, pool_of, queues_of
from maingate.monitoring.checks.stuck import stuck_in
from maingate.monitoring.followers_in_use import followers_in_use
from maingate.monitoring.ledger_metrics import MICROS, Samples
from maingate.monitoring.metric_table import MOST_FOLLOWERS, MOST_RECEIVERS, PRIORITIES
from maingate.monitoring.stuck_watch import Stuck, StuckLimits, silent
from maingate.repository_context import RepositoryContext
from maingate.state.circuit_breaker import BreakerState
from maingate.state.queue_control import ENDED_BY_PERSON, QueueOrder, in_force
from maingate.state.worker import WorkerState
from maingate.system.disk import room_of

_CONDITIONS: Final = (WorkerState.BUSY, WorkerState.IDLE, WorkerState.UNRESPONSIVE)
_WATCHED: Final = ("task", "workstream", "worker")


def add_gauges(samples: Samples, conn: Connection, contexts: Sequence[RepositoryContext]) -> None:
    """Add the gauges of a record.

    Args:
        samples: Where they are added.
        conn: A reading transaction of the record.
        contexts: The repositories of this process that share the record.
    """
    _add_pool(samples, conn, contexts[0])
    _add_breakers(samples, conn)
    _add_followers(samples, conn, contexts)
    _add_webhooks(samples, conn, contexts)
    _add_queues(samples, conn, contexts)
    _add_landing_queue(samples, conn, contexts)
    _add_orders(samples, conn, contexts)
    _add_runs(samples, conn, contexts)
    _add_stuck(samples, conn, contexts)
    _add_disks(samples, contexts)


def _add_pool(samples: Samples, conn: Connection, context: RepositoryContext) -> None:
    pool = pool_of(context, conn)
    for state in _CONDITIONS:
        samples.put("workers", pool.count(state), str(state))
    samples.put("workers", pool.gone, "gone")
    samples.put("active_workers", pool.count(WorkerState.BUSY))
    samples.put("worker_oldest_heartbeat_seconds", pool.oldest.total_seconds() if pool.oldest else 0)


def _add_breakers(samples: Samples, conn: Connection) -> None:
    """Add the breakers; of more tools than are kept apart the others count together."""
    rows = breakers.all_of(conn)
    samples.put("breakers_open", sum(row.state is BreakerState.OPEN for row in rows))
    for place, row in enumerate(sorted(rows, key=lambda row: row.created_at)):
        tool = row.tool if place < MOST_NAMES else OTHER
        samples.add("circuit_breaker_open", (tool,), row.state is BreakerState.OPEN)


def _add_followers(samples: Samples, conn: Connection, contexts: Sequence[RepositoryContext]) -> None:
    end = running_head.position(conn).seq
    for each in followers_in_use(conn, contexts)[:MOST_FOLLOWERS]:
        samples.put("follower_lag_rows", end - each.seq, each.name)
        samples.put("follower_failures", each.failures, each.name)


def _add_webhooks(samples: Samples, conn: Connection, contexts: Sequence[RepositoryContext]) -> None:
    """Add the receivers that the settings name; of repositories that share a name the worst one counts."""
    end, now = running_head.position(conn).seq, contexts[0].clock.now()
    named = {each.identity.id: each.settings.webhooks.keys() for each in contexts}
    rows = [
        row for row in webhooks.of_repositories(conn, list(named)) if row.name in named[row.repository_id]
    ]
    shown = set(sorted({row.name for row in rows})[:MOST_RECEIVERS])
    for row in (row for row in rows if row.name in shown):
        label = (row.name,)
        samples.add("webhook_deliveries", (row.name, "delivered"), row.delivered)
        samples.add("webhook_deliveries", (row.name, "failed"), row.failed)
        failing = 0.0 if row.failing_since is None else (now - row.failing_since).total_seconds()
        for name, number in (("webhook_lag_rows", end - row.seq), ("webhook_failing_seconds", failing)):
            samples.put(name, max(number, samples.values[name].get(label, 0)), row.name)


def _add_queues(samples: Samples, conn: Connection, contexts: Sequence[RepositoryContext]) -> None:
    found = [queues_of(context, conn) for context in contexts]
    for name in QUEUES:
        samples.put("queue_depth", sum(each[name].depth for each in found), name)
        oldest = max(each[name].oldest for each in found)
        samples.put("queue_oldest_seconds", oldest.total_seconds(), name)


def _add_landing_queue(samples: Samples, conn: Connection, contexts: Sequence[RepositoryContext]) -> None:
    """Add the finished workstreams that wait to land, by priority; those of a plan without any are normal."""
    now, names = contexts[0].clock.now(), dict(zip((1, 0, -1), PRIORITIES, strict=True))
    for name in PRIORITIES:
        samples.put("landing_queue_depth", 0, name)
        samples.put("landing_queue_oldest_seconds", 0, name)
    for context in contexts:
        for each in open_work.landing(conn, context.identity.id):
            name = names[each.sign]
            samples.add("landing_queue_depth", (name,), each.count)
            oldest = samples.values["landing_queue_oldest_seconds"][name,]
            waited = (now - each.oldest).total_seconds()
            samples.put("landing_queue_oldest_seconds", max(oldest, waited), name)


def _add_orders(samples: Samples, conn: Connection, contexts: Sequence[RepositoryContext]) -> None:
    """Add the orders about queues that are in force, and the time since the oldest that a person must end."""
    now = contexts[0].clock.now()
    orders = [
        order
        for context in contexts
        for order in in_force(queue_controls.of_repository(conn, context.identity.id), now)
    ]
    for kind in QueueOrder:
        samples.put("queue_orders", sum(order.control.kind is kind for order in orders), str(kind))
    held = [now - order.since for order in orders if order.control.kind in ENDED_BY_PERSON]
    samples.put("queue_held_seconds", max(held).total_seconds() if held else 0)


def _add_runs(samples: Samples, conn: Connection, contexts: Sequence[RepositoryContext]) -> None:
    found = [holds_of(context, conn) for context in contexts]
    samples.put("unfinished_runs", sum(len(each.waiting) for each in found))
    samples.put("runs_without_process", sum(len(each.loose) for each in found))
    used = [_budget_used(conn, run) for each in found for run in each.waiting]
    samples.put("budget_used_ratio", max(used, default=0))


def _budget_used(conn: Connection, run: runs.RunRow) -> float:
    """Return the share of its budget that a run has used; 0 without a budget."""
    budget = run.plan.get("budget_usd")
    return (tool_runs.spent_by_run(conn, run.id) or 0) / MICROS / float(budget) if budget else 0


def _add_stuck(samples: Samples, conn: Connection, contexts: Sequence[RepositoryContext]) -> None:
    first = contexts[0]
    now, patience = first.clock.now(), StuckLimits.of(first.settings)
    found = [one for context in contexts for one in stuck_in(context, conn)]
    mute = (silent(row, patience, now=now) for row in pool_of(first, conn).living)
    found += [one for one in mute if one is not None]
    for machine in _WATCHED:
        mine = [one for one in found if one.machine == machine]
        samples.put("stuck_entities", len(mine), machine)
        samples.put("stuck_overrun_ratio", max((_overrun(one, now) for one in mine), default=0), machine)


def _overrun(one: Stuck, now: datetime) -> float:
    return (now - one.since) / one.threshold


def _add_disks(samples: Samples, contexts: Sequence[RepositoryContext]) -> None:
    """Add the room on the fullest disk of each kind."""
    for name in ("state", "worktrees"):
        folders = [each.paths.root if name == "state" else each.paths.slots for each in contexts]
        samples.put("disk_free_bytes", min(room_of(folder).bytes_left for folder in folders), name)
