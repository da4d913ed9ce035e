"""Trial of a tool: on a small repository that is made for it, as a worker would run it; nothing is landed."""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from maingate.git.command import run_git
from maingate.plan.definitions import ToolDefinition
from maingate.settings import Settings
from maingate.system.process_tree import adopt_orphans
from maingate.tools.adapters import ToolReport, command_of, report_of
from maingate.tools.secrets import values_of
from maingate.uet.capture import Capture
from maingate.uet.process.command import CommandResult, CommandSpec
from maingate.uet.process.environment import allowed_environment
from maingate.uet.process.resource_limits import ProcessLimits
from maingate.uet.worktree.worktree import Worktree
from maingate.workers.artifacts import Artifacts
from maingate.workers.jobs import Job
from maingate.workers.local.job_execution import execute

FILES: Final[Mapping[str, str]] = {
    "greeting.txt": "helo, world\n",
    "README.md": "# Scratch\n\nA greeting is in greeting.txt.\n",
}
PROMPT: Final = (
    "In the file greeting.txt of the current folder, correct the spelling of the word 'helo' to 'hello'. "
    "Change nothing else, and run no commands.\n"
)
_DIFF_SHOWN: Final = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A trial and its result.

    Args:
        name: The tool's name.
        command: Its command line.
        outcome: The result of the command.
        report: Its report on itself.
        diff: The beginning of the patch that was captured.
        output: The end of its output.
    """

    name: str
    command: str | tuple[str, ...]
    outcome: CommandResult
    report: ToolReport
    diff: str
    output: str

    @property
    def problem(self) -> str:
        """Why a task would have no patch of it; empty when it would."""
        captured = self.outcome.captured
        if self.report.failure in ("rate_limited", "outage"):
            return self.report.message
        if not self.outcome.passed:
            return self.outcome.message
        if self.report.failure != "none":
            return self.report.message
        if captured is None or captured.problem:
            return captured.problem if captured else "no patch could be taken from its worktree"
        return "" if captured.bytes else "it changed nothing"

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "tool": self.name,
            "ok": not self.problem,
            "problem": self.problem or None,
            "failure": self.report.failure,
            "retry_after": self.report.retry_after,
            "command": self.command if isinstance(self.command, str) else list(self.command),
            "exit_code": self.outcome.exit_code,
            "timed_out": self.outcome.timed_out,
            "seconds": round(self.outcome.seconds, 3),
            "cost_usd": self.report.cost_usd,
            "tokens_in": self.report.tokens_in,
            "tokens_out": self.report.tokens_out,
            "leftovers_killed": self.outcome.leftovers_killed,
            "diff": self.diff,
            "output": self.output,
        }


def try_tool(name: str, tool: ToolDefinition, *, settings: Settings, timeout: float) -> Trial:
    """Run a tool once on a scratch repository.

    Args:
        name: The tool's name.
        tool: Its definition in the plan, or a preset alone.
        settings: The settings; they name the variables that it sees.
        timeout: Seconds that it may take.
    """
    command = command_of(tool, prompt=PROMPT, budget_usd=tool.max_cost_usd)
    secrets = values_of(tool, os.environ)
    with tempfile.TemporaryDirectory(prefix="maingate-trial-") as folder, _as_a_worker(settings):
        top = Path(folder).resolve()
        job = Job(
            job_id="trial",
            commit=_scratch_repository(top / "repository"),
            command=CommandSpec(
                name=name,
                run=command.run,
                timeout=timeout,
                idle_timeout=None if tool.idle_timeout is None else tool.idle_timeout.total_seconds(),
                expect=tool.expect,
                env=command.env,
                secret_env=secrets,
                limits=ProcessLimits(
                    cpu_seconds=None if tool.limits.cpu is None else round(tool.limits.cpu.total_seconds()),
                    memory_bytes=tool.limits.memory,
                    processes=tool.limits.processes,
                    file_bytes=tool.limits.file_size,
                ),
            ),
            log="trial.log",
            capture=Capture(
                mode=str(command.capture),
                prompt=PROMPT,
                stdin=command.stdin,
                task="trial",
                exclude=command.exclude,
            ),
        )
        artifacts = Artifacts(top / "artifacts")
        worktree = Worktree(top / "slot", top / "repository" / ".git")
        try:
            outcome = execute(job, worktree=worktree, artifacts=artifacts)
        finally:
            worktree.destroy()
        return Trial(
            name=name,
            command=command.run,
            outcome=outcome,
            report=report_of(tool, output=artifacts.read(job.log), exit_code=outcome.exit_code),
            diff=artifacts.read(job.diff)[:_DIFF_SHOWN].decode("utf-8", "replace"),
            output=outcome.excerpt,
        )


@contextlib.contextmanager
def _as_a_worker(settings: Settings) -> Iterator[None]:
    """Set this process up as a worker: its environment, and the adoption of orphans."""
    before = dict(os.environ)
    allowed = allowed_environment(os.environ, settings.env_allow)
    adopt_orphans()
    os.environ.clear()
    os.environ.update(allowed)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        adopt_orphans(on=False)


def _scratch_repository(root: Path) -> str:
    root.mkdir()
    run_git("init", "--quiet", "--initial-branch=main", cwd=root)
    for name, content in FILES.items():
        (root / name).write_text(content)
    run_git("add", "--all", cwd=root)
    run_git("commit", "--quiet", "--message=A greeting", cwd=root)
    return run_git("rev-parse", "HEAD", cwd=root).stdout.decode().strip()
