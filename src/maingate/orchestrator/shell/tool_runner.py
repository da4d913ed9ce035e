"""Running tools that make patches, on the pool's workers; each attempt gives one event for the core.

A tool's own report, its exit code included, decides only whether there is a patch. The patch is captured from
what the tool left, and is treated like any other patch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from maingate.clock import Clock
from maingate.db.dao import artifacts
from maingate.db.engine import Database
from maingate.ids import RunId
from maingate.orchestrator.core.effects import RunTool
from maingate.orchestrator.core.events import ToolEnd, ToolEnded
from maingate.orchestrator.shell.job_maker import JobMaker
from maingate.orchestrator.shell.task_jobs import TaskJobs
from maingate.reasons import NOT_BEGUN, Reason, ReasonCode
from maingate.state.tool_run import MICROS, ToolRun, ToolRunOutcome
from maingate.tools.prompts import Refused, render
from maingate.uet.process.command import CommandResult
from maingate.workers.artifacts import Artifacts
from maingate.workers.backend import WorkerLost
from maingate.workers.jobs import Job

if TYPE_CHECKING:
    from maingate.tools.adapters import ToolReport


@dataclass(frozen=True, kw_only=True)
class Made:
    """The patch that a tool has made, and the attempt."""

    diff: bytes
    tool_run: ToolRun


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A job of a tool that has ended, and its result."""

    job: Job
    outcome: CommandResult


class ToolRunner:
    """Runs tools as jobs of the pool.

    Args:
        run_id: The run.
        running: Runs the jobs.
        jobs: Makes the jobs.
        artifacts: Their logs and patches.
        database: The ledger, with the refused patches.
        clock: The time that the end of an attempt is stamped with.
        template: The prompt of a retry; None for the template that comes with Maingate.
        rest: Seconds to wait where a provider refuses and does not say for how long.
        warn: Records a warning and shows it to people.
    """

    def __init__(
        self,
        run_id: RunId,
        running: TaskJobs,
        jobs: JobMaker,
        *,
        artifacts: Artifacts,
        database: Database,
        clock: Clock,
        template: str | None,
        rest: float,
        warn: Callable[[str], None],
    ) -> None:
        self._run_id, self._running, self._jobs, self._artifacts = run_id, running, jobs, artifacts
        self._database, self._clock = database, clock
        self._template, self._rest, self._warn = template, rest, warn

    def prompt_of(self, effect: RunTool) -> str:
        """Return the prompt of an attempt: a retry is told why the last one failed. Blocks."""
        if (retry := effect.retry) is None:
            return effect.request
        diff = b""
        if retry.patch is not None:
            with self._database.read() as conn:
                diff = artifacts.diff_of(conn, retry.patch)
        detail = retry.reason.detail
        refused = Refused(
            message=retry.reason.message,
            changes=str(detail.get("changes", "")),
            output=str(detail.get("output", "")),
            diff=diff,
        )
        return render(self._template, prompt=effect.request, attempt=effect.attempt, refused=refused)

    async def run(self, effect: RunTool, *, prompt: str) -> Ran | ToolEnded | None:
        """Run a task's tool; None when it was stopped, so that its result is not wanted."""
        task, attempt = effect.input, effect.attempt
        if fault := self._jobs.fault_of(task, prompt):
            return _ended(effect, ToolEnd.FAILED, ReasonCode.TOOL_FAILED, fault)
        job = self._jobs.tool(task, attempt, effect.tip, prompt=prompt, budget_usd=effect.budget_usd)
        outcome = await self._running.run(task.id, job)
        if isinstance(outcome, WorkerLost):
            return _ended(effect, ToolEnd.LOST, outcome.code, outcome.message)
        return None if outcome.cancelled else Ran(job=job, outcome=outcome)

    def judge(self, effect: RunTool, ran: Ran) -> Made | ToolEnded:
        """Return the patch that a tool has made, or how its attempt ended without one. Blocks."""
        outcome = ran.outcome
        if outcome.fault in NOT_BEGUN:
            return _ended(effect, ToolEnd.LOST, ReasonCode(str(outcome.fault)), outcome.message)
        from maingate.tools.adapters import report_of  # noqa: PLC0415 - few plans have tools

        report = report_of(
            self._jobs.tool_of(effect.input),
            output=self._artifacts.read(ran.job.log),
            exit_code=outcome.exit_code,
            now=self._clock.now(),
        )
        if outcome.captured is not None and outcome.captured.note:
            self._warn(f"{effect.input.label}, attempt {effect.attempt}: {outcome.captured.note}")
        fault = _fault_of(report, outcome)
        tool_run = self._tool_run(effect, ran, report, fault)
        if fault is None:
            return Made(diff=self._artifacts.path_of(ran.job.diff).read_bytes(), tool_run=tool_run)
        return self._failed(effect, outcome, report, fault, tool_run)

    def _failed(
        self,
        effect: RunTool,
        outcome: CommandResult,
        report: "ToolReport",
        fault: "_Fault",
        tool_run: ToolRun,
    ) -> ToolEnded:
        detail = {"attempt": effect.attempt, "exit_code": outcome.exit_code, "output": outcome.excerpt}
        is_limited = fault.outcome == "rate_limited"
        return ToolEnded(
            task=effect.task,
            attempt=effect.attempt,
            end=ToolEnd.LIMITED if is_limited else ToolEnd.FAILED,
            reason=Reason(code=fault.code, message=f"{effect.input.label}: {fault.message}", detail=detail),
            seconds=self._rest if report.retry_after is None else report.retry_after,
            tool_run=tool_run,
        )

    def _tool_run(self, effect: RunTool, ran: Ran, report: "ToolReport", fault: "_Fault | None") -> ToolRun:
        outcome = ran.outcome
        has_patch = outcome.captured is not None and bool(outcome.captured.bytes)
        return ToolRun(
            task_id=effect.task,
            attempt=effect.attempt,
            run_id=self._run_id,
            tool=str(effect.input.plan.tool),
            outcome=fault.outcome if fault else "patch",
            exit_code=outcome.exit_code,
            cost_micros=None if report.cost_usd is None else round(report.cost_usd * MICROS),
            tokens_in=report.tokens_in,
            tokens_out=report.tokens_out,
            duration_ms=round(outcome.seconds * 1000),
            message=fault.message if fault else outcome.captured.note if outcome.captured else "",
            log_path=str(self._artifacts.path_of(ran.job.log)),
            diff_path=str(self._artifacts.path_of(ran.job.diff)) if has_patch else None,
            ended_at=self._clock.now(),
        )


