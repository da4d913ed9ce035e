"""The pool of UET workers: gate jobs in, outcomes out, no process left behind.

Workers are started when jobs need them, up to ``size``, and stay. Each owns a slot (a folder of worktrees),
which is locked, so that two runs of one repository take different ones, and kept, so that the next run finds
it warm. A worker that dies, or talks nonsense, is replaced, and the job it had comes back as ``WorkerLost``:
whether to run it again is the caller's decision.

Jobs start in the order of (priority, asking). An exclusive job waits until nothing runs, and from the moment
it is next nothing else starts: it cannot be starved.
"""

import asyncio
import fcntl
import heapq
import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Protocol, Self

from headgate.errors import WorkerError, WorkerProtocolError
from headgate.ids import UetWorkerId, new_id
from headgate.uet.gate_runner import GateOutcome, allowed_environment
from headgate.workers.protocol import Cancel, GateJob, Heartbeat, Message, Ready, Result, Shutdown
from headgate.workers.worker_process import WorkerProcess

_START_ATTEMPTS: Final = 3
"""Workers that may end in a row before they were ready; then their jobs are given back."""
_SLOTS: Final = 4096
_END_PATIENCE: Final = 10.0
"""Seconds an idle worker may take to end when asked; it takes milliseconds."""


class PoolObserver(Protocol):
    """Who writes down what happens to workers. Called in the event loop; must not block."""

    def uet_worker_changed(self, uet_id: UetWorkerId, state: str, trigger: str, pid: int | None) -> None:
        """Hear of a worker's new state in its machine (SSOT §2.1); the first is SPAWNING, by ``created``."""
        ...

    def uet_job_started(self, job_id: str, uet_id: UetWorkerId) -> None:
        """Hear that a worker has been given a job."""
        ...


@dataclass(frozen=True, kw_only=True)
class WorkerLost:
    """A job's worker is gone and there will be no outcome.

    Args:
        job_id: The job.
        attempt: Its attempt that was lost.
        uet_id: The worker; None when none could be started for it.
        message: How the worker ended.
    """

    job_id: str
    attempt: int
    uet_id: UetWorkerId | None
    message: str


JobEnd = GateOutcome | WorkerLost


@dataclass(eq=False, kw_only=True)
class _Waiting:
    """A job that somebody waits for."""

    job: GateJob
    end: "asyncio.Future[JobEnd]"


@dataclass(eq=False, kw_only=True)
class _Slot:
    """A slot's folder and the descriptor that locks it."""

    path: Path
    lock: int


def _set_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass(eq=False, kw_only=True)
class _Worker:
    """One worker as the pool sees it."""

    uet_id: UetWorkerId
    slot: _Slot
    state: str = "SPAWNING"
    process: WorkerProcess | None = None
    current: _Waiting | None = None
    commit: str = ""
    is_free: asyncio.Event = field(default_factory=_set_event)


