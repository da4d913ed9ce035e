"""The running jobs of tasks, by their tasks, so that they can be stopped."""

from maingate.ids import TaskId
from maingate.workers.backend import Backend, JobEnd, require_worker
from maingate.workers.jobs import Job


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
            return require_worker(await self._pool.run(job))
        finally:
            if self._running.get(task_id) == job.job_id:
                del self._running[task_id]

    def stop(self, task_id: TaskId) -> None:
        """Stop a task's job, if one runs; its result is ignored."""
        job_id = self._running.pop(task_id, None)
        if job_id is not None:
            self._pool.cancel(job_id)
