"""UET workers: execution slots, a process each, that apply patches and run gates.

See docs/SPECIFICATION.md §2.1.
"""

from dataclasses import dataclass
from typing import ClassVar, Final, Unpack

from sqlalchemy import Connection

from maingate.db import tables
from maingate.db.dao.entity import Entities, EntityRow, Note, Remark, step
from maingate.db.transitions import HasHead, Step
from maingate.reasons import Reason
from maingate.state.uet_worker import UetWorkerState


@dataclass(frozen=True, kw_only=True)
class UetWorkerRow(EntityRow):
    """One execution slot.

    Args:
        worker_id: The worker that it belongs to.
        slot: Its number there, from 0.
        pid: Its process.
        pid_started: When that process began, in its host's own words; empty until it has begun.
        reason: Why it is in its state.
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


def of_worker(connection: Connection, worker_id: str) -> list[UetWorkerRow]:
    """Read a worker's slots, oldest first."""
    return ROWS.select(connection, "WHERE worker_id = ? ORDER BY created_at, slot, id", (worker_id,))


def ready(uet_worker: HasHead, **note: Unpack[Note]) -> Step:
    """Let it take jobs: its process is there."""
    return step(uet_worker, UetWorkerState.IDLE, "initialized", **note)


def assign(uet_worker: HasHead, **note: Unpack[Note]) -> Step:
    """Give it a job."""
    return step(uet_worker, UetWorkerState.BUSY, "task_assigned", **note)


def finish(uet_worker: HasHead, **note: Unpack[Note]) -> Step:
    """Record that its job is done."""
    return step(uet_worker, UetWorkerState.IDLE, "task_finished", **note)


def drain(uet_worker: HasHead, **note: Unpack[Note]) -> Step:
    """Let it finish its job and then stop."""
    return step(uet_worker, UetWorkerState.DRAINING, "shutdown_requested", **note)


def drained(uet_worker: HasHead, **note: Unpack[Note]) -> Step:
    """End it: its last job is done."""
    return step(uet_worker, UetWorkerState.TERMINATED, "task_finished", **note)


def shut_down(uet_worker: HasHead, **note: Unpack[Note]) -> Step:
    """End it while it has nothing to do."""
    return step(uet_worker, UetWorkerState.TERMINATED, "shutdown_requested", **note)


def crash(uet_worker: HasHead, reason: Reason, **remark: Unpack[Remark]) -> Step:
    """Record that its process ended in the middle of a job."""
    return step(uet_worker, UetWorkerState.TERMINATED, "crashed", {"reason": reason}, reason=reason, **remark)


def lose(uet_worker: HasHead, reason: Reason) -> Step:
    """End it because its process is gone, whatever it was at."""
    match uet_worker.head.state:
        case UetWorkerState.SPAWNING:
            return spawn_failed(uet_worker, reason)
        case UetWorkerState.BUSY:
            return crash(uet_worker, reason)
        case UetWorkerState.DRAINING:
            return drained(uet_worker, reason=reason)
        case _:
            return shut_down(uet_worker, reason=reason)


def spawn_failed(uet_worker: HasHead, reason: Reason, **remark: Unpack[Remark]) -> Step:
    """Record that its process could not be started."""
    sets = {"reason": reason}
    return step(uet_worker, UetWorkerState.TERMINATED, "spawn_failed", sets, reason=reason, **remark)
