"""The jobs of the pool that tasks wait for, by their tasks: what is run can be stopped."""

from typing import Final

from maingate.errors import WorkerError
from maingate.ids import TaskId
from maingate.reasons import ReasonCode
from maingate.workers.backend import Backend, JobEnd, WorkerLost
from maingate.workers.jobs import Job

NOT_BEGUN: Final = {
    "worktree_failed": ReasonCode.WORKTREE_FAILED,
    "prepare_failed": ReasonCode.PREPARE_FAILED,
    "spawn_failed": ReasonCode.SPAWN_FAILED,
}
"""Faults of a job that say nothing about its command or tool, and the codes of what could not begin."""


class TaskJobs:
    """Runs jobs on behalf of tasks, one at a time for each.

    Args:
        pool: Where they run.
    """

    def __init__(self, pool: Backend) -> None:
        self._pool = pool
        self._running: dict[TaskId, str] = {}

    async def run(self, task_id: TaskId, job: Job) -> JobEnd:
        """Run a job to its end.

        Raises:
            WorkerError: No worker can be started.
        """
        self._running[task_id] = job.job_id
        try:
            end = await self._pool.run(job)
            if isinstance(end, WorkerLost) and end.is_nobody_there:
                raise WorkerError(f"no worker can be started: {end.message}")
            return end
        finally:
            if self._running.get(task_id) == job.job_id:
                del self._running[task_id]

    def stop(self, task_id: TaskId) -> None:
        """End a task's job, if one runs; nobody wants to know what comes of it."""
        job_id = self._running.pop(task_id, None)
        if job_id is not None:
            self._pool.cancel(job_id)
