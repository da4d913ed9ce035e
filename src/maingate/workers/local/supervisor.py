"""Supervision of a pool's workers: their jobs, messages and heartbeats."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from maingate.errors import WorkerProtocolError
from maingate.ids import UetWorkerId
from maingate.reasons import ReasonCode
from maingate.state.worker import WorkerState
from maingate.uet.process.command import CommandResult
from maingate.workers.heartbeat_monitor import HeartbeatMonitor, WorkerCondition
from maingate.workers.local.lifecycle import END_PATIENCE, Staffing, WorkerLifecycle
from maingate.workers.local.member import JobTicket, Member
from maingate.workers.local.protocol import Cancel, Heartbeat, Message, Ready, Result
from maingate.workers.registry import PoolObserver, WorkerChange

_CANCEL_PATIENCE: Final = 1.5
"""Seconds a worker may take to end a cancelled job: it may be in the middle of a checkout."""
_CHECKOUT_PATIENCE: Final = 600.0
"""Seconds that a job may take beyond its commands, for moving the worktree."""

_COMPLAINTS: Final = {
    WorkerCondition.GONE: "no heartbeat for too long",
    WorkerCondition.GIVEN_UP: "no heartbeat within its recovery window",
    WorkerCondition.OVERDUE: "alive, but past its job's deadline",
}


class WorkerSupervisor:
    """Gives jobs to workers, and takes their results over.

    Args:
        staffing: How many workers there are, and what they are started with.
        misses: How many heartbeats a worker may miss.
        recovery_window: Seconds in which a silent worker may come back before it is killed.
        clock: Seconds that never go backwards.
        observer: Told of the workers' states.
        on_change: Called when a job may find a worker now.
        on_no_worker: Called when there is no worker and none can be started; gets the last one that failed,
            and why.
    """

    def __init__(
        self,
        staffing: Staffing,
        *,
        misses: int,
        recovery_window: float,
        clock: Callable[[], float],
        observer: PoolObserver | None,
        on_change: Callable[[], None],
        on_no_worker: Callable[[UetWorkerId | None, str], None],
    ) -> None:
        self._clock, self._observer, self._on_change = clock, observer, on_change
        self._silence = f"{misses * staffing.heartbeat:g} s"
        self._monitor: HeartbeatMonitor[Member] = HeartbeatMonitor(
            interval=staffing.heartbeat, misses=misses, recovery_window=recovery_window
        )
        self.lifecycle = WorkerLifecycle(
            staffing,
            self._monitor,
            clock=clock,
            observer=observer,
            on_message=self._on_message,
            on_change=on_change,
            on_no_worker=on_no_worker,
        )
        self.ignored_answers = 0
        """The number of results that came too late, or again."""

    def assign(self, ticket: JobTicket, member: Member) -> None:
        """Assign a job to an idle worker."""
        self._note_company(ticket)
        member.take_on(ticket)
        due_at = self._clock() + ticket.job.longest + _CHECKOUT_PATIENCE
        self._monitor.assigned(member, due_at=due_at)
        if member.process is not None:
            member.process.send(ticket.job)
        self.lifecycle.announce(member, WorkerChange.ASSIGNED)
        if self._observer is not None:
            self._observer.uet_job_started(ticket.job.job_id, member.uet_id)

    def cancel(self, job_id: str) -> None:
        """Cancel a job that runs, and kill its worker if it does not end it."""
        for member in self.lifecycle.members:
            if member.current and member.process and member.current.job.job_id == job_id:
                member.current.is_cancelled = True
                member.process.send(Cancel(job_id=job_id))
                loop = asyncio.get_running_loop()
                loop.call_later(_CANCEL_PATIENCE, self._kill_if_still_busy, member, member.current)

    def check(self, now: float) -> None:
        """Revoke the jobs of workers that are silent, and kill those that are stuck or gone."""
        for member, finding in self._monitor.check(now):
            if finding is WorkerCondition.UNRESPONSIVE:
                self._revoke_job(member)
            else:
                self.lifecycle.kill(member, _COMPLAINTS[finding])

    def _note_company(self, ticket: JobTicket) -> None:
        """Record on a job that begins, and on those that run, that they were not alone."""
        for other in self.lifecycle.members:
            if other.current is not None:
                other.current.has_company = ticket.has_company = True
            elif other.state is WorkerState.UNRESPONSIVE:  # its job was revoked, and may still be running
                ticket.has_company = True

    def _on_message(self, member: Member, message: Message) -> None:
        self._monitor.heard(member, self._clock())
        if self._observer is not None:
            self._observer.worker_heard(member.uet_id)
        match message:
            case Ready() if member.state is WorkerState.INITIALIZING:
                self.lifecycle.ready(member)
            case Result() if member.answers(message):
                self._finish_job(member, message.outcome)
            case Result() if member.answers_late(message):
                self.ignored_answers += 1
                if member.past[-1] == (message.job_id, message.attempt):
                    self._recover(member)
            case Heartbeat(job_id=None):
                self._recover(member)
            case Heartbeat():
                return
            case _:
                raise WorkerProtocolError(f"unexpected message {message}")
        self._on_change()

    def _finish_job(self, member: Member, result: CommandResult) -> None:
        """Accept a job's result, unless the worker or its slot are not to be believed."""
        ticket = member.let_go()
        if member.is_leaving:
            self._monitor.freed(member, due_at=self._clock() + END_PATIENCE)
        else:
            self._set_idle(member, WorkerChange.FINISHED)
        if ticket is None:
            return
        if doubt := _doubt(member, ticket, result):
            code, complaint = doubt
            message = f"UET worker {member.registration.pid}: {complaint}"
            ticket.lose(member.uet_id, message, code=code)
            self.lifecycle.kill(member, complaint)
        else:
            ticket.finish(replace(result, had_company=ticket.has_company))

    def _revoke_job(self, member: Member) -> None:
        """Return a silent worker's job to its caller, and send the worker a cancel in case it wakes up."""
        ticket, member.state = member.let_go(), WorkerState.UNRESPONSIVE
        message = f"UET worker {member.registration.pid} has sent no heartbeat for {self._silence}"
        self.lifecycle.announce(member, WorkerChange.FELL_SILENT, message)
        if ticket is not None:
            if member.process is not None:
                member.process.send(Cancel(job_id=ticket.job.job_id))
            ticket.lose(member.uet_id, message)
        if member.is_leaving:
            self.lifecycle.kill(member, _COMPLAINTS[WorkerCondition.GONE])

    def _recover(self, member: Member) -> None:
        """Accept a silent worker again once it has no job."""
        if member.state is not WorkerState.UNRESPONSIVE or member.is_doomed:
            return
        self._set_idle(member, WorkerChange.RECOVERED)
        if member.is_leaving or self.lifecycle.is_overstaffed:
            self.lifecycle.request_shutdown(member)

    def _set_idle(self, member: Member, change: WorkerChange) -> None:
        member.state, member.idle_since = WorkerState.IDLE, self._clock()
        self._monitor.freed(member)
        self.lifecycle.announce(member, change)

    def _kill_if_still_busy(self, member: Member, ticket: JobTicket) -> None:
        """Kill a worker that still runs a job which was cancelled a while ago."""
        if member.current is ticket:
            self.lifecycle.kill(member, "it did not end a cancelled job in time")


def _doubt(member: Member, ticket: JobTicket, result: CommandResult) -> tuple[ReasonCode, str] | None:
    """Return why a worker's result is not to be believed; None when it is."""
    if result.cancelled and not ticket.is_cancelled:
        return ReasonCode.WORKER_LOST, "it was stopped by another program"
    # A worker removes a worktree itself that it cannot make ready, but never its locks.
    slot, has_failed = member.slot, result.fault in {"worktree_failed", "filter_failed"}
    if has_failed and slot.is_held and not slot.is_empty:
        slot.is_stuck = True
        return ReasonCode.WORKTREE_FAILED, result.message
    if slot.is_held if has_failed else slot.is_whole:
        return None
    return ReasonCode.WORKTREE_FAILED, f"its worktree {slot.path} was removed while the job ran"