@dataclass(frozen=True, kw_only=True)
class _Fault:
    """The reason why a tool that ran made no patch."""

    outcome: ToolRunOutcome
    message: str
    code: ReasonCode = ReasonCode.TOOL_FAILED


def _fault_of(report: "ToolReport", outcome: CommandResult) -> _Fault | None:
    captured = outcome.captured
    problem = captured.problem if captured else "no patch could be taken from its worktree"
    if report.failure in {"rate_limited", "outage"}:
        said = report.message or f"its provider answers with: {report.failure.replace('_', ' ')}"
        return _Fault(outcome="rate_limited", message=said)
    if outcome.timed_out:
        return _Fault(outcome="timed_out", message=outcome.message, code=ReasonCode.TOOL_TIMEOUT)
    if not outcome.passed or report.failure == "failed":
        return _Fault(outcome="failed", message=outcome.message or report.message)
    if problem or captured is None:
        code = ReasonCode(captured.fault) if captured and captured.fault else ReasonCode.TOOL_FAILED
        return _Fault(outcome="failed", message=problem, code=code)
    return None if captured.bytes else _Fault(outcome="failed", message="the tool changed nothing")


def _ended(effect: RunTool, end: ToolEnd, code: ReasonCode, message: str) -> ToolEnded:
    detail = {"attempt": effect.attempt}
    reason = Reason(code=code, message=f"{effect.input.label}: {message}", detail=detail)
    return ToolEnded(task=effect.task, attempt=effect.attempt, end=end, reason=reason)
