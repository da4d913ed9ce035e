"""The worker: a process that takes jobs, or that controls a run, on one host, known by its heartbeat.

Only a busy worker can become ``unresponsive``: the outcome of its task is unknown until its next heartbeat or
until its recovery window ends. A silent idle worker holds no task and is shut down.
"""

from enum import StrEnum

from maingate.state.machine import Machine


class WorkerState(StrEnum):
    """The states of a worker."""

    INITIALIZING = "initializing"
    """Announced. Its registration moves it on."""
    IDLE = "idle"
    """Free to take a task. The scheduler, an operator or the heartbeat monitor moves it on."""
    BUSY = "busy"
    """It holds tasks. The worker moves it on, an operator, or the heartbeat monitor when it is silent."""
    UNRESPONSIVE = "unresponsive"
    """Silent while holding a task. The next heartbeat, or the end of the recovery window, moves it on."""
    SHUTDOWN = "shutdown"
    """The end: it takes no more tasks."""


WORKER = Machine(
    name="worker",
    states=WorkerState,
    initial=WorkerState.INITIALIZING,
    terminal=frozenset({WorkerState.SHUTDOWN}),
    table={
        WorkerState.INITIALIZING: (
            (WorkerState.IDLE, "registered"),
            (WorkerState.SHUTDOWN, "registration_failed"),
        ),
        WorkerState.IDLE: (
            (WorkerState.BUSY, "task_assigned"),
            (WorkerState.SHUTDOWN, "shutdown_requested"),
            (WorkerState.SHUTDOWN, "heartbeat_missed"),
        ),
        WorkerState.BUSY: (
            (WorkerState.IDLE, "task_finished"),
            (WorkerState.UNRESPONSIVE, "heartbeat_missed"),
            (WorkerState.SHUTDOWN, "shutdown_requested"),
        ),
        WorkerState.UNRESPONSIVE: (
            (WorkerState.IDLE, "heartbeat_recovered"),
            (WorkerState.SHUTDOWN, "recovery_window_exceeded"),
        ),
        WorkerState.SHUTDOWN: (),
    },
    extensions={
        (WorkerState.INITIALIZING, WorkerState.SHUTDOWN, "registration_failed"): (
            "a worker that never registers does not stay forever"
        ),
        (WorkerState.IDLE, WorkerState.SHUTDOWN, "heartbeat_missed"): (
            "an idle worker that vanished has nothing to recover"
        ),
    },
)
