"""The life of a pool's worker processes: as many as are needed, and none is left behind.

Workers are started when jobs need them, up to ``size``, and end when they had nothing to do for a while, down
to ``minimum``. Each owns a slot (a folder of worktrees), which is locked, so that two runs of one repository
take different ones, and kept, so that the next run finds it warm.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from maingate.errors import WorkerError
from maingate.git.filter_drivers import FilterDrivers
from maingate.ids import UetWorkerId, new_id
from maingate.state.worker import WorkerState
from maingate.system.process_table import started
from maingate.workers.artifacts import Artifacts
from maingate.workers.heartbeat_monitor import HeartbeatMonitor
from maingate.workers.local.fork_server import ForkServer
from maingate.workers.local.member import Member
from maingate.workers.local.protocol import Message, Shutdown
from maingate.workers.local.slots import Slots
from maingate.workers.local.worker_process import WorkerProcess
from maingate.workers.registry import PoolObserver, Registration, WorkerChange

_START_ATTEMPTS: Final = 3
"""Workers that may end in a row before they were ready; then their jobs are given back."""
END_PATIENCE: Final = 10.0
"""Seconds an idle worker may take to end when it was asked to; it takes milliseconds."""
_HEARTBEATS_PER_INTERVAL: Final = 3
"""Heartbeats of a worker in the time within which one is expected."""
_QUICKEST_HEARTBEAT: Final = 0.02


@dataclass(frozen=True, kw_only=True)
class Staffing:
    """The number of workers of a pool, and all that they are started with.

    Args:
        size: The most workers there may be.
        minimum: How many there are even when nothing is to be done.
        idle_time: Seconds without a job after which a worker beyond those ends.
        heartbeat: Seconds within which a worker is expected to give a sign of life.
        slots_dir: Where the slots of this repository are; made when it is missing.
        locks_dir: Where their locks are; made when it is missing.
        source_git_dir: The repository's common git directory.
        drivers: The filters that take part when files are written, and patches taken.
        remotes: The blob of the tags and remotes that jobs see; empty for none.
        artifacts: Where logs and patches of jobs are.
        environment: All of the environment of workers and gates.
        capabilities: The abilities of the workers.
        affinity: The properties that the workers are bound to.
    """

    size: int
    minimum: int
    idle_time: float
    heartbeat: float
    slots_dir: Path
    locks_dir: Path
    source_git_dir: Path
    drivers: FilterDrivers
    remotes: str
    artifacts: Artifacts
    environment: Mapping[str, str]
    capabilities: frozenset[str]
    affinity: Mapping[str, str]


class WorkerLifecycle:
    """Starts workers and ends them.

    Args:
        staffing: How many, and with what.
        monitor: Judges workers by their heartbeats.
        clock: Seconds that never go backwards.
        observer: Told of the workers' states.
        on_message: Called with each message of a worker.
        on_change: Called when a worker has ended, or could be started.
        on_no_worker: Called when there is no worker and none can be started; gets the last one that failed,
            and why.
    """

    def __init__(
        self,
        staffing: Staffing,
        monitor: HeartbeatMonitor[Member],
        *,
        clock: Callable[[], float],
        observer: PoolObserver | None,
        on_message: Callable[[Member, Message], None],
        on_change: Callable[[], None],
        on_no_worker: Callable[[UetWorkerId | None, str], None],
    ) -> None:
        self._staffing, self._monitor, self._clock, self._observer = staffing, monitor, clock, observer
        self._on_message, self._on_change, self._on_no_worker = on_message, on_change, on_no_worker
        self._slots = Slots(staffing.slots_dir, staffing.locks_dir)
        self._server = ForkServer(
            staffing.environment,
            staffing.slots_dir,
            on_ready=on_change,
            on_failure=partial(self._on_start_failure, None),
        )
        self._failed_starts = 0
        self.members: list[Member] = []

    @property
    def has_room(self) -> bool:
        """True while there may be more workers."""
        return self.count() < self._staffing.size

    @property
    def is_overstaffed(self) -> bool:
        """True while there are more workers than there may be: one that was silent came back."""
        return self.count() > self._staffing.size

    def count(self) -> int:
        """Return the number of workers, without silent ones, which may be replaced."""
        return sum(member.counts for member in self.members)

    async def open(self, *, soon: bool) -> None:
        """Prepare the slots, and end the processes that earlier pools left in them.

        Args:
            soon: Workers will be needed soon: the process that they are forked from is started already.

        Raises:
            WorkerError: The folder for the slots cannot be made.
        """
        if soon:
            self._server.start()
        try:
            self._slots.make()
            await asyncio.to_thread(self._slots.end_orphans)
        except OSError as error:
            self._server.close()
            folder = self._staffing.slots_dir
            raise WorkerError(f"worktrees cannot be created in {folder}: {error}") from error

    async def end_all(self) -> None:
        """Stop every worker after its job."""
        await asyncio.gather(*(self._drain(member) for member in list(self.members)))
        self._server.close()
        self._slots.release()

    # -- start -----------------------------------------------------------------------------------------------

    def try_again(self) -> None:
        """Forget starts that failed, unless there are workers."""
        if not self.members:
            self._failed_starts = 0

    def grow(self, startable: int) -> None:
        """Start as many workers as jobs could start, and as there are to be at least, unless they fail to.

        Args:
            startable: How many jobs could start if there were workers.
        """
        present, staffing = self.count(), self._staffing
        if self._failed_starts and not startable:
            return
        if self._failed_starts >= _START_ATTEMPTS and present:
            return
        starting = sum(member.state is WorkerState.INITIALIZING for member in self.members)
        missing = min(max(startable - starting, staffing.minimum - present), staffing.size - present)
        if missing > 0 and not self._server.is_ready:
            self._server.start()
            return
        for _ in range(missing):
            self._spawn()

    def ready(self, member: Member) -> None:
        """Record that a worker waits for its first job."""
        self._failed_starts = 0
        member.state, member.idle_since = WorkerState.IDLE, self._clock()
        self.announce(member, WorkerChange.READY)

    def _spawn(self) -> None:
        loop, staffing = asyncio.get_running_loop(), self._staffing
        try:
            slot = self._slots.take()
        except OSError as error:
            message = f"no worktree slot can be created in {staffing.slots_dir}: {error}"
            loop.call_soon(self._on_start_failure, None, message)
            return
        registration = Registration(
            uet_id=UetWorkerId(new_id("uet")),
            slot=slot.number,
            capabilities=staffing.capabilities,
            affinity=staffing.affinity,
        )
        member = Member(slot=slot, registration=registration)
        self.members.append(member)
        self._monitor.enter(member, self._clock())
        try:
            member.process = self._process_of(member)
            pid = member.process.pid
            member.registration = replace(registration, pid=pid, pid_started=started(pid))
        except OSError as error:
            loop.call_soon(self._on_worker_exit, member, f"no process can be started: {error}")
        self.announce(member, WorkerChange.SPAWNED)

    def _process_of(self, member: Member) -> WorkerProcess:
        return WorkerProcess(
            slot_dir=member.slot.path,
            source_git_dir=self._staffing.source_git_dir,
            drivers=self._staffing.drivers,
            remotes=self._staffing.remotes,
            artifacts=self._staffing.artifacts,
            heartbeat=max(self._staffing.heartbeat / _HEARTBEATS_PER_INTERVAL, _QUICKEST_HEARTBEAT),
            locks=member.slot.locks,
            server=self._server,
            on_message=partial(self._on_message, member),
            on_end=partial(self._on_worker_exit, member),
        )

    def _on_start_failure(self, uet_id: UetWorkerId | None, message: str) -> None:
        """Count a failed start; after some, give the waiting jobs back unless there are other workers."""
        self._failed_starts += 1
        if self._failed_starts >= _START_ATTEMPTS and not self.count():
            self._on_no_worker(uet_id, message)
        self._on_change()

    # -- end -------------------------------------------------------------------------------------------------

    def shrink(self, now: float) -> None:
        """Request the shutdown of workers that had no job for a while, the longest idle first."""
        spare = self.count() - self._staffing.minimum
        if spare <= 0:
            return
        idle_time = self._staffing.idle_time
        idle = [each for each in self.members if each.is_idle and now - each.idle_since >= idle_time]
        for member in sorted(idle, key=lambda each: each.idle_since)[:spare]:
            self.request_shutdown(member)

    def request_shutdown(self, member: Member) -> None:
        """Request that a worker ends after its job."""
        member.is_leaving = True
        if member.state is WorkerState.BUSY:
            self.announce(member, WorkerChange.DRAINING)
        else:
            self._monitor.freed(member, due_at=self._clock() + END_PATIENCE)
        if member.process is not None:
            member.process.send(Shutdown())

    def kill(self, member: Member, complaint: str) -> None:
        """Kill a worker and all that it has started; ``_on_worker_exit`` follows when it has ended."""
        member.is_doomed = True
        self._monitor.leave(member)
        if member.process is not None:
            member.process.end(complaint)

    def announce(self, member: Member, change: WorkerChange, message: str = "") -> None:
        """Report a worker's new state to the observer."""
        if self._observer is not None:
            self._observer.worker_changed(member.registration, change, message)

    async def _drain(self, member: Member) -> None:
        """Stop a worker after its job."""
        if member.process is None:
            return
        if member.state is WorkerState.UNRESPONSIVE:
            self.kill(member, "it was silent when the pool ended")
        elif not member.is_leaving:
            self.request_shutdown(member)
        await member.is_free.wait()
        try:
            await asyncio.wait_for(member.process.ended(), END_PATIENCE)
        except TimeoutError:
            self.kill(member, "it did not end when asked to")
            await member.process.ended()

    def _on_worker_exit(self, member: Member, message: str) -> None:
        """Remove a worker whose process has ended, and give its job back."""
        change = WorkerChange.ENDED if member.has_left else WorkerChange.LOST
        was_starting = member.state is WorkerState.INITIALIZING
        ticket = member.let_go()
        self._monitor.leave(member)
        self.members.remove(member)
        self._slots.put_back(member.slot)
        self.announce(member, change, message)
        if ticket is not None:
            ticket.lose(member.uet_id, message)
        if was_starting:
            self._on_start_failure(member.uet_id, message)
        else:
            self._on_change()
