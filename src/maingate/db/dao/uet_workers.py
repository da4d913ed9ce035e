"""UET workers: execution slots, a process each, that apply patches and run gates.

See docs/SPECIFICATION.md §2.1.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from sqlalchemy import Connection

from maingate.db.dao.entity import Entities, EntityRow
from maingate.db.schema import tables
from maingate.reasons import Reason
from maingate.state.uet_worker import UetWorkerState


@dataclass(frozen=True, kw_only=True)
class UetWorkerRow(EntityRow):
    """One execution slot.

    Args:
        worker_id: The worker that it belongs to.
        slot: Its number there, from 0.
        pid: Its process.
        pid_started: The start of that process, in its host's form; empty until it has begun.
        reason: The reason for its state.
    """

    machine: ClassVar[str] = "uet_worker"

    worker_id: str
    slot: int = 0
    pid: int | None = None
    pid_started: str = ""
    reason: Reason | None = None
    state: UetWorkerState = UetWorkerState.SPAWNING


ROWS: Final = Entities(tables.uet_workers, UetWorkerRow)
get, get_many, insert_many = ROWS.get, ROWS.get_many, ROWS.insert_many


def of_workers(connection: Connection, worker_ids: Iterable[str]) -> dict[str, list[UetWorkerRow]]:
    """Read the slots of workers that have some, by worker, oldest first."""
    found: dict[str, list[UetWorkerRow]] = {}
    rows = ROWS.select_in(connection, "worker_id", worker_ids)
    for row in sorted(rows, key=lambda row: (row.created_at, row.slot, row.id)):
        found.setdefault(row.worker_id, []).append(row)
    return found
