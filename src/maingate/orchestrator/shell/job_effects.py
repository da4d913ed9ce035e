"""Effects that run as jobs on workers: a task's command, or its tool, whose patch is taken in."""

import asyncio
from concurrent.futures import Executor as Threads
from dataclasses import dataclass, replace

from maingate.db.dao import artifacts, patches
from maingate.db.dao.patches import PatchRow
from maingate.db.engine import Database
from maingate.orchestrator.core.effect_inputs import TaskInput
from maingate.orchestrator.core.effects import RunCommand, RunTool, StopCommand
from maingate.orchestrator.core.events import AttemptEnded, PatchTaken, ToolEnded
from maingate.orchestrator.shell.command_runner import CommandRunner
from maingate.orchestrator.shell.patch_effects import PatchEffects
from maingate.orchestrator.shell.task_jobs import TaskJobs
from maingate.orchestrator.shell.tool_runner import Ran, ToolRunner
from maingate.reasons import Reason, ReasonCode
from maingate.recovery import oscillation


@dataclass(frozen=True, kw_only=True)
class PreparedTool:
    """An attempt of a tool that is about to begin.

    Args:
        effect: The attempt.
        prompt: Its prompt.
    """

    effect: RunTool
    prompt: str


@dataclass(frozen=True, kw_only=True)
class EndedTool:
    """An attempt of a tool that has ended.

    Args:
        effect: The attempt.
        ran: The result of its job; its event where it has none; None when it was stopped.
    """

    effect: RunTool
    ran: Ran | ToolEnded | None


class JobEffects:
    """Carries out the effects that are jobs.

    Args:
        commands: Runs tasks that are commands.
        tools: Runs tools.
        running: The jobs of both.
        taking: Takes in what tools have made.
        database: The ledger, with a task's earlier patches.
        threads: Where calls that block run.
    """

    def __init__(
        self,
        *,
        commands: CommandRunner,
        tools: ToolRunner,
        running: TaskJobs,
        taking: PatchEffects,
        database: Database,
        threads: Threads,
    ) -> None:
        self._commands, self._tools, self._running = commands, tools, running
        self._taking, self._database, self._threads = taking, database, threads

    async def run_command(self, effect: RunCommand) -> AttemptEnded | None:
        """Run a task's command; None when it was stopped."""
        return await self._commands.run(effect)

    async def prepare_tool(self, effect: RunTool) -> PreparedTool:
        """Make the prompt of a task's tool: nothing is started, and nothing paid."""
        loop = asyncio.get_running_loop()
        prompt = await loop.run_in_executor(self._threads, self._tools.prompt_of, effect)
        return PreparedTool(effect=effect, prompt=prompt)

    async def run_tool(self, prepared: PreparedTool) -> EndedTool:
        """Run a task's tool."""
        ran = await self._tools.run(prepared.effect, prompt=prepared.prompt)
        return EndedTool(effect=prepared.effect, ran=ran)

    async def conclude_tool(self, ended: EndedTool) -> PatchTaken | ToolEnded | None:
        """Take in the patch that a tool has made; None when it was stopped. The tool itself is not needed."""
        if ended.ran is None or isinstance(ended.ran, ToolEnded):
            return ended.ran
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._take_made, ended.effect, ended.ran)

    async def stop(self, effect: StopCommand) -> None:
        """Stop a task's command or tool."""
        self._running.stop(effect.task)

    def _take_made(self, effect: RunTool, ran: Ran) -> PatchTaken | ToolEnded:
        made = self._tools.judge(effect, ran)
        if isinstance(made, ToolEnded):
            return made
        task, tool_run = effect.input, made.tool_run
        origin = {"kind": "tool", "tool": tool_run.tool, "attempt": tool_run.attempt, "task": task.label}
        taken = self._taking.take_made(
            task, made.diff, base=effect.tip, origin=origin, replaces=effect.replaces
        )
        if self._is_circular(task, made.diff):
            taken = replace(taken, material=None, refusal=_circular(task), is_policy=True, is_final=True)
        return replace(taken, tool_run=tool_run)

    def _is_circular(self, task: TaskInput, diff: bytes) -> bool:
        with self._database.read() as conn:
            earlier = [patch for patch in patches.of_task(conn, task.id) if not _is_in_conflict(patch)]
            diffs = [artifacts.diff_of(conn, patch.id) for patch in earlier[1 - oscillation.WINDOW :]]
        return oscillation.goes_round(diffs, diff)


def _is_in_conflict(patch: PatchRow) -> bool:
    """Return whether a patch was refused for a conflict: made again elsewhere, it may well be the same."""
    reason = patch.quarantine_reason
    return reason is not None and reason.code is ReasonCode.CONFLICT


def _circular(task: TaskInput) -> Reason:
    return Reason(
        code=ReasonCode.POLICY_VIOLATION,
        message=f"{task.label}: the tool oscillates: {oscillation.THRESHOLD} of its last "
        f"{oscillation.WINDOW} patches change the same lines in the same way",
        detail={"rule": "oscillation"},
    )
