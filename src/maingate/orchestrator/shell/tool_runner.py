"""Having tools make patches, on the pool's workers; what comes of one is one event for the core.

What a tool says of itself, its exit code included, decides only whether there is something to look at. What
it made is taken from what it left and goes the way of any other patch.
"""

from dataclasses import dataclass
from pathlib import Path

from maingate.clock import Clock
from maingate.db.dao import artifacts
from maingate.db.dao.tool_runs import MICROS, ToolRun, ToolRunOutcome
from maingate.db.engine import Database
from maingate.ids import RunId
from maingate.orchestrator.core.commits import Tip
from maingate.orchestrator.core.events import ToolEnd, ToolEnded
from maingate.orchestrator.core.snapshot import TaskNode
from maingate.orchestrator.shell.jobs import JobMaker
from maingate.orchestrator.shell.task_jobs import TaskJobs
from maingate.reasons import NOT_BEGUN, Reason, ReasonCode
from maingate.tools.adapters import ToolReport, report_of
from maingate.tools.prompts import Refused, render
from maingate.uet.process.command import CommandResult
from maingate.workers.backend import WorkerLost
from maingate.workers.jobs import Job


@dataclass(frozen=True, kw_only=True)
class Made:
    """A tool left something: its bytes, and how the tool ended."""

    diff: bytes
    tool_run: ToolRun
    replaces: str | None


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A tool ran to some end: its job, and what the worker says of it."""

    job: Job
    outcome: CommandResult


class ToolRunner:
    """Runs tools as jobs of the pool.

    Args:
        run_id: The run.
        running: Runs their jobs.
        jobs: Makes them.
        database: Where refused patches are read.
        clock: Tells when one ended.
        template: What a tool is told on a retry; None for the template that comes with Maingate.
        rest: Seconds for which a provider that says nothing of it is left alone.
    """

    def __init__(
        self,
        run_id: RunId,
        running: TaskJobs,
        jobs: JobMaker,
        *,
        database: Database,
        clock: Clock,
        template: str | None,
        rest: float,
    ) -> None:
        self._run_id, self._running, self._jobs = run_id, running, jobs
        self._database, self._clock = database, clock
        self._template, self._rest = template, rest

    def prompt_of(self, task: TaskNode) -> str:
        """Say what the tool is to be told; blocks.

        Args:
            task: The task; of its reason and its newest patch a retry is told.
        """
        if task.reason is None or not task.retries:
            return task.request
        diff = b""
        if task.patch is not None:
            with self._database.read() as conn:
                diff = artifacts.diff_of(conn, task.patch.id)
        refused = Refused(
            message=task.reason.message, output=str(task.reason.detail.get("output", "")), diff=diff
        )
        return render(self._template, prompt=task.request, attempt=task.attempt, refused=refused)

    async def run(
        self, task: TaskNode, attempt: int, tip: Tip, *, prompt: str, budget_usd: float | None
    ) -> Ran | ToolEnded | None:
        """Run a task's tool; None when it was stopped, so that nobody wants to know."""
        if fault := self._jobs.fault_of(task, prompt):
            return _ended(task, attempt, ToolEnd.FAILED, ReasonCode.TOOL_FAILED, fault)
        job = self._jobs.tool(task, attempt, tip, prompt=prompt, budget_usd=budget_usd)
        outcome = await self._running.run(task.id, job)
        if isinstance(outcome, WorkerLost):
            return _ended(task, attempt, ToolEnd.LOST, outcome.code, outcome.message)
        if outcome.cancelled:
            return None
        return Ran(job=job, outcome=outcome)

    def judge(self, task: TaskNode, attempt: int, ran: Ran) -> Made | ToolEnded:
        """See whether there is a patch to look at, and say why there is none; blocks."""
        job, outcome = ran.job, ran.outcome
        if outcome.fault in NOT_BEGUN:
            return _ended(task, attempt, ToolEnd.LOST, ReasonCode(str(outcome.fault)), outcome.message)
        report = report_of(
            self._jobs.tool_of(task),
            output=_read(job.log_path),
            exit_code=outcome.exit_code,
            now=self._clock.now(),
        )
        fault = _fault_of(report, outcome)
        diff = job.capture.diff_path if job.capture else job.log_path
        tool_run = ToolRun(
            task_id=task.id,
            attempt=attempt,
            run_id=self._run_id,
            tool=str(task.plan.tool),
            outcome=fault.outcome if fault else "patch",
            exit_code=outcome.exit_code,
            cost_micros=None if report.cost_usd is None else round(report.cost_usd * MICROS),
            tokens_in=report.tokens_in,
            tokens_out=report.tokens_out,
            duration_ms=round(outcome.seconds * 1000),
            message=fault.message if fault else "",
            log_path=str(job.log_path),
            diff_path=str(diff) if outcome.captured and outcome.captured.bytes else None,
            ended_at=self._clock.now(),
        )
        if fault is None:
            replaces = task.patch.id if task.patch is not None else None
            return Made(diff=diff.read_bytes(), tool_run=tool_run, replaces=replaces)
        detail = {"attempt": attempt, "exit_code": outcome.exit_code, "output": outcome.excerpt}
        reason = Reason(code=fault.code, message=f"{task.label}: {fault.message}", detail=detail)
        is_limited = fault.outcome == "rate_limited"
        return ToolEnded(
            task=task.id,
            attempt=attempt,
            end=ToolEnd.LIMITED if is_limited else ToolEnd.FAILED,
            reason=reason,
            seconds=self._rest if report.retry_after is None else report.retry_after,
            tool_run=tool_run,
        )


@dataclass(frozen=True, kw_only=True)
class _Fault:
    """Why a tool that ran gave no patch."""

    outcome: ToolRunOutcome
    message: str
    code: ReasonCode = ReasonCode.TOOL_FAILED


def _fault_of(report: ToolReport, outcome: CommandResult) -> _Fault | None:
    captured = outcome.captured
    problem = captured.problem if captured else "nothing was taken from what it left"
    if report.failure in {"rate_limited", "outage"}:
        said = report.message or f"its provider answers with: {report.failure.replace('_', ' ')}"
        return _Fault(outcome="rate_limited", message=said)
    if outcome.timed_out:
        return _Fault(outcome="timed_out", message=outcome.message, code=ReasonCode.TOOL_TIMEOUT)
    if not outcome.passed or report.failure == "failed":
        return _Fault(outcome="failed", message=outcome.message or report.message)
    if problem or captured is None:
        return _Fault(outcome="failed", message=problem)
    return None if captured.bytes else _Fault(outcome="failed", message="the tool changed nothing")


def _ended(task: TaskNode, attempt: int, end: ToolEnd, code: ReasonCode, message: str) -> ToolEnded:
    reason = Reason(code=code, message=f"{task.label}: {message}", detail={"attempt": attempt})
    return ToolEnded(task=task.id, attempt=attempt, end=end, reason=reason)


def _read(log: Path) -> bytes:
    """Read what a tool printed, as far as it is kept."""
    try:
        return log.read_bytes()
    except FileNotFoundError:
        return b""