class PoolManager:
    """Runs gate jobs on UET worker processes.

    Args:
        size: The most workers there may be.
        slots_dir: Where the slots of this repository are; made when it is missing.
        source_git_dir: The repository's common git directory.
        observer: Who hears of the workers' states.
        environment: The environment of workers and gates; by default what ``allowed_environment`` picks.
        heartbeat: Seconds between signs of life of a worker.
    """

    def __init__(
        self,
        *,
        size: int,
        slots_dir: Path,
        source_git_dir: Path,
        observer: PoolObserver | None = None,
        environment: Mapping[str, str] | None = None,
        heartbeat: float = 5.0,
    ) -> None:
        self._size, self._slots_dir, self._source = size, slots_dir.absolute(), source_git_dir.absolute()
        self._observer, self._heartbeat = observer, heartbeat
        self._environment = allowed_environment(os.environ) if environment is None else dict(environment)
        self._queue: list[tuple[int, int, _Waiting]] = []
        self._order = itertools.count()
        self._workers: list[_Worker] = []
        self._free_slots: list[_Slot] = []
        self._failed_starts = 0
        self._reserved: _Waiting | None = None
        self._is_open = False
        self._stopping: asyncio.Task[None] | None = None

    @property
    def running(self) -> dict[str, UetWorkerId]:
        """The jobs that run now, and where."""
        return {worker.current.job.job_id: worker.uet_id for worker in self._workers if worker.current}

    @property
    def waiting(self) -> int:
        """How many jobs wait for a worker."""
        return sum(not waiting.end.done() for waiting in self._queued())

    @property
    def workers(self) -> int:
        """How many worker processes there are."""
        return len(self._workers)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        await self.stop(cancel_running=error is not None)

    async def start(self) -> None:
        """Accept jobs. Workers are started when there are some; doing it again changes nothing.

        Raises:
            WorkerError: The folder for the slots cannot be made.
        """
        if self._is_open:
            return
        try:
            self._slots_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkerError(f"there is no place for worktrees at {self._slots_dir}: {error}") from error
        self._is_open, self._stopping = True, None

    async def run(self, job: GateJob) -> JobEnd:
        """Run a job when its turn comes. Cancelling the caller cancels the job.

        Returns:
            How the gate ended, or that its worker was lost.

        Raises:
            WorkerError: The pool was not started, or was stopped.
        """
        if not self._is_open:
            raise WorkerError("the pool of UET workers does not run; start it first")
        waiting = _Waiting(job=job, end=asyncio.get_running_loop().create_future())
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
                self._finish(waiting, _cancelled(waiting.job))
        for worker in self._workers:
            if worker.current and worker.process and worker.current.job.job_id == job_id:
                worker.process.send(Cancel(job_id=job_id))
        if self._is_open:
            self._dispatch()

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

    async def _end_all(self) -> None:
        for waiting in self._queued():
            self._finish(waiting, _cancelled(waiting.job))
        self._queue, self._reserved = [], None
        await asyncio.gather(*(self._see_off(worker) for worker in list(self._workers)))
        for slot in self._free_slots:
            os.close(slot.lock)
        self._free_slots = []

    async def _see_off(self, worker: _Worker) -> None:
        """Let a worker finish what it does, and end."""
        if worker.process is None:
            return
        if worker.state == "BUSY":
            self._change(worker, "DRAINING", "shutdown_requested")
        worker.process.send(Shutdown())
        await worker.is_free.wait()
        try:
            await asyncio.wait_for(worker.process.ended(), _END_PATIENCE)
        except TimeoutError:
            worker.process.end("it did not end when asked to")
            await worker.process.ended()

    def _queued(self) -> list[_Waiting]:
        reserved = [] if self._reserved is None else [self._reserved]
        return [*reserved, *(waiting for _, _, waiting in sorted(self._queue))]

    def _dispatch(self) -> None:
        """Give jobs to workers while both are there, and start workers that are missing."""
        while (waiting := self._next()) is not None and self._may_start(waiting.job):
            worker = self._idle_worker(waiting.job)
            if worker is None:
                self._spawn_missing()
                return
            self._take_from_queue(waiting)
            self._hand(waiting, worker)

    def _next(self) -> _Waiting | None:
        """Return the job whose turn it is; one that nobody waits for any more is dropped."""
        if self._reserved is not None and self._reserved.end.done():
            self._reserved = None
        while self._queue and self._queue[0][2].end.done():
            heapq.heappop(self._queue)
        if self._reserved is None and self._queue and self._queue[0][2].job.exclusive:
            self._reserved = heapq.heappop(self._queue)[2]
        return self._reserved or (self._queue[0][2] if self._queue else None)

    def _may_start(self, job: GateJob) -> bool:
        """Whether the jobs that run allow this one beside them."""
        current = [worker.current.job for worker in self._workers if worker.current]
        return not current if job.exclusive else not any(other.exclusive for other in current)

    def _take_from_queue(self, waiting: _Waiting) -> None:
        if self._reserved is waiting:
            self._reserved = None
        else:
            heapq.heappop(self._queue)

    def _idle_worker(self, job: GateJob) -> _Worker | None:
        """Pick an idle worker, preferably one whose worktree is at the commit."""
        idle = [worker for worker in self._workers if worker.state == "IDLE"]
        return max(idle, key=lambda worker: worker.commit == job.commit, default=None)

    def _hand(self, waiting: _Waiting, worker: _Worker) -> None:
        worker.current, worker.commit = waiting, waiting.job.commit
        worker.is_free.clear()
        if worker.process is not None:
            worker.process.send(waiting.job)
        self._change(worker, "BUSY", "task_assigned")
        if self._observer is not None:
            self._observer.uet_job_started(waiting.job.job_id, worker.uet_id)

    def _spawn_missing(self) -> None:
        """Start a worker for every job that waits, as many as there may be, unless they fail to."""
        if self._failed_starts >= _START_ATTEMPTS and self._workers:
            return
        wanted = 1 if self._reserved is not None else self.waiting
        starting = sum(worker.state == "SPAWNING" for worker in self._workers)
        for _ in range(min(wanted - starting, self._size - len(self._workers))):
            self._spawn()

    def _spawn(self) -> None:
        uet_id = UetWorkerId(new_id("uet"))
        loop = asyncio.get_running_loop()
        try:
            slot = self._take_slot()
        except OSError as error:
            loop.call_soon(self._could_not_start, None, f"no slot can be had in {self._slots_dir}: {error}")
            return
        worker = _Worker(uet_id=uet_id, slot=slot)
        self._workers.append(worker)
        try:
            worker.process = WorkerProcess(
                slot_dir=slot.path,
                source_git_dir=self._source,
                environment=self._environment,
                heartbeat=self._heartbeat,
                lock=slot.lock,
                on_message=partial(self._hear, worker),
                on_end=partial(self._bury, worker),
            )
        except OSError as error:
            loop.call_soon(self._bury, worker, f"no process can be started: {error}")
        self._change(worker, "SPAWNING", "created")

    def _take_slot(self) -> _Slot:
        """Take a slot that no run holds: one of this pool's, or the first that can be locked."""
        if self._free_slots:
            return self._free_slots.pop()
        for number in range(_SLOTS):
            lock = os.open(self._slots_dir / f"{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            except OSError:
                os.close(lock)
                raise
            return _Slot(path=self._slots_dir / str(number), lock=lock)
        raise OSError(f"all {_SLOTS} are taken")

    def _hear(self, worker: _Worker, message: Message) -> None:
        match message:
            case Ready() if worker.state == "SPAWNING":
                self._failed_starts = 0
                self._change(worker, "IDLE", "initialized")
            case Result() if _answers(message, worker):
                self._settle(worker, message.outcome)
            case Heartbeat():
                return
            case _:
                raise WorkerProtocolError(f"it said what nobody asked: {message}")
        if self._is_open:
            self._dispatch()

    def _settle(self, worker: _Worker, outcome: GateOutcome) -> None:
        waiting, worker.current = worker.current, None
        worker.is_free.set()
        if worker.state == "BUSY":
            self._change(worker, "IDLE", "task_finished")
        if waiting is not None:
            self._finish(waiting, outcome)

    def _bury(self, worker: _Worker, message: str) -> None:
        """Take leave of a worker whose process has ended, and give its job back."""
        waiting, worker.current = worker.current, None
        was, trigger = worker.state, _LAST_TRIGGER[worker.state]
        self._workers.remove(worker)
        self._free_slots.append(worker.slot)
        self._change(worker, "TERMINATED", trigger)
        worker.is_free.set()
        if waiting is not None:
            self._finish(waiting, _lost(waiting.job, worker.uet_id, message))
        if was == "SPAWNING":
            self._could_not_start(worker.uet_id, message)
        elif self._is_open:
            self._dispatch()

    def _could_not_start(self, uet_id: UetWorkerId | None, message: str) -> None:
        """Try again some times; then make do with the workers there are, or give the waiting jobs back."""
        self._failed_starts += 1
        if self._failed_starts >= _START_ATTEMPTS and not self._workers:
            self._failed_starts = 0
            for waiting in self._queued():
                self._finish(waiting, _lost(waiting.job, uet_id, message))
        if self._is_open:
            self._dispatch()

    def _finish(self, waiting: _Waiting, end: JobEnd) -> None:
        if not waiting.end.done():
            waiting.end.set_result(end)

    def _change(self, worker: _Worker, state: str, trigger: str) -> None:
        worker.state = state
        if self._observer is not None:
            pid = worker.process.pid if worker.process is not None else None
            self._observer.uet_worker_changed(worker.uet_id, state, trigger, pid)


_LAST_TRIGGER: Final = {
    "SPAWNING": "spawn_failed",
    "IDLE": "shutdown_requested",
    "BUSY": "crashed",
    "DRAINING": "task_finished",
}
"""By what a worker in a state comes to its end; the machine knows no other way (SSOT §2.1)."""


def _answers(result: Result, worker: _Worker) -> bool:
    """Whether a result is that of the job, and of the attempt, that the worker was given."""
    if worker.current is None:
        return False
    job = worker.current.job
    return (result.job_id, result.attempt) == (job.job_id, job.attempt)


def _lost(job: GateJob, uet_id: UetWorkerId | None, message: str) -> WorkerLost:
    return WorkerLost(job_id=job.job_id, attempt=job.attempt, uet_id=uet_id, message=message)


def _cancelled(job: GateJob) -> GateOutcome:
    return GateOutcome(passed=False, cancelled=True, message=f"{job.gate.name} was cancelled before it began")
