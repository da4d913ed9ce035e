"""The UET worker, shown to people as a slot: a process of a run's pool that runs gates, commands and tools.

UET is the layer that runs one patch or one gate at a time (``src/maingate/uet``). The slot is the process
itself; the worker of the same number is the scheduler's view of it, by its heartbeat. So each job moves both.

A slot that is asked to stop while it is busy drains: it finishes the job it has and takes no other. A
process that dies with a job ends as ``crashed``, and its job is given to another slot.
"""

from enum import StrEnum

from maingate.state.machine import Machine


class UetWorkerState(StrEnum):
    """The states of an execution slot."""

    SPAWNING = "SPAWNING"
    """Its process is starting. The process's first message, or its failure to start, moves it on."""
    IDLE = "IDLE"
    """Waiting for a job. The pool moves it on: with a job, or by ending it."""
    BUSY = "BUSY"
    """It runs a job. The end of the job, a request to stop, or the death of the process moves it on."""
    DRAINING = "DRAINING"
    """It runs its last job. The end of that job moves it on."""
    TERMINATED = "TERMINATED"
    """The end: its process is gone."""


UET_WORKER = Machine(
    name="uet_worker",
    states=UetWorkerState,
    initial=UetWorkerState.SPAWNING,
    terminal=frozenset({UetWorkerState.TERMINATED}),
    table={
        UetWorkerState.SPAWNING: (
            (UetWorkerState.IDLE, "initialized"),
            (UetWorkerState.TERMINATED, "spawn_failed"),
        ),
        UetWorkerState.IDLE: (
            (UetWorkerState.BUSY, "task_assigned"),
            (UetWorkerState.TERMINATED, "shutdown_requested"),
        ),
        UetWorkerState.BUSY: (
            (UetWorkerState.IDLE, "task_finished"),
            (UetWorkerState.DRAINING, "shutdown_requested"),
            (UetWorkerState.TERMINATED, "crashed"),
        ),
        UetWorkerState.DRAINING: ((UetWorkerState.TERMINATED, "task_finished"),),
        UetWorkerState.TERMINATED: (),
    },
)
