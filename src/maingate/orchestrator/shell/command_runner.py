"""Running the tasks that are commands, on the pool's workers; each attempt gives one event for the core."""

from maingate.orchestrator.core.effect_inputs import TaskInput
from maingate.orchestrator.core.effects import RunCommand
from maingate.orchestrator.core.events import AttemptEnd, AttemptEnded
from maingate.orchestrator.shell.job_maker import JobMaker
from maingate.orchestrator.shell.task_jobs import TaskJobs
from maingate.reasons import NOT_BEGUN, Reason, ReasonCode
from maingate.uet.process.command import CommandResult
from maingate.workers.backend import WorkerLost


class CommandRunner:
    """Runs commands as jobs of the pool.

    Args:
        running: Runs the jobs.
        jobs: Makes the jobs.
    """

    def __init__(self, running: TaskJobs, jobs: JobMaker) -> None:
        self._running, self._jobs = running, jobs

    async def run(self, effect: RunCommand) -> AttemptEnded | None:
        """Run a task's command; return None when it was stopped, so that its result is not wanted."""
        task, attempt = effect.input, effect.attempt
        outcome = await self._running.run(task.id, self._jobs.command(task, attempt, effect.tip))
        if not isinstance(outcome, WorkerLost) and outcome.cancelled:
            return None
        end = _end_of(outcome)
        reason = None if end is AttemptEnd.DONE else _reason(task, attempt, outcome)
        seconds = None if isinstance(outcome, WorkerLost) else outcome.seconds
        return AttemptEnded(task=task.id, attempt=attempt, end=end, reason=reason, seconds=seconds)


def _end_of(outcome: CommandResult | WorkerLost) -> AttemptEnd:
    if isinstance(outcome, WorkerLost):
        return AttemptEnd.LOST
    return AttemptEnd.DONE if outcome.passed else AttemptEnd.FAILED


def _reason(task: TaskInput, attempt: int, outcome: CommandResult | WorkerLost) -> Reason:
    message, detail = f"{task.label}: {outcome.message}", {"attempt": attempt}
    if isinstance(outcome, WorkerLost):
        return Reason(code=outcome.code, message=message, detail=detail)
    if outcome.fault in NOT_BEGUN:
        return Reason(code=ReasonCode(str(outcome.fault)), message=message, detail=detail)
    code = ReasonCode.TOOL_TIMEOUT if outcome.timed_out else ReasonCode.TOOL_FAILED
    evidence = {"exit_code": outcome.exit_code, "output": outcome.excerpt}
    return Reason(code=code, message=message, detail=detail | evidence)
