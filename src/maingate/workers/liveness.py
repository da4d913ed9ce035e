"""The liveness of workers on record: their processes, or their heartbeats."""

from datetime import datetime, timedelta

from maingate.db.dao.workers import WorkerRow
from maingate.system.process_table import started


def lives(row: WorkerRow, now: datetime, host: str, recovery_window: timedelta) -> bool:
    """Return whether a worker's process is alive; on another machine, whether its heartbeat is recent."""
    if row.host == host:
        return has_process(row)
    return now - (row.heartbeat_at or row.created_at) <= recovery_window


def has_process(row: WorkerRow) -> bool:
    """Return whether this machine has the process of a worker that is on record for it."""
    return row.pid is not None and row.pid_started != "" and started(row.pid) == row.pid_started
