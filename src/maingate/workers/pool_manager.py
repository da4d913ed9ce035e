"""The pool of UET workers: gate jobs in, outcomes out, no process left behind.

Workers are started when jobs need them, up to ``size``, and end when they had nothing to do for a while, down
to ``minimum``. Each owns a slot (a folder of worktrees), which is locked, so that two runs of one repository
take different ones, and kept, so that the next run finds it warm.

A worker that dies or talks nonsense is replaced, and the job it had comes back as ``WorkerLost``: whether to
run it again is the caller's decision. One that falls silent loses its job too, but gets a recovery window
before it is ended: what it then answers is recognised by job and attempt, and ignored.

Jobs start in the order of (priority, asking). An exclusive job waits until nothing runs, and from the moment
it is next nothing else starts: it cannot be starved.
"""

import asyncio
import contextlib
import heapq
import itertools
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, Self

from maingate.errors import WorkerError, WorkerProtocolError
from maingate.ids import UetWorkerId, new_id
from maingate.reasons import ReasonCode
from maingate.state.worker import WorkerState
from maingate.system.process_tree import started
from maingate.uet.process.command import CommandResult
from maingate.uet.process.environment import allowed_environment
from maingate.workers.backend import JobEnd, WorkerLost, cancelled
from maingate.workers.heartbeat_monitor import HeartbeatMonitor, Verdict
from maingate.workers.jobs import Job
from maingate.workers.local.fork_server import ForkServer
from maingate.workers.local.protocol import Cancel, Heartbeat, Message, Ready, Result, Shutdown
from maingate.workers.local.slots import Slots
from maingate.workers.local.worker_process import WorkerProcess
from maingate.workers.pool_member import Member, Waiting
from maingate.workers.registry import PoolObserver, Registration, WorkerChange, suits

__all__ = ["JobEnd", "PoolManager", "PoolObserver", "Registration", "WorkerChange", "WorkerLost"]

_START_ATTEMPTS: Final = 3
"""Workers that may end in a row before they were ready; then their jobs are given back."""
_END_PATIENCE: Final = 10.0
"""Seconds an idle worker may take to end when asked; it takes milliseconds."""
_CANCEL_PATIENCE: Final = 1.5
"""Seconds a worker may take to end a cancelled job: it may be in the middle of a checkout."""
_CHECKOUT_PATIENCE: Final = 600.0
"""Seconds that a job may take beyond its commands, for moving the worktree."""
_HEARTBEATS_PER_INTERVAL: Final = 3
"""How often a worker speaks in the time in which it is waited for once."""
_QUICKEST_HEARTBEAT: Final = 0.02
_LONGEST_PAUSE: Final = 1.0

_COMPLAINTS: Final = {
    Verdict.GONE: "it was not heard of for too long",
    Verdict.GIVEN_UP: "it did not recover in time",
    Verdict.OVERDUE: "it lives, but did not end what it was at",
}


