"""The interface to workers that all others know: a job goes in, its end comes out.

`maingate.workers.pool_manager` runs them in processes of this machine. Nothing outside of ``workers`` and the
one place that chooses the parts of a run (``orchestrator.injected_parts``) knows more of it than this.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from maingate.errors import WorkerError
from maingate.ids import UetWorkerId
from maingate.reasons import ReasonCode
from maingate.uet.process.command import CommandResult
from maingate.workers.jobs import Job


@dataclass(frozen=True, kw_only=True)
class WorkerLost:
    """A job's worker is gone, or silent, and there will be no outcome.

    Args:
        job_id: The job.
        attempt: Its attempt that was lost.
        uet_id: The worker; None when there was none for it.
        message: A sentence about the worker.
        has_no_worker: Whether no worker could be started at all: that is no fault of the job's.
        code: The code of the loss: of the worker, or of the worktree under it.
    """

    job_id: str
    attempt: int
    uet_id: UetWorkerId | None
    message: str
    has_no_worker: bool = False
    code: ReasonCode = ReasonCode.WORKER_LOST


JobEnd = CommandResult | WorkerLost


def cancelled(job: Job) -> CommandResult:
    """Return the outcome of a job that was cancelled and has no other."""
    return CommandResult(passed=False, cancelled=True, message=f"{job.command.name} was cancelled")


def require_worker(end: JobEnd) -> JobEnd:
    """Return a job's end.

    Raises:
        WorkerError: No worker can be started at all, so that no job can run.
    """
    if isinstance(end, WorkerLost) and end.has_no_worker:
        raise WorkerError(f"no worker can be started: {end.message}")
    return end


class Backend(Protocol):
    """A part that runs jobs."""

    async def run(self, job: Job, *, ended: Callable[[JobEnd], None] | None = None) -> JobEnd:
        """Run a job when its turn comes. Cancelling the caller cancels the job.

        Args:
            job: The job.
            ended: Called once its end is known, before another job starts in its place.

        Raises:
            WorkerError: Jobs are not accepted: it was not started, or was stopped.
        """
        ...

    def cancel(self, *job_ids: str) -> None:
        """End jobs without a verdict, waiting or running; one that is not known has ended already."""
        ...


class WorkerPool(Backend, Protocol):
    """A back end with a beginning and an end: the workers of one run, wherever they are."""

    async def start(self, *, soon: bool = False) -> None:
        """Accept jobs; doing it again changes nothing.

        Args:
            soon: There will be a job soon, so a worker may be made ready already.

        Raises:
            WorkerError: No worker can be kept at the place for them.
        """
        ...

    async def stop(self, *, cancel_running: bool = False) -> None:
        """Cancel the jobs that wait, let those that run finish, and leave no worker.

        Args:
            cancel_running: Cancel the jobs that run as well.
        """
        ...
