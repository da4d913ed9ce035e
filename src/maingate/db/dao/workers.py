"""Workers: one agent on one host, with capabilities, capacity and a heartbeat.

See docs/SPECIFICATION.md §1.5.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Final

from sqlalchemy import Connection

from maingate.db.dao.entity import Entities, EntityRow
from maingate.db.schema import tables
from maingate.db.sql.columns import to_micros
from maingate.db.sql.statements import change_many
from maingate.errors import UnknownEntityError
from maingate.reasons import Reason
from maingate.state.worker import WorkerState


@dataclass(frozen=True, kw_only=True)
class WorkerRow(EntityRow):
    """One worker.

    Args:
        parent_id: The worker that started it and ends with it; None for the first one of a process.
        name: Its name for people.
        host: The host that it runs on.
        pid: Its process there.
        pid_started: The start of that process, in its host's form, which tells it from one with a reused pid.
        capabilities: Its capabilities.
        affinity: The properties that jobs may demand; never changes.
        max_concurrent_tasks: Most tasks it takes at once.
        current_load: The number of its tasks.
        heartbeat_at: The time of its last heartbeat.
        reason: The reason for its state.
    """

    machine: ClassVar[str] = "worker"

    parent_id: str | None = None
    name: str
    host: str = ""
    pid: int | None = None
    pid_started: str = ""
    capabilities: Sequence[str] = ()
    affinity: Mapping[str, Any] = field(default_factory=dict)
    max_concurrent_tasks: int = 1
    current_load: int = 0
    heartbeat_at: datetime | None = None
    reason: Reason | None = None
    state: WorkerState = WorkerState.INITIALIZING


ROWS: Final = Entities(tables.workers, WorkerRow)
get, get_many, insert_many = ROWS.get, ROWS.get_many, ROWS.insert_many
_HEARTBEAT: Final = f'UPDATE "{tables.workers.name}" SET heartbeat_at = ? WHERE id = ?'


def alive(connection: Connection) -> list[WorkerRow]:
    """Read the workers that have not shut down, oldest first."""
    return ROWS.select(connection, "WHERE completed_at IS NULL ORDER BY created_at, id")


def ended(connection: Connection, *, limit: int) -> list[WorkerRow]:
    """Read the workers that have shut down, the last of them first."""
    rest = "WHERE completed_at IS NOT NULL ORDER BY completed_at DESC, id DESC LIMIT ?"
    return ROWS.select(connection, rest, (limit,))


def count_ended(connection: Connection) -> int:
    """Count the workers that have shut down."""
    return ROWS.count(connection, "WHERE completed_at IS NOT NULL")


def heartbeat(connection: Connection, heard_at: Mapping[str, datetime]) -> None:
    """Update the times of the last heartbeats of workers, by id; no transition.

    Raises:
        UnknownEntityError: One of them does not exist.
    """
    rows = [(to_micros(at), worker_id) for worker_id, at in heard_at.items()]
    if change_many(connection, _HEARTBEAT, rows) != len(rows):
        known = ROWS.get_many(connection, heard_at)
        raise UnknownEntityError(next(worker_id for worker_id in heard_at if worker_id not in known))
