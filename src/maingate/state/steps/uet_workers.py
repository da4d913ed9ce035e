"""Transitions of UET workers."""

from typing import Unpack

from maingate.reasons import Reason
from maingate.state.steps.step import HasHead, Note, Remark, Step, step
from maingate.state.uet_worker import UetWorkerState


def ready(uet_worker: HasHead, **note: Unpack[Note]) -> Step:
    """Record that its process is ready for jobs."""
    return step(uet_worker, UetWorkerState.IDLE, "initialized", **note)


def assign(uet_worker: HasHead, **note: Unpack[Note]) -> Step:
    """Assign a job."""
    return step(uet_worker, UetWorkerState.BUSY, "task_assigned", **note)


def finish(uet_worker: HasHead, **note: Unpack[Note]) -> Step:
    """Record that its job is done."""
    return step(uet_worker, UetWorkerState.IDLE, "task_finished", **note)


def drain(uet_worker: HasHead, **note: Unpack[Note]) -> Step:
    """Drain: it finishes its job and stops."""
    return step(uet_worker, UetWorkerState.DRAINING, "shutdown_requested", **note)


def drained(uet_worker: HasHead, **note: Unpack[Note]) -> Step:
    """Terminate: its last job is done."""
    return step(uet_worker, UetWorkerState.TERMINATED, "task_finished", **note)


def shut_down(uet_worker: HasHead, **note: Unpack[Note]) -> Step:
    """Terminate while idle."""
    return step(uet_worker, UetWorkerState.TERMINATED, "shutdown_requested", **note)


def crash(uet_worker: HasHead, reason: Reason, **remark: Unpack[Remark]) -> Step:
    """Record that its process ended in the middle of a job."""
    return step(uet_worker, UetWorkerState.TERMINATED, "crashed", {"reason": reason}, reason=reason, **remark)


def lose(uet_worker: HasHead, reason: Reason) -> Step:
    """Terminate from any state because its process is gone."""
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
