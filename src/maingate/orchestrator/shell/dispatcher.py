"""The dispatcher of effects: each becomes calls to the module that carries it out, and one event.

Effects are values: the dispatcher knows neither the core nor its nodes. Work of git or the parser runs in
threads, gates and commands run on workers. An error is not handled here: `Attendant` decides
whether its item is at fault, or something that all items need.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor as Threads
from pathlib import Path
from typing import Any, TypeVar

from maingate.clock import Clock
from maingate.db.engine import Database
from maingate.db.sql.connection import Connection
from maingate.git.repository import Repository
from maingate.landing.intended_move import HeldTarget
from maingate.orchestrator.core.effect_inputs import RecordedChain, RunInput
from maingate.orchestrator.core.effects import (
    ApplyPatches,
    BuildChain,
    Effect,
    JudgeChain,
    JudgePatch,
    KeepEvidence,
    LandCar,
    LookAtTarget,
    MoveWorkstreamRef,
    RestorePatch,
    RunCommand,
    RunTool,
    SealCar,
    StopCommand,
    StopJudging,
    TakePatch,
)
from maingate.orchestrator.core.events import CoreEvent
from maingate.orchestrator.shell import commit_repair
from maingate.orchestrator.shell.command_runner import CommandRunner
from maingate.orchestrator.shell.commit_repair import Repaired
from maingate.orchestrator.shell.effect_steps import EffectStep
from maingate.orchestrator.shell.job_effects import JobEffects
from maingate.orchestrator.shell.landing_effects import LandingEffects
from maingate.orchestrator.shell.patch_effects import PatchEffects
from maingate.orchestrator.shell.task_jobs import TaskJobs
from maingate.orchestrator.shell.task_orders import RunOrders
from maingate.orchestrator.shell.tool_runner import ToolRunner
from maingate.patches.policy.policy import Policy
from maingate.settings import Settings
from maingate.uet.executor import Executor
from maingate.verdicts.service import VerdictService

Result = TypeVar("Result")
Handler = Callable[[Any], Awaitable[CoreEvent | None]]


class Dispatcher:
    """Carries effects out for one run.

    Args:
        run: The run.
        commands: Runs the tasks that are commands.
        tools: Runs tools, which make patches.
        running: The jobs of both.
        fence: Raises when this process has lost a hold, on the run or its target.
        target_fence: The same; it raises also when this process does not hold the target now.
        warn: Records a warning and shows it to people.
        threads: Where calls that block run.
    """

    def __init__(
        self,
        *,
        run: RunInput,
        repository: Repository,
        executor: Executor,
        verdicts: VerdictService,
        commands: CommandRunner,
        tools: ToolRunner,
        running: TaskJobs,
        database: Database,
        settings: Settings,
        clock: Clock,
        quarantine_folder: Path,
        fence: Callable[[Connection], None],
        target_fence: Callable[[Connection], None],
        warn: Callable[[str], None],
        threads: Threads,
    ) -> None:
        self._threads, self._warn = threads, warn
        self._moving, self._to_move = asyncio.Lock(), list[MoveWorkstreamRef]()
        orders = RunOrders(run, Policy().tightened(settings.policy), database)
        self._patches = PatchEffects(
            run=run,
            repository=repository,
            executor=executor,
            verdicts=verdicts,
            database=database,
            orders=orders.own,
            quarantine=quarantine_folder,
            fence=fence,
            threads=threads,
        )
        self._landing = LandingEffects(
            run=run,
            target=HeldTarget(
                repository=repository,
                ref=run.target,
                timeout=settings.checkout_timeout,
                database=database,
                fence=target_fence,
                clock=clock,
            ),
            verdicts=verdicts,
            clock=clock,
            executor=executor,
            orders=orders,
            warn=warn,
        )
        jobs = JobEffects(
            commands=commands,
            tools=tools,
            running=running,
            taking=self._patches,
            database=database,
            threads=threads,
        )
        self._steps = self._table(jobs)

    def _table(self, jobs: JobEffects) -> Mapping[type, Sequence[EffectStep]]:
        whole: Mapping[type, Handler] = {
            TakePatch: self._blocking(self._patches.take),
            RestorePatch: self._blocking(self._patches.restore),
            ApplyPatches: self._blocking(self._patches.apply),
            JudgePatch: self._patches.judge,
            StopJudging: self._patches.stop_judging,
            KeepEvidence: self._blocking(self._patches.keep_evidence),
            StopCommand: jobs.stop,
            MoveWorkstreamRef: self._move_ref,
            LookAtTarget: self._blocking(self._landing.look),
            BuildChain: self._blocking(self._landing.build),
            JudgeChain: self._landing.judge,
            LandCar: self._blocking(self._landing.land),
        }
        return {kind: [EffectStep(call=handler)] for kind, handler in whole.items()} | {
            SealCar: [
                EffectStep(call=self._landing.recorded),
                EffectStep(call=self._blocking(self._landing.seal)),
            ],
            RunCommand: [EffectStep(call=jobs.run_command, is_once=True)],
            RunTool: [
                EffectStep(call=jobs.prepare_tool),
                EffectStep(call=jobs.run_tool, is_once=True),
                EffectStep(call=jobs.conclude_tool),
            ],
        }

    def steps_of(self, effect: Effect) -> Sequence[EffectStep]:
        """Return the steps in which an effect is carried out.

        Raises:
            TypeError: It is none of the effects that are carried out here.
        """
        steps = self._steps.get(type(effect))
        if steps is None:
            raise TypeError(f"not an effect of the shell: {effect!r}")
        return steps

    async def take_patches(self, effects: Sequence[TakePatch]) -> Sequence[CoreEvent]:
        """Take several ready patches in, in one go."""
        return await self._in_thread(lambda: self._patches.take_all(effects))

    async def apply_patches(self, effects: Sequence[ApplyPatches]) -> Sequence[CoreEvent]:
        """Apply the patches of several workstreams, in one go."""
        return await self._in_thread(lambda: self._patches.apply_all(effects))

    async def move_refs(self, effects: Sequence[MoveWorkstreamRef]) -> None:
        """Move several workstreams' own refs, in their order, in one go with those that wait meanwhile."""
        self._to_move += effects
        async with self._moving:
            due, self._to_move = self._to_move, []
            if not due:
                return
            try:
                await self._in_thread(lambda: self._landing.move_workstream_refs(due))
            except BaseException:
                self._to_move = [each for each in due if each not in effects] + self._to_move
                raise

    async def _move_ref(self, effect: MoveWorkstreamRef) -> None:
        async with self._moving:
            await self._in_thread(lambda: self._landing.move_workstream_refs([effect]))

    def missing_commits(self, effect: Effect) -> list[str]:
        """List the commits of the run's own that an effect builds on and that git does not have any more."""
        tips = [getattr(effect, "onto", None), getattr(effect, "tip", None)]
        match effect:
            case LandCar(members=members):
                tips += [member.candidate.tip for member in members]
            case JudgeChain(inside=inside):
                tips += [commit.tip for commit in inside]
            case SealCar(candidates=candidates):
                tips += [candidate.tip for candidate, _ in candidates]
        commits = [tip.commit for tip in tips if tip is not None]
        commits += [effect.commit] if isinstance(effect, MoveWorkstreamRef) else []
        return [commit for commit in dict.fromkeys(commits) if not self._landing.has(commit)]

    def repair(self, chains: Sequence[RecordedChain]) -> Repaired:
        """Make the recorded commits again that git has removed meanwhile; blocks."""
        return commit_repair.repair(
            chains,
            is_there=self._landing.has,
            apply_again=self._patches.apply_recorded,
            warn=self._warn,
        )

    async def has_landed(self, car: LandCar) -> bool:
        """Return whether the target has a car in its history."""
        return await self._in_thread(lambda: self._landing.has_landed(car))

    def _blocking(self, call: Callable[[Any], CoreEvent | None]) -> Handler:
        async def handle(effect: Any) -> CoreEvent | None:
            return await self._in_thread(lambda: call(effect))

        return handle

    async def _in_thread(self, call: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)
