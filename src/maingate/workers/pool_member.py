"""One worker as the pool sees it, what can happen to it, and which jobs it takes."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from maingate.ids import UetWorkerId
from maingate.reasons import ReasonCode
from maingate.state.worker import WorkerState
from maingate.uet.process.gate_runner import GateOutcome
from maingate.workers.local.slots import Slot
from maingate.workers.local.worker_process import WorkerProcess
from maingate.workers.protocol import GateJob, Result

_REMEMBERED: Final = 64
"""How many of a worker's jobs are remembered, to know an answer that comes late or twice."""


class Change(StrEnum):
    """What can happen to a worker; each moves it, and its slot, on their machines.

    See docs/SPECIFICATION.md §1.5, §2.1.
    """

    SPAWNED = "spawned"
    READY = "ready"
    ASSIGNED = "assigned"
    FINISHED = "finished"
    FELL_SILENT = "fell silent"
    """Its job was taken away; it may come back with empty hands."""
    RECOVERED = "recovered"
    DRAINING = "draining"
    """It finishes the job it has and takes no other."""
    ENDED = "ended"
    """As it was asked to."""
    LOST = "lost"
    """Its process is gone, and nobody asked it to go."""


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What a worker says of itself when it is registered; none of it ever changes.

    Args:
        uet_id: Its slot's process on record.
        slot: The number of its slot.
        pid: Its process; None when none could be started.
        pid_started: When that began, see ``process_tree.started``.
        capabilities: What it can do.
        affinity: What it is bound to.
    """

    uet_id: UetWorkerId
    slot: int
    pid: int | None = None
    pid_started: str = ""
    capabilities: frozenset[str] = frozenset()
    affinity: Mapping[str, str] = field(default_factory=dict)

    def suits(self, job: GateJob) -> bool:
        """Tell whether it holds every required capability and matches the affinity.

        See docs/SPECIFICATION.md §1.5.
        """
        return suits(job, self.capabilities, self.affinity)


def suits(job: GateJob, capabilities: frozenset[str], affinity: Mapping[str, str]) -> bool:
    """Tell whether a worker with these could ever take a job."""
    return capabilities.issuperset(job.requires) and job.affinity.items() <= affinity.items()


class PoolObserver(Protocol):
    """Who writes down what happens to workers. Called in the event loop; must not block."""

    def worker_changed(self, worker: Registration, change: Change, message: str) -> None:
        """Hear what happened to a worker, and why where there is something to say; first that it SPAWNED."""
        ...

    def worker_heard(self, uet_id: UetWorkerId) -> None:
        """Hear that a worker gave a sign of life."""
        ...

    def uet_job_started(self, job_id: str, uet_id: UetWorkerId) -> None:
        """Hear that a worker has been given a job."""
        ...


@dataclass(frozen=True, kw_only=True)
class WorkerLost:
    """A job's worker is gone, or silent, and there will be no outcome.

    Args:
        job_id: The job.
        attempt: Its attempt that was lost.
        uet_id: The worker; None when there was none for it.
        message: What happened to the worker.
        is_nobody_there: Whether no worker could be started at all: that is no fault of the job's.
        code: What to say of it: the worker is lost, or the worktree under it.
    """

    job_id: str
    attempt: int
    uet_id: UetWorkerId | None
    message: str
    is_nobody_there: bool = False
    code: ReasonCode = ReasonCode.WORKER_LOST


JobEnd = GateOutcome | WorkerLost


@dataclass(eq=False, kw_only=True)
class Waiting:
    """A job that somebody waits for.

    Args:
        has_company: Whether another job of the pool ran at any time while it did.
    """

    job: GateJob
    end: "asyncio.Future[JobEnd]"
    is_cancelled: bool = False
    has_company: bool = False

    def finish(self, end: JobEnd) -> None:
        """Tell the end, unless that was done."""
        if not self.end.done():
            self.end.set_result(end)

    def lose(
        self,
        uet_id: UetWorkerId | None,
        message: str,
        *,
        is_nobody_there: bool = False,
        code: ReasonCode = ReasonCode.WORKER_LOST,
    ) -> None:
        """Tell that there will be no outcome; nobody minds who did not want one."""
        job = self.job
        lost = WorkerLost(
            job_id=job.job_id,
            attempt=job.attempt,
            uet_id=uet_id,
            message=message,
            is_nobody_there=is_nobody_there,
            code=code,
        )
        self.finish(cancelled(job) if self.is_cancelled else lost)


def cancelled(job: GateJob) -> GateOutcome:
    """Return the outcome of a job that was cancelled and has no other."""
    return GateOutcome(passed=False, cancelled=True, message=f"{job.gate.name} was cancelled")


def _set_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass(eq=False, kw_only=True)
class Member:
    """One worker of a pool.

    Args:
        slot: The slot it works in.
        registration: Who it is.
        state: Where it is on the machine of workers.
        process: Its process; None when none could be started.
        current: The job that it has.
        past: The jobs and attempts that it was given.
        commit: Where its worktree is.
        idle_since: When it had nothing to do any more, on the pool's clock.
        is_leaving: It was asked to end.
        is_doomed: It is being killed.
        is_free: Set while it has no job.
    """

    slot: Slot
    registration: Registration
    state: WorkerState = WorkerState.INITIALIZING
    process: WorkerProcess | None = None
    current: Waiting | None = None
    past: "deque[tuple[str, int]]" = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    commit: str = ""
    idle_since: float = 0.0
    is_leaving: bool = False
    is_doomed: bool = False
    is_free: asyncio.Event = field(default_factory=_set_event)

    @property
    def uet_id(self) -> UetWorkerId:
        """Its id."""
        return self.registration.uet_id

    @property
    def is_idle(self) -> bool:
        """Whether it could be given a job now."""
        return self.state is WorkerState.IDLE and not self.is_leaving and not self.is_doomed

    @property
    def has_left(self) -> bool:
        """Whether its end, when its process has ended, is that which it was asked for."""
        was_there = self.state is not WorkerState.INITIALIZING
        return was_there and self.is_leaving and not self.is_doomed and self.current is None

    @property
    def counts(self) -> bool:
        """Whether it is one of those that the pool may have at most; a silent one may be replaced."""
        return self.state is not WorkerState.UNRESPONSIVE

    def take_on(self, waiting: Waiting) -> None:
        """Give it a job."""
        self.state, self.current, self.commit = WorkerState.BUSY, waiting, waiting.job.commit
        self.past.append((waiting.job.job_id, waiting.job.attempt))
        self.is_free.clear()

    def let_go(self) -> Waiting | None:
        """Take its job away and return it."""
        waiting, self.current = self.current, None
        self.is_free.set()
        return waiting

    def answers(self, result: Result) -> bool:
        """Whether a result is that of the job, and of the attempt, that it has."""
        return self.current is not None and self.past[-1] == (result.job_id, result.attempt)

    def answers_late(self, result: Result) -> bool:
        """Whether a result is that of a job that it had, so that it comes too late or again."""
        return (result.job_id, result.attempt) in self.past
