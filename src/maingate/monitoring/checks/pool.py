"""The checks of the workers, of what waits for them, and of the tools that they use."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from maingate.db.dao import breakers, workers
from maingate.db.dao.breakers import BreakerRow
from maingate.db.dao.overviews import open_work
from maingate.db.dao.workers import WorkerRow
from maingate.db.sql.connection import Connection
from maingate.monitoring.finding import SHOWN, CheckFinding, Trouble, command_in
from maingate.monitoring.stuck_watch import StuckLimits, silent
from maingate.repository_context import RepositoryContext
from maingate.state.circuit_breaker import BreakerState
from maingate.state.worker import WorkerState
from maingate.wording import listed, short
from maingate.workers.liveness import lives

QUEUES: Final[Mapping[str, tuple[str, str]]] = {
    "tasks": ("task", "queued"),
    "gates": ("test_gate", "PENDING"),
    "landings": ("workstream", "validating"),
}
"""The queues: the machine and the state in which something waits for a worker, or for its turn to land."""


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The workers that have not shut down.

    Args:
        living: Those whose process lives.
        gone: How many have lost their process without having said so.
        oldest: The time since the heartbeat of the most silent one; None without any.
    """

    living: Sequence[WorkerRow]
    gone: int
    oldest: timedelta | None

    def count(self, state: WorkerState) -> int:
        """Return how many are in a state."""
        return sum(row.state is state for row in self.living)


@dataclass(frozen=True, kw_only=True)
class Queue:
    """One queue.

    Args:
        depth: How many wait.
        oldest: The time that the first of them has waited.
    """

    depth: int = 0
    oldest: timedelta = timedelta()


def pool_of(context: RepositoryContext, conn: Connection) -> Pool:
    """Return the workers of a record."""
    now, window, host = context.clock.now(), context.settings.recovery_window, socket.gethostname()
    rows = workers.alive(conn)
    living = [row for row in rows if lives(row, now, host, window)]
    ages = [now - (row.heartbeat_at or row.created_at) for row in living]
    return Pool(living=living, gone=len(rows) - len(living), oldest=max(ages, default=None))


def queues_of(context: RepositoryContext, conn: Connection) -> Mapping[str, Queue]:
    """Return the queues of a repository."""
    now = context.clock.now()
    found = {(each.machine, each.state): each for each in open_work.counted(conn, context.identity.id)}
    return {
        name: Queue(depth=found[key].count, oldest=now - found[key].oldest) if key in found else Queue()
        for name, key in QUEUES.items()
    }


def check_pool(context: RepositoryContext) -> CheckFinding:
    """Check the heartbeats of the workers that have not shut down."""
    now, patience = context.clock.now(), StuckLimits.of(context.settings)
    with context.database.read() as conn:
        pool = pool_of(context, conn)
    mute = [row for row in pool.living if _is_mute(row, patience, now)]
    named = listed([f"{row.name} (process {row.pid})" for row in mute], SHOWN)
    reason = f"silent for longer than {patience.worker.total_seconds():g} s: {named}"
    command = command_in(context.repository.root, "workers")
    oldest = None if pool.oldest is None else round(pool.oldest.total_seconds(), 3)
    return CheckFinding(
        summary=f"workers: {len(pool.living)}"
        + ("" if oldest is None else f", the longest silent for {oldest:.0f} s"),
        troubles=[Trouble(reason=reason, command=command)] if mute else [],
        detail={
            "workers": len(pool.living),
            "busy": pool.count(WorkerState.BUSY),
            "unresponsive": pool.count(WorkerState.UNRESPONSIVE),
            "gone": pool.gone,
            "oldest_heartbeat_seconds": oldest,
        },
    )


def _is_mute(row: WorkerRow, patience: StuckLimits, now: datetime) -> bool:
    return row.state is WorkerState.UNRESPONSIVE or silent(row, patience, now=now) is not None


def check_queue(context: RepositoryContext) -> CheckFinding:
    """Check how much waits for a worker or for its turn to land, and for how long the oldest has."""
    limit = context.settings.stuck_workstream
    with context.database.read() as conn:
        queues = queues_of(context, conn)
    depth = sum(each.depth for each in queues.values())
    oldest = max(each.oldest for each in queues.values())
    reason = f"{depth} wait, the oldest for {oldest.total_seconds() / 60:.0f} minutes"
    command = command_in(context.repository.root, "status")
    return CheckFinding(
        summary="nothing waits" if depth == 0 else reason,
        troubles=[Trouble(reason=reason, command=command)] if oldest > limit else [],
        detail={
            "depth": depth,
            "oldest_seconds": round(oldest.total_seconds(), 3),
            **{name: each.depth for name, each in queues.items()},
        },
    )


def check_breakers(context: RepositoryContext) -> CheckFinding:
    """Check that no tool is paused by its circuit breaker."""
    with context.database.read() as conn:
        rows = breakers.all_of(conn)
    opened = [row for row in rows if row.state is BreakerState.OPEN]
    return CheckFinding(
        summary=f"no tool is paused; tools that have ever failed: {len(rows)}",
        troubles=[_paused(context, row) for row in opened[:SHOWN]],
        detail={"open": [row.tool for row in opened], "known": len(rows)},
    )


def _paused(context: RepositoryContext, row: BreakerRow) -> Trouble:
    why = "" if row.reason is None else f": {short(row.reason.message, 200)}"
    words = ("breaker", "reset", row.tool, "--reason", "it works again")
    return Trouble(
        reason=f"the tool {short(row.tool)} is paused (circuit breaker open){why}",
        command=command_in(context.repository.root, *words),
    )
