"""The liveness of workers on record: their processes, or their heartbeats."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from maingate.db.dao.workers import WorkerRow
from maingate.system.process_table import started


def lives(row: WorkerRow, now: datetime, host: str, recovery_window: timedelta) -> bool:
    """Return whether a worker's process is alive; on another machine, whether its heartbeat is recent."""
    if row.host == host:
        return has_process(row)
    return now - (row.heartbeat_at or row.created_at) <= recovery_window


def left_behind(
    rows: Sequence[WorkerRow], now: datetime, host: str, recovery_window: timedelta
) -> list[WorkerRow]:
    """Return the workers whose ends are left to others: control processes that are gone, and all of theirs.

    A living control process hears of the death of a worker of its own, or of its silence, and records it.
    """
    controls = {row.id for row in rows if row.parent_id is None and lives(row, now, host, recovery_window)}
    return [row for row in rows if (row.parent_id or row.id) not in controls]


def has_process(row: WorkerRow) -> bool:
    """Return whether this machine has the process of a worker that is on record for it."""
    return row.pid is not None and row.pid_started != "" and started(row.pid) == row.pid_started
