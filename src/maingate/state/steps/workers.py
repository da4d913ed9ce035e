"""Transitions of workers."""

from collections.abc import Sequence
from typing import Unpack

from maingate.reasons import Reason
from maingate.state.steps.step import HasHead, Note, Remark, Step, step
from maingate.state.worker import WorkerState


def register(worker: HasHead, **note: Unpack[Note]) -> Step:
    """Register: it may take tasks."""
    return step(worker, WorkerState.IDLE, "registered", **note)


def assign(worker: HasHead, *, load: int = 1, **note: Unpack[Note]) -> Step:
    """Assign a task."""
    return step(worker, WorkerState.BUSY, "task_assigned", {"current_load": load}, **note)


def finish(worker: HasHead, *, load: int = 0, **note: Unpack[Note]) -> Step:
    """Record that its last task is done."""
    return step(worker, WorkerState.IDLE, "task_finished", {"current_load": load}, **note)


def miss_heartbeat(worker: HasHead, reason: Reason | None = None, **remark: Unpack[Remark]) -> Step:
    """Record that a busy worker's heartbeats stopped."""
    sets = {"reason": reason}
    return step(worker, WorkerState.UNRESPONSIVE, "heartbeat_missed", sets, reason=reason, **remark)


def recover(worker: HasHead, **note: Unpack[Note]) -> Step:
    """Record that its heartbeats are back; its tasks are no longer its own."""
    sets = {"current_load": 0, "reason": None}
    return step(worker, WorkerState.IDLE, "heartbeat_recovered", sets, **note)


def give_up(worker: HasHead, reason: Reason, **remark: Unpack[Remark]) -> Step:
    """Shut down: its heartbeats did not come back in time."""
    return _end(worker, "recovery_window_exceeded", reason, **remark)


def shut_down(worker: HasHead, reason: Reason | None = None, **remark: Unpack[Remark]) -> Step:
    """Shut down by request."""
    return _end(worker, "shutdown_requested", reason, **remark)


def reject_registration(worker: HasHead, reason: Reason, **remark: Unpack[Remark]) -> Step:
    """Shut down before it registered."""
    return _end(worker, "registration_failed", reason, **remark)


def vanish(worker: HasHead, reason: Reason, **remark: Unpack[Remark]) -> Step:
    """Shut down an idle worker whose heartbeats stopped: it has nothing to recover."""
    return _end(worker, "heartbeat_missed", reason, **remark)


def lose(worker: HasHead, reason: Reason) -> Sequence[Step]:
    """Shut down from any state because its process is gone."""
    match worker.head.state:
        case WorkerState.INITIALIZING:
            return [reject_registration(worker, reason)]
        case WorkerState.BUSY:
            return [miss_heartbeat(worker, reason), give_up(worker, reason)]
        case WorkerState.UNRESPONSIVE:
            return [give_up(worker, reason)]
        case _:
            return [vanish(worker, reason)]


def _end(worker: HasHead, trigger: str, reason: Reason | None, **remark: Unpack[Remark]) -> Step:
    sets = {"current_load": 0, "reason": reason}
    return step(worker, WorkerState.SHUTDOWN, trigger, sets, reason=reason, **remark)
