"""One worker of a pool, and the job that it has."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from maingate.ids import UetWorkerId
from maingate.reasons import ReasonCode
from maingate.state.worker import WorkerState
from maingate.workers.backend import JobEnd, WorkerLost, cancelled
from maingate.workers.jobs import Job
from maingate.workers.local.protocol import Result
from maingate.workers.local.slots import Slot
from maingate.workers.local.worker_process import WorkerProcess
from maingate.workers.registry import Registration

_REMEMBERED: Final = 64
"""Number of a worker's last jobs that are known, to recognise an answer that comes late or twice."""


@dataclass(eq=False, kw_only=True)
class JobTicket:
    """A job whose end a caller waits for.

    Args:
        job: The job.
        end: Its end, once it is known.
        is_cancelled: Whether it was cancelled while it ran.
        has_company: Whether another job of the pool ran at any time while it did.
        ended: Called once its end is known.
    """

    job: Job
    end: "asyncio.Future[JobEnd]"
    is_cancelled: bool = False
    has_company: bool = False
    ended: Callable[[JobEnd], None] | None = None

    @property
    def is_done(self) -> bool:
        """True once its end is known."""
        return self.end.done()

    def finish(self, end: JobEnd) -> None:
        """Set the end, unless it is known already."""
        if not self.end.done():
            self.end.set_result(end)
            if self.ended is not None:
                self.ended(end)

    def lose(
        self,
        uet_id: UetWorkerId | None,
        message: str,
        *,
        has_no_worker: bool = False,
        code: ReasonCode = ReasonCode.WORKER_LOST,
    ) -> None:
        """Set the end of a job that comes to no result; one that was cancelled ends as cancelled."""
        job = self.job
        lost = WorkerLost(
            job_id=job.job_id,
            attempt=job.attempt,
            uet_id=uet_id,
            message=message,
            has_no_worker=has_no_worker,
            code=code,
        )
        self.finish(cancelled(job) if self.is_cancelled else lost)


def _set_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass(eq=False, kw_only=True)
class Member:
    """One worker of a pool.

    Args:
        slot: The slot it works in.
        registration: Its identity.
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
    current: JobTicket | None = None
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
        """True while it can be given a job."""
        return self.state is WorkerState.IDLE and not self.is_leaving and not self.is_doomed

    @property
    def has_left(self) -> bool:
        """True when it was asked to end, and had no job left."""
        was_there = self.state is not WorkerState.INITIALIZING
        return was_there and self.is_leaving and not self.is_doomed and self.current is None

    @property
    def counts(self) -> bool:
        """True while it counts towards the size of the pool; a silent one may be replaced."""
        return self.state is not WorkerState.UNRESPONSIVE

    def take_on(self, ticket: JobTicket) -> None:
        """Assign a job to it."""
        self.state, self.current, self.commit = WorkerState.BUSY, ticket, ticket.job.commit
        self.past.append((ticket.job.job_id, ticket.job.attempt))
        self.is_free.clear()

    def let_go(self) -> JobTicket | None:
        """Return its job, which it has no longer."""
        ticket, self.current = self.current, None
        self.is_free.set()
        return ticket

    def answers(self, result: Result) -> bool:
        """Return whether a result is that of the job, and of the attempt, that it has."""
        return self.current is not None and self.past[-1] == (result.job_id, result.attempt)

    def answers_late(self, result: Result) -> bool:
        """Return whether a result is that of a job that it had, so that it comes too late or again."""
        return (result.job_id, result.attempt) in self.past
