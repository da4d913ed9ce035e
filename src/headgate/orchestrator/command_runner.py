"""Running the tasks that are commands, on the pool's workers; what comes of one is one event for the core."""

from headgate.ids import TaskId
from headgate.orchestrator import messages as msg
from headgate.orchestrator.jobs import JobMaker
from headgate.orchestrator.lane import Tip
from headgate.orchestrator.picture import TaskNode
from headgate.reasons import Reason, ReasonCode
from headgate.uet.gate_runner import GateOutcome
from headgate.workers.pool_manager import PoolManager, WorkerLost


class CommandRunner:
    """Runs commands as jobs of the pool.

    Args:
        pool: Where they run.
        jobs: Makes their jobs.
    """

    def __init__(self, pool: PoolManager, jobs: JobMaker) -> None:
        self._pool, self._jobs = pool, jobs
        self._running: dict[TaskId, str] = {}

    async def run(self, task: TaskNode, attempt: int, tip: Tip) -> msg.StepEnded | None:
        """Run a task's command; None when it was stopped, so that nobody wants to know."""
        job = self._jobs.command(task, attempt, tip)
        self._running[task.id] = job.job_id
        try:
            outcome = await self._pool.run(job)
        finally:
            is_wanted = self._running.get(task.id) == job.job_id
            if is_wanted:
                del self._running[task.id]
        if not isinstance(outcome, WorkerLost) and outcome.cancelled:
            return None
        end = _end_of(outcome)
        reason = None if end is msg.StepEnd.DONE else _reason(task, attempt, outcome)
        return msg.StepEnded(task=task.id, attempt=attempt, end=end, reason=reason)

    def stop(self, task_id: TaskId) -> None:
        """End a task's command, if it runs."""
        job_id = self._running.pop(task_id, None)
        if job_id is not None:
            self._pool.cancel(job_id)


def _end_of(outcome: GateOutcome | WorkerLost) -> msg.StepEnd:
    if isinstance(outcome, WorkerLost):
        return msg.StepEnd.LOST
    return msg.StepEnd.DONE if outcome.passed else msg.StepEnd.FAILED


def _reason(task: TaskNode, attempt: int, outcome: GateOutcome | WorkerLost) -> Reason:
    message, detail = f"{task.label}: {outcome.message}", {"attempt": attempt}
    if isinstance(outcome, WorkerLost):
        return Reason(code=ReasonCode.WORKER_LOST, message=message, detail=detail)
    code = ReasonCode.TOOL_TIMEOUT if outcome.timed_out else ReasonCode.TOOL_FAILED
    evidence = {"exit_code": outcome.exit_code, "output": outcome.excerpt}
    return Reason(code=code, message=message, detail=detail | evidence)