class PoolManager:
    """Runs gate jobs on UET worker processes.

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
        observer: Who hears of the workers' states.
        environment: The environment of workers and gates; by default what ``allowed_environment`` picks.
        capabilities: What its workers can do.
        affinity: What its workers are bound to.
        clock: Tells seconds that never go backwards.
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
        observer: PoolObserver | None = None,
        environment: Mapping[str, str] | None = None,
        capabilities: tuple[str, ...] = (),
        affinity: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._size, self._minimum, self._idle_time = size, min(minimum, size), idle_time
        self._heartbeat, self._silence = heartbeat, f"{misses * heartbeat:g} s"
        self._monitor: HeartbeatMonitor[Member] = HeartbeatMonitor(
            interval=heartbeat, misses=misses, recovery_window=recovery_window
        )
        self._slots_dir = slots_dir.absolute()
        self._slots = Slots(self._slots_dir, locks_dir.absolute())
        self._source, self._observer, self._clock = source_git_dir.absolute(), observer, clock
        self._environment = allowed_environment(os.environ) if environment is None else dict(environment)
        self._capabilities, self._affinity = frozenset(capabilities), dict(affinity or {})
        self._queue: list[tuple[int, int, Waiting]] = []
        self._order = itertools.count()
        self._members: list[Member] = []
        self._failed_starts = 0
        self._reserved: Waiting | None = None
        self._is_open = False
        self._server = ForkServer(
            self._environment,
            self._slots_dir,
            on_ready=self._go_on,
            on_failure=partial(self._could_not_start, None),
        )
        self._watching: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self.ignored_answers = 0
        """How many results came too late, or again."""

    @property
    def running(self) -> dict[str, UetWorkerId]:
        """The jobs that run now, and where."""
        return {member.current.job.job_id: member.uet_id for member in self._members if member.current}

    @property
    def waiting(self) -> int:
        """How many jobs wait for a worker."""
        return sum(not waiting.end.done() for waiting in self._queued())

    @property
    def workers(self) -> int:
        """How many worker processes there are."""
        return len(self._members)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        await self.stop(cancel_running=error is not None)

    async def start(self, *, soon: bool = False) -> None:
        """Accept jobs, once what earlier pools left running is ended; doing it again changes nothing.

        Args:
            soon: There will be a job soon: what workers are made from is made ready already.

        Raises:
            WorkerError: The folder for the slots cannot be made.
        """
        if self._is_open:
            return
        if soon:
            self._server.start()
        try:
            self._slots.make()
            await asyncio.to_thread(self._slots.end_orphans)
        except OSError as error:
            self._server.close()
            raise WorkerError(f"there is no place for worktrees at {self._slots_dir}: {error}") from error
        self._is_open, self._stopping = True, None
        self._watching = asyncio.get_running_loop().create_task(self._watch(), name="watch of the pool")
        self._dispatch()

    async def run(self, job: Job) -> JobEnd:
        """Run a job when its turn comes. Cancelling the caller cancels the job.

        Returns:
            How the gate ended, or that its worker was lost, or that no worker here could ever take it.

        Raises:
            WorkerError: The pool was not started, or was stopped.
        """
        if not self._is_open:
            raise WorkerError("the pool of UET workers does not run; start it first")
        if not suits(job, self._capabilities, self._affinity):
            return self._unsuited(job)
        if not self._members:
            self._failed_starts = 0
        waiting = Waiting(job=job, end=asyncio.get_running_loop().create_future())
        heapq.heappush(self._queue, (-job.priority, next(self._order), waiting))
        self._dispatch()
        try:
            return await waiting.end
        finally:
            if waiting.end.cancelled():
                self.cancel(job.job_id)

    def cancel(self, job_id: str) -> None:
        """Let a job end without a verdict, waiting or running. One that is not known has ended already."""
        for waiting in self._queued():
            if waiting.job.job_id == job_id:
                waiting.finish(cancelled(waiting.job))
        for member in self._members:
            if member.current and member.process and member.current.job.job_id == job_id:
                member.current.is_cancelled = True
                member.process.send(Cancel(job_id=job_id))
                loop = asyncio.get_running_loop()
                loop.call_later(_CANCEL_PATIENCE, self._insist, member, member.current)
        self._go_on()

    async def stop(self, *, cancel_running: bool = False) -> None:
        """End everything: what waits is cancelled, what runs may finish. No process is left.

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
        """Look after the workers: who is silent, who is stuck, who has nothing to do; happens by itself."""
        now = self._clock()
        for member, verdict in self._monitor.look(now):
            if verdict is Verdict.UNRESPONSIVE:
                self._take_away(member)
            else:
                self._put_down(member, _COMPLAINTS[verdict])
        if self._is_open:
            self._shrink(now)
            self._dispatch()

    # -- looking after workers -------------------------------------------------------------------------------

    async def _watch(self) -> None:
        pause = min(_LONGEST_PAUSE, self._heartbeat / 4)
        while True:
            await asyncio.sleep(pause)
            self.run_once()

    def _take_away(self, member: Member) -> None:
        """Let a silent worker's job be done by another; if it hears anything, it hears to let it be."""
        waiting, member.state = member.let_go(), WorkerState.UNRESPONSIVE
        message = f"UET worker {member.registration.pid} was not heard of for {self._silence}"
        self._tell(member, WorkerChange.FELL_SILENT, message)
        if waiting is not None:
            if member.process is not None:
                member.process.send(Cancel(job_id=waiting.job.job_id))
            waiting.lose(member.uet_id, message)
        if member.is_leaving:
            self._put_down(member, _COMPLAINTS[Verdict.GONE])

    def _put_down(self, member: Member, complaint: str) -> None:
        """Kill a worker and all that it has started; what it leaves is seen to when it has ended."""
        member.is_doomed = True
        self._monitor.leave(member)
        if member.process is not None:
            member.process.end(complaint)

    def _insist(self, member: Member, waiting: Waiting) -> None:
        """End a worker that is still at a job which was cancelled a while ago."""
        if member.current is waiting:
            self._put_down(member, "it did not end a cancelled job in time")

    def _recover(self, member: Member) -> None:
        """Take a silent worker back that works on nothing any more."""
        if member.state is not WorkerState.UNRESPONSIVE or member.is_doomed:
            return
        member.state, member.idle_since = WorkerState.IDLE, self._clock()
        self._monitor.freed(member)
        self._tell(member, WorkerChange.RECOVERED)
        if member.is_leaving or self._count() > self._size:
            self._send_home(member)

    def _shrink(self, now: float) -> None:
        """Send home who has had nothing to do for a while, the longest idle first."""
        spare = self._count() - self._minimum
        if spare <= 0:
            return
        idle = [each for each in self._members if each.is_idle and now - each.idle_since >= self._idle_time]
        for member in sorted(idle, key=lambda each: each.idle_since)[:spare]:
            self._send_home(member)

    def _send_home(self, member: Member) -> None:
        """Ask a worker to end when it has done what it is at."""
        member.is_leaving = True
        if member.state is WorkerState.BUSY:
            self._tell(member, WorkerChange.DRAINING)
        else:
            self._monitor.freed(member, due_at=self._clock() + _END_PATIENCE)
        if member.process is not None:
            member.process.send(Shutdown())

    def _count(self) -> int:
        return sum(member.counts for member in self._members)

    async def _end_all(self) -> None:
        for waiting in self._queued():
            waiting.finish(cancelled(waiting.job))
        self._queue, self._reserved = [], None
        await asyncio.gather(*(self._see_off(member) for member in list(self._members)))
        self._server.close()
        self._slots.release()
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching

    async def _see_off(self, member: Member) -> None:
        """Let a worker finish what it does, and end."""
        if member.process is None:
            return
        if member.state is WorkerState.UNRESPONSIVE:
            self._put_down(member, "it was silent when the pool ended")
        elif not member.is_leaving:
            self._send_home(member)
        await member.is_free.wait()
        try:
            await asyncio.wait_for(member.process.ended(), _END_PATIENCE)
        except TimeoutError:
            self._put_down(member, "it did not end when asked to")
            await member.process.ended()

    # -- handing out jobs ------------------------------------------------------------------------------------

    def _queued(self) -> list[Waiting]:
        reserved = [] if self._reserved is None else [self._reserved]
        return [*reserved, *(waiting for _, _, waiting in sorted(self._queue))]

    def _dispatch(self) -> None:
        """Give jobs to workers while both are there, and start workers that are missing."""
        while (waiting := self._next()) is not None and self._may_start(waiting.job):
            member = self._idle_member(waiting.job)
            if member is None:
                break
            self._take_from_queue(waiting)
            self._hand(waiting, member)
        self._grow()

    def _go_on(self) -> None:
        if self._is_open:
            self._dispatch()

    def _next(self) -> Waiting | None:
        """Return the job whose turn it is; one that nobody waits for any more is dropped."""
        if self._reserved is not None and self._reserved.end.done():
            self._reserved = None
        while self._queue and self._queue[0][2].end.done():
            heapq.heappop(self._queue)
        if self._reserved is None and self._queue and self._queue[0][2].job.exclusive:
            self._reserved = heapq.heappop(self._queue)[2]
        return self._reserved or (self._queue[0][2] if self._queue else None)

    def _may_start(self, job: Job) -> bool:
        """Whether the jobs that run allow this one beside them."""
        current = [member.current.job for member in self._members if member.current]
        return not current if job.exclusive else not any(other.exclusive for other in current)

    def _take_from_queue(self, waiting: Waiting) -> None:
        if self._reserved is waiting:
            self._reserved = None
        else:
            heapq.heappop(self._queue)

    def _idle_member(self, job: Job) -> Member | None:
        """Pick an idle worker that the job may have, preferably one whose worktree is at the commit."""
        idle = [member for member in self._members if member.is_idle and member.registration.suits(job)]
        return max(idle, key=lambda member: member.commit == job.commit, default=None)

    def _hand(self, waiting: Waiting, member: Member) -> None:
        self._note_company(waiting)
        member.take_on(waiting)
        due_at = self._clock() + waiting.job.longest + _CHECKOUT_PATIENCE
        self._monitor.assigned(member, due_at=due_at)
        if member.process is not None:
            member.process.send(waiting.job)
        self._tell(member, WorkerChange.ASSIGNED)
        if self._observer is not None:
            self._observer.uet_job_started(waiting.job.job_id, member.uet_id)

    def _note_company(self, waiting: Waiting) -> None:
        """Remember of a job that begins, and of those that run, that they were not alone."""
        for other in self._members:
            if other.current is not None:
                other.current.has_company = waiting.has_company = True
            elif other.state is WorkerState.UNRESPONSIVE:  # its job was taken away, and may still be running
                waiting.has_company = True

    def _unsuited(self, job: Job) -> WorkerLost:
        wanted = [
            *sorted(set(job.requires) - self._capabilities),
            *(f"{k}={v}" for k, v in job.affinity.items()),
        ]
        message = f"no worker here can ever run {job.command.name}: it needs {', '.join(wanted)}"
        return WorkerLost(job_id=job.job_id, attempt=job.attempt, uet_id=None, message=message)

    # -- the life of workers ---------------------------------------------------------------------------------

    def _grow(self) -> None:
        """Start as many workers as jobs wait for, and as there are to be at least, unless they fail to."""
        present = self._count()
        waiting = 0 if present >= self._size else self._wanted()
        if self._failed_starts and not waiting:
            return
        if self._failed_starts >= _START_ATTEMPTS and present:
            return
        starting = sum(member.state is WorkerState.INITIALIZING for member in self._members)
        missing = min(max(waiting - starting, self._minimum - present), self._size - present)
        if missing > 0 and not self._server.is_ready:
            self._server.start()
            return
        for _ in range(missing):
            self._spawn()

    def _wanted(self) -> int:
        """Count the jobs that could begin if there were workers."""
        following = self._next()
        if following is None or not self._may_start(following.job):
            return 0
        return 1 if self._reserved is not None else self.waiting

    def _spawn(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            slot = self._slots.take()
        except OSError as error:
            loop.call_soon(self._could_not_start, None, f"no slot can be had in {self._slots_dir}: {error}")
            return
        registration = Registration(
            uet_id=UetWorkerId(new_id("uet")),
            slot=slot.number,
            capabilities=self._capabilities,
            affinity=self._affinity,
        )
        member = Member(slot=slot, registration=registration)
        self._members.append(member)
        self._monitor.enter(member, self._clock())
        try:
            member.process = WorkerProcess(
                slot_dir=slot.path,
                source_git_dir=self._source,
                heartbeat=max(self._heartbeat / _HEARTBEATS_PER_INTERVAL, _QUICKEST_HEARTBEAT),
                locks=slot.locks,
                server=self._server,
                on_message=partial(self._hear, member),
                on_end=partial(self._bury, member),
            )
            pid = member.process.pid
            member.registration = replace(registration, pid=pid, pid_started=started(pid))
        except OSError as error:
            loop.call_soon(self._bury, member, f"no process can be started: {error}")
        self._tell(member, WorkerChange.SPAWNED)

    def _hear(self, member: Member, message: Message) -> None:
        self._monitor.heard(member, self._clock())
        if self._observer is not None:
            self._observer.worker_heard(member.uet_id)
        match message:
            case Ready() if member.state is WorkerState.INITIALIZING:
                self._failed_starts = 0
                member.state, member.idle_since = WorkerState.IDLE, self._clock()
                self._tell(member, WorkerChange.READY)
            case Result() if member.answers(message):
                self._settle(member, message.outcome)
            case Result() if member.answers_late(message):
                self.ignored_answers += 1
                if member.past[-1] == (message.job_id, message.attempt):
                    self._recover(member)
            case Heartbeat(job_id=None):
                self._recover(member)
            case Heartbeat():
                return
            case _:
                raise WorkerProtocolError(f"it said what nobody asked: {message}")
        self._go_on()

    def _settle(self, member: Member, outcome: CommandResult) -> None:
        waiting = member.let_go()
        if member.is_leaving:
            self._monitor.freed(member, due_at=self._clock() + _END_PATIENCE)
        else:
            member.state, member.idle_since = WorkerState.IDLE, self._clock()
            self._monitor.freed(member)
            self._tell(member, WorkerChange.FINISHED)
        if waiting is None:
            return
        if doubt := _doubt(member, waiting, outcome):
            code, complaint = doubt
            message = f"UET worker {member.registration.pid}: {complaint}"
            waiting.lose(member.uet_id, message, code=code)
            self._put_down(member, complaint)
        else:
            waiting.finish(replace(outcome, had_company=waiting.has_company))

    def _bury(self, member: Member, message: str) -> None:
        """Take leave of a worker whose process has ended, and give its job back."""
        change = WorkerChange.ENDED if member.has_left else WorkerChange.LOST
        never_was = member.state is WorkerState.INITIALIZING
        waiting = member.let_go()
        self._monitor.leave(member)
        self._members.remove(member)
        self._slots.put_back(member.slot)
        self._tell(member, change, message)
        if waiting is not None:
            waiting.lose(member.uet_id, message)
        if never_was:
            self._could_not_start(member.uet_id, message)
        else:
            self._go_on()

    def _could_not_start(self, uet_id: UetWorkerId | None, message: str) -> None:
        """Try again some times; then make do with the workers there are, or give the waiting jobs back."""
        self._failed_starts += 1
        if self._failed_starts >= _START_ATTEMPTS and not self._count():
            for waiting in self._queued():
                waiting.lose(uet_id, message, has_no_worker=True)
        self._go_on()

    def _tell(self, member: Member, change: WorkerChange, message: str = "") -> None:
        if self._observer is not None:
            self._observer.worker_changed(member.registration, change, message)


def _doubt(member: Member, waiting: Waiting, outcome: CommandResult) -> tuple[ReasonCode, str] | None:
    """Return why what a worker reports is not to be believed; None when it is."""
    if outcome.cancelled and not waiting.is_cancelled:
        return ReasonCode.WORKER_LOST, "it was told to end, and not by Maingate"
    # A worker removes a worktree itself that it cannot make ready, but never its locks.
    slot, has_failed = member.slot, outcome.fault == "worktree_failed"
    if slot.is_held if has_failed else slot.is_whole:
        return None
    return ReasonCode.WORKTREE_FAILED, f"its worktree {slot.path} was removed while the job ran"
