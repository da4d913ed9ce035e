"""The pool of UET workers: jobs in, results out, no process left behind.

A worker that dies or talks nonsense is replaced, and the job it had comes back as ``WorkerLost``: whether to
run it again is the caller's decision. One that falls silent loses its job too, but gets a recovery window
before it is ended: its late answer is recognised by job and attempt, and ignored.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Self

from maingate.errors import WorkerError
from maingate.git.filter_drivers import NONE, FilterDrivers
from maingate.ids import UetWorkerId
from maingate.uet.process.environment import allowed_environment
from maingate.workers.artifacts import Artifacts
from maingate.workers.backend import JobEnd, WorkerLost, cancelled
from maingate.workers.jobs import Job
from maingate.workers.local.lifecycle import Staffing
from maingate.workers.local.member import JobTicket, Member
from maingate.workers.local.supervisor import WorkerSupervisor
from maingate.workers.queue import JobQueue, may_start
from maingate.workers.registry import PoolObserver, suits

CHECK_PAUSE: Final = 1.0
"""Most seconds between checks of the workers."""


class PoolManager:
    """Runs jobs on UET worker processes of this machine.

    Args:
        size: The most workers there may be.
        minimum: How many there are even when nothing is to be done.
        idle_time: Seconds without a job after which a worker beyond those ends.
        heartbeat: Seconds between heartbeats.
        misses: How many of them a worker may miss.
        recovery_window: Seconds in which a silent worker may come back before it is ended.
        slots_dir: Where the slots of this repository are; made when it is missing.
        locks_dir: Where their locks are; made when it is missing.
        source_git_dir: The repository's common git directory.
        drivers: The filters that take part when files are written, and patches taken.
        remotes: The blob of the tags and remotes that jobs see; empty for none.
        artifacts: Where logs and patches of jobs are.
        observer: Told of the workers' states.
        environment: The environment of workers and gates. Defaults to what ``allowed_environment`` allows.
        capabilities: The abilities of its workers.
        affinity: The properties that its workers are bound to.
        clock: Seconds that never go backwards.
    """

    def __init__(
        self,
        *,
        size: int,
        minimum: int = 0,
        idle_time: float = 60.0,
        heartbeat: float = 60.0,
        misses: int = 2,
        recovery_window: float = 300.0,
        slots_dir: Path,
        locks_dir: Path,
        source_git_dir: Path,
        drivers: FilterDrivers = NONE,
        remotes: str = "",
        artifacts: Artifacts,
        observer: PoolObserver | None = None,
        environment: Mapping[str, str] | None = None,
        capabilities: tuple[str, ...] = (),
        affinity: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pause = min(CHECK_PAUSE, heartbeat / 4)
        self._capabilities, self._affinity = frozenset(capabilities), dict(affinity or {})
        self._clock = clock
        self._queue: JobQueue[JobTicket] = JobQueue()
        staffing = Staffing(
            size=size,
            minimum=min(minimum, size),
            idle_time=idle_time,
            heartbeat=heartbeat,
            slots_dir=slots_dir.absolute(),
            locks_dir=locks_dir.absolute(),
            source_git_dir=source_git_dir.absolute(),
            drivers=drivers,
            remotes=remotes,
            artifacts=artifacts,
            environment=allowed_environment(os.environ) if environment is None else dict(environment),
            capabilities=self._capabilities,
            affinity=self._affinity,
        )
        self._supervisor = WorkerSupervisor(
            staffing,
            misses=misses,
            recovery_window=recovery_window,
            clock=clock,
            observer=observer,
            on_change=self._dispatch,
            on_no_worker=self._give_back,
        )
        self._lifecycle = self._supervisor.lifecycle
        self._members = self._lifecycle.members
        self._is_open = False
        self._watching: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None

    @property
    def running(self) -> dict[str, UetWorkerId]:
        """The jobs that run now, and where."""
        return {member.current.job.job_id: member.uet_id for member in self._members if member.current}

    @property
    def waiting(self) -> int:
        """The number of jobs that wait for a worker."""
        return len(self._queue.tickets())

    @property
    def workers(self) -> int:
        """The number of worker processes."""
        return len(self._members)

    @property
    def ignored_answers(self) -> int:
        """The number of results that came too late, or again."""
        return self._supervisor.ignored_answers

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        await self.stop(cancel_running=error is not None)

    async def start(self, *, soon: bool = False) -> None:
        """Accept jobs, once what earlier pools left running is ended; doing it again changes nothing.

        Args:
            soon: There will be a job soon, so the fork server of the workers is made ready already.

        Raises:
            WorkerError: The folder for the slots cannot be made.
        """
        if self._is_open:
            return
        await self._lifecycle.open(soon=soon)
        self._is_open, self._stopping = True, None
        self._watching = asyncio.get_running_loop().create_task(self._watch(), name="watch of the pool")
        self._dispatch()

    async def run(self, job: Job, *, ended: Callable[[JobEnd], None] | None = None) -> JobEnd:
        """Run a job when its turn comes. Cancelling the caller cancels the job.

        Args:
            job: The job.
            ended: Called once its end is known, before another job starts in its place.

        Returns:
            How the command ended, or that its worker was lost, or that no worker here could ever take it.

        Raises:
            WorkerError: The pool was not started, or was stopped.
        """
        if not self._is_open:
            raise WorkerError("the pool of UET workers does not run; start it first")
        if not suits(job, self._capabilities, self._affinity):
            return self._unsuited(job)
        self._lifecycle.try_again()
        ticket = JobTicket(job=job, end=asyncio.get_running_loop().create_future(), ended=ended)
        self._queue.add(ticket)
        self._dispatch()
        try:
            return await ticket.end
        finally:
            if ticket.end.cancelled():
                self.cancel(job.job_id)

    def cancel(self, *job_ids: str) -> None:
        """End jobs without a verdict, waiting or running; one that is not known has ended already."""
        for ticket in self._queue.tickets():
            if ticket.job.job_id in job_ids:
                ticket.finish(cancelled(ticket.job))
        for job_id in job_ids:
            self._supervisor.cancel(job_id)
        self._dispatch()

    async def stop(self, *, cancel_running: bool = False) -> None:
        """End everything: waiting jobs are cancelled, running ones may finish. No process is left.

        Args:
            cancel_running: Cancel what runs as well; also while another ``stop`` waits for it.
        """
        if self._is_open:
            self._is_open = False
            self._stopping = asyncio.get_running_loop().create_task(self._end_all(), name="stop of the pool")
        if cancel_running:
            for job_id in self.running:
                self.cancel(job_id)
        if self._stopping is not None:
            await asyncio.shield(self._stopping)

    def run_once(self) -> None:
        """Check the workers: which are silent, which are stuck, which are idle; happens by itself."""
        now = self._clock()
        self._supervisor.check(now)
        if self._is_open:
            self._lifecycle.shrink(now)
            self._dispatch()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._pause)
            self.run_once()

    async def _end_all(self) -> None:
        for ticket in self._queue.tickets():
            ticket.finish(cancelled(ticket.job))
        self._queue.clear()
        await self._lifecycle.end_all()
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching

    # -- handing out jobs ------------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        """Assign jobs to workers while both are there, and start workers that are missing."""
        if not self._is_open:
            return
        while (ticket := self._queue.next()) is not None and may_start(ticket.job, self._current_jobs()):
            member = self._idle_member(ticket.job)
            if member is None:
                break
            self._queue.remove_next()
            self._supervisor.assign(ticket, member)
        startable = self._queue.startable(self._current_jobs()) if self._lifecycle.has_room else 0
        self._lifecycle.grow(startable)

    def _current_jobs(self) -> list[Job]:
        return [member.current.job for member in self._members if member.current]

    def _idle_member(self, job: Job) -> Member | None:
        """Return an idle worker that the job may have, preferably one whose worktree is at the commit."""
        idle = [member for member in self._members if member.is_idle and member.registration.suits(job)]
        return max(idle, key=lambda member: member.commit == job.commit, default=None)

    def _unsuited(self, job: Job) -> WorkerLost:
        missing = [
            *sorted(set(job.requires) - self._capabilities),
            *(f"{k}={v}" for k, v in job.affinity.items()),
        ]
        message = f"no worker here can ever run {job.command.name}: it needs {', '.join(missing)}"
        return WorkerLost(job_id=job.job_id, attempt=job.attempt, uet_id=None, message=message)

    def _give_back(self, uet_id: UetWorkerId | None, message: str) -> None:
        """End every job that waits: no worker can be started."""
        for ticket in self._queue.tickets():
            ticket.lose(uet_id, message, has_no_worker=True)
