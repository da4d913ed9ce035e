"""Carrying out what the core asks for: each effect becomes one call to where the work is done, and one event.

What is git's or the parser's work runs in a thread; gates run on the pool. An error here is an outside fault:
it ends the process's part of the run and leaves the records as they are.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor as Threads
from dataclasses import replace
from functools import lru_cache, partial, singledispatchmethod
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from maingate.clock import Clock
from maingate.db.connection import Connection
from maingate.db.dao import artifacts, patches
from maingate.db.dao.patches import PatchRow
from maingate.db.engine import Database
from maingate.errors import OutsideFaultError
from maingate.git.repository import RefMoved, Repository
from maingate.ids import PatchId, WorkstreamId, new_id
from maingate.landing.catching_up import Move
from maingate.landing.checkouts import unusable_path
from maingate.landing.move import Obstruction
from maingate.landing.sealing import is_judged_sealed
from maingate.landing.target import HeldTarget
from maingate.orchestrator.core.commits import Candidate, Tip
from maingate.orchestrator.core.core import Core
from maingate.orchestrator.core.effects import (
    ApplyPatches,
    Effect,
    JudgeCandidate,
    JudgePatch,
    KeepEvidence,
    LandCandidate,
    MergeWorkstream,
    MoveWorkstreamRef,
    RestorePatch,
    RunCommand,
    RunTool,
    StopCommand,
    StopJudging,
    TakePatch,
)
from maingate.orchestrator.core.events import (
    AppliedPatch,
    CandidateJudged,
    CoreEvent,
    LandingFailed,
    LandingFound,
    LandingObstructed,
    LandingOwed,
    PatchesApplied,
    PatchJudged,
    PatchRestored,
    PatchTaken,
    TargetLanded,
    TargetMoved,
    ToolEnded,
    WorkstreamMerged,
)
from maingate.orchestrator.core.snapshot import PatchNode, TaskNode, WorkstreamNode
from maingate.orchestrator.shell import candidates, commit_repair, evidence, in_the_way
from maingate.orchestrator.shell.command_runner import CommandRunner
from maingate.orchestrator.shell.task_jobs import TaskJobs
from maingate.orchestrator.shell.tool_runner import Ran, ToolRunner
from maingate.patches.intake import Intake
from maingate.patches.policy.policy import Policy
from maingate.plan.choices import TaskKind
from maingate.reasons import Reason, ReasonCode
from maingate.recovery import oscillation
from maingate.settings import Settings
from maingate.uet.executor import Committed, Executor, Order, Origin, Piece, Taken, summary_of
from maingate.verdicts.blame import Opinion
from maingate.verdicts.judging import judge
from maingate.verdicts.service import VerdictService
from maingate.verdicts.subject import Subject

Params = ParamSpec("Params")
Result = TypeVar("Result")


REF_INTERVAL = 1.0
"""Seconds between two moves of a workstream's ref; what the ledger says does not depend on it."""


class Effects:
    """Carries effects out for one run.

    Args:
        core: Whose pictures are looked at; never changed here.
        commands: Runs the tasks that are commands.
        tools: Has tools make patches.
        running: The jobs of both.
        fence: Raises when this process must not touch the target any more.
        warn: Told of something that people should know although the run goes on.
    """

    def __init__(
        self,
        *,
        core: Core,
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
        warn: Callable[[str], None],
        threads: Threads,
    ) -> None:
        self._core, self._repository, self._executor = core, repository, executor
        self._commands, self._tools, self._running, self._fence = commands, tools, running, fence
        self._verdicts, self._database, self._clock = verdicts, database, clock
        self._quarantine, self._warn, self._threads = quarantine_folder, warn, threads
        self._target = HeldTarget(
            repository=repository,
            ref=core.run.target,
            timeout=settings.checkout_timeout,
            database=database,
            fence=fence,
            clock=clock,
        )
        self._moved: dict[WorkstreamId, float] = {}
        layers = Policy().tightened(settings.policy).tightened(core.run.plan.policy)
        self._may_change_settings = layers.allow_settings_changes is True
        self._policy_of = lru_cache(maxsize=256)(
            lambda workstream, task: layers.tightened(workstream).tightened(task)
        )

    async def carry_out(self, effect: Effect) -> CoreEvent | None:
        """Do what is asked; return what came of it, or None where nothing is to be told."""
        return await self._do(effect)

    @singledispatchmethod
    async def _do(self, effect: object) -> CoreEvent | None:
        raise TypeError(f"not an effect: {effect!r}")

    async def take_patches(self, effects: Sequence[TakePatch]) -> list[CoreEvent]:
        """Take several patches in one go."""
        return await self._in_thread(lambda: [self._take(self._core.task(effect.task)) for effect in effects])

    def collected(self, effect: Effect) -> list[str]:
        """List the commits of the run's own that an effect stands on and that git has not any more."""
        candidate = getattr(effect, "candidate", None)
        tips = [getattr(effect, "onto", None), getattr(effect, "tip", None)]
        tips += [] if candidate is None else [candidate.onto, candidate.tip]
        commits = [tip.commit for tip in tips if tip is not None]
        commits += [effect.commit] if isinstance(effect, MoveWorkstreamRef) else []
        return [commit for commit in dict.fromkeys(commits) if not self._has(commit)]

    def heal(self) -> Mapping[WorkstreamId, Exception]:
        """Make commits again that are on record and that git has collected meanwhile; blocks.

        Returns:
            The workstreams of which something cannot be made again, and why. They stand on nothing of it now.
        """
        broken: dict[WorkstreamId, Exception] = {}
        for workstream in self._core.run.order:
            try:
                made = self._healed(workstream)
            except Exception as error:  # noqa: BLE001 - one workstream never stops the others
                commit_repair.let_go(workstream)
                broken[workstream.id] = error
                continue
            if made:
                self._warn(
                    f"git had removed commits of workstream {workstream.name}; they were made again from the "
                    f"recorded patches: {', '.join(made)}"
                )
        return broken

    def _healed(self, workstream: WorkstreamNode) -> Sequence[str]:
        return commit_repair.heal(workstream, is_there=self._has, apply_again=self._apply_recorded)

    @_do.register
    async def _(self, effect: TakePatch) -> CoreEvent | None:
        return await self._in_thread(self._take, self._core.task(effect.task))

    @_do.register
    async def _(self, effect: RestorePatch) -> CoreEvent | None:
        return await self._in_thread(self._take_again, self._core.task(effect.task))

    @_do.register
    async def _(self, effect: RunCommand) -> CoreEvent | None:
        return await self._commands.run(self._core.task(effect.task), effect.attempt, effect.tip)

    @_do.register
    async def _(self, effect: RunTool) -> CoreEvent | None:
        task = self._core.task(effect.task)
        prompt = await self._in_thread(self._tools.prompt_of, task)
        ran = await self._tools.run(
            task, effect.attempt, effect.tip, prompt=prompt, budget_usd=effect.budget_usd
        )
        if ran is None or isinstance(ran, ToolEnded):
            return ran
        return await self._in_thread(self._take_made, task, ran, effect)

    @_do.register
    async def _(self, effect: StopCommand) -> CoreEvent | None:
        self._running.stop(effect.task)
        return None

    @_do.register
    async def _(self, effect: ApplyPatches) -> CoreEvent | None:
        return await self._in_thread(self._apply, effect)

    @_do.register
    async def _(self, effect: JudgePatch) -> CoreEvent | None:
        task = self._core.task(effect.task)
        subject = Subject(
            label=task.label, workstream_id=task.workstream.id, patch_id=task.patch.id if task.patch else None
        )
        judgement = await judge(self._verdicts, subject, task.gates, tip=effect.tip, onto=effect.onto)
        return PatchJudged(task=task.id, commit=effect.tip.commit, judgement=judgement)

    @_do.register
    async def _(self, effect: StopJudging) -> CoreEvent | None:
        self._verdicts.forget(effect.commit)
        return None

    @_do.register
    async def _(self, effect: MoveWorkstreamRef) -> CoreEvent | None:
        now = self._clock.monotonic()
        if effect.is_last or now - self._moved.get(effect.workstream, -REF_INTERVAL) >= REF_INTERVAL:
            self._moved[effect.workstream] = now
            self._repository.keep(self._core.workstream(effect.workstream).ref, effect.commit)
        return None

    @_do.register
    async def _(self, effect: MergeWorkstream) -> CoreEvent | None:
        return await self._in_thread(self._merge, self._core.workstream(effect.workstream))

    @_do.register
    async def _(self, effect: JudgeCandidate) -> CoreEvent | None:
        workstream = self._core.workstream(effect.workstream)
        subject = Subject(label=f"the merged result of {workstream.name}", workstream_id=workstream.id)
        candidate = effect.candidate
        judgement = await judge(
            self._verdicts, subject, workstream.gates, tip=candidate.tip, onto=candidate.onto
        )
        sealed = None
        if judgement.opinion is Opinion.PASSED and not self._is_judged_sealed(workstream):
            await self._verdicts.recorded()
            sealed = await self._in_thread(self._sealed, candidate)
        return CandidateJudged(
            workstream=workstream.id, candidate=candidate, judgement=judgement, sealed=sealed
        )

    @_do.register
    async def _(self, effect: LandCandidate) -> CoreEvent | None:
        return await self._in_thread(self._land, effect)

    @_do.register
    async def _(self, effect: KeepEvidence) -> CoreEvent | None:
        await self._in_thread(self._keep_evidence, effect.patch, effect.reason)
        return None

    async def _in_thread(
        self, call: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs
    ) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(call, *args, **kwargs))

    # -- in threads ------------------------------------------------------------------------------------------

    def _take(self, task: TaskNode) -> PatchTaken:
        base = task.workstream.base or self._core.run.base
        taken = self._with_room(
            self._executor.take(Path(task.file or ""), self._order(task), base_tree=base.tree)
        )
        return PatchTaken(
            task=task.id,
            patch=self._ledger_entry(
                task, taken, base, origin={"kind": "ready", "file": task.file, "task": task.label}
            ),
            diff=taken.diff,
            material=taken.intake if taken.refusal is None else None,
            refusal=taken.refusal,
            is_policy=taken.violates,
        )

    def _take_made(self, task: TaskNode, ran: Ran, effect: RunTool) -> PatchTaken | ToolEnded:
        made, base = self._tools.judge(task, effect.attempt, ran), effect.tip
        if isinstance(made, ToolEnded):
            return made
        taken = self._with_room(self._executor.take_again(made.diff, self._order(task), base_tree=base.tree))
        refusal, is_policy = taken.refusal, taken.violates
        if is_circular := self._goes_round(task, made.diff):
            refusal, is_policy = _circular(task), True
        origin = {
            "kind": "tool",
            "tool": made.tool_run.tool,
            "attempt": made.tool_run.attempt,
            "task": task.label,
        }
        return PatchTaken(
            task=task.id,
            patch=self._ledger_entry(task, taken, base, origin=origin, replaces=made.replaces),
            diff=taken.diff,
            material=taken.intake if refusal is None else None,
            refusal=refusal,
            is_policy=is_policy,
            is_final=is_circular or (refusal is not None and refusal.code is ReasonCode.CHECKOUT_BLOCKED),
            tool_run=made.tool_run,
        )

    def _with_room(self, taken: Taken) -> Taken:
        """Refuse a patch now that could not land later for a file in a checkout of the target."""
        if taken.intake is None or taken.refusal is not None:
            return taken
        blocked = in_the_way.refusal_of(self._repository, self._core.run.target, taken.intake)
        return taken if blocked is None else replace(taken, refusal=blocked)

    def _goes_round(self, task: TaskNode, diff: bytes) -> bool:
        with self._database.read() as conn:
            earlier = patches.of_task(conn, task.id)[1 - oscillation.WINDOW :]
            diffs = [artifacts.diff_of(conn, patch.id) for patch in earlier]
        return oscillation.goes_round(diffs, diff)

    def _take_again(self, task: TaskNode) -> PatchRestored | None:
        """Read a patch from the ledger, as it was taken in."""
        patch, base = task.patch, task.workstream.base
        if patch is None or base is None:
            return None
        with self._database.read() as conn:
            diff = artifacts.diff_of(conn, patch.id)
        taken = self._executor.take_again(diff, self._order(task), base_tree=base.tree)
        material = taken.intake if taken.refusal is None else None
        return PatchRestored(task=task.id, material=material, refusal=taken.refusal)

    def _apply(self, effect: ApplyPatches) -> PatchesApplied | None:
        pieces = [self._piece(self._core.task(task_id)) for task_id in effect.tasks]
        wanted = [piece for piece in pieces if piece is not None]
        if len(wanted) < len(pieces):
            return None  # the workstream ended meanwhile
        made, refusal = self._executor.apply(wanted, onto=effect.onto.commit, tree=effect.onto.tree)
        applied = [
            AppliedPatch(
                tip=Tip(commit=fit.commit, tree=fit.tree),
                method=fit.method,
                repairs=tuple(repair.as_json() for repair in fit.repairs),
            )
            for fit in made
        ]
        return PatchesApplied(tasks=effect.tasks, onto=effect.onto, applied=tuple(applied), refusal=refusal)

    def _apply_recorded(self, task: TaskNode, patch: PatchNode, onto: Tip) -> Committed | Reason:
        with self._database.read() as conn:
            diff, row = artifacts.diff_of(conn, patch.id), patches.get(conn, patch.id)
        base = task.workstream.base or self._core.run.base
        taken = self._executor.take_again(diff, self._order(task), base_tree=base.tree)
        if taken.refusal is not None or taken.intake is None:
            return taken.refusal or Reason(code=ReasonCode.FORMAT_INVALID, message="it cannot be read")
        return self._executor.apply_again(
            self._piece_of(task, patch, taken.intake),
            onto=onto.commit,
            tree=onto.tree,
            commit=patch.commit or "",
            since=row.created_at,
            until=row.changed_at,
        )

    def _piece(self, task: TaskNode) -> Piece | None:
        material, patch = task.material, task.patch
        if material is None or patch is None:
            return None
        return self._piece_of(task, patch, material)

    def _piece_of(self, task: TaskNode, patch: PatchNode, material: Intake) -> Piece:
        trailers = [
            ("Maingate-Run", self._core.run.id),
            ("Maingate-Task", task.id),
            ("Maingate-Patch", patch.id),
        ]
        return Piece(intake=material, order=self._order(task), trailers=trailers)

    async def what_became_of(self, workstream_id: WorkstreamId) -> LandingFound | LandingOwed | None:
        """Ask git what has become of earlier attempts to land a workstream; None when nothing has."""
        workstream = self._core.workstream(workstream_id)
        return await self._in_thread(lambda: self._what_became_of(workstream, self._target_head()))

    def _merge(self, workstream: WorkstreamNode) -> CoreEvent:
        """See what has become of earlier attempts to land it; only then make another candidate."""
        head = self._target_head()
        found = self._what_became_of(workstream, head)
        if found is not None:
            return found
        built = self._build(workstream, self._tip(head))
        if isinstance(built, Reason):
            return WorkstreamMerged(workstream=workstream.id, conflict=built)
        if self._is_judged_sealed(workstream):
            built = self._sealed(built)
        return WorkstreamMerged(workstream=workstream.id, candidate=built)

    def _target_head(self) -> str:
        target = self._core.run.target
        head = self._target.head()
        if head is None:
            raise OutsideFaultError(f"{target} is gone; make it again, then `maingate resume` goes on")
        return head

    def _what_became_of(self, workstream: WorkstreamNode, head: str) -> LandingFound | LandingOwed | None:
        landed = self._target.newest_landed(workstream.intents, head=head)
        if landed is not None:
            for left in self._target.catch_up():
                self._warn(str(left))
            return LandingFound(workstream=workstream.id, intent=landed.id, tip=self._tip(landed.new))
        last = workstream.intents[-1] if workstream.intents else None
        if last and last.id == workstream.open_intent and last.old == head and self._has(last.new):
            candidate = Candidate(onto=self._tip(head), tip=self._tip(last.new), commits=last.commits)
            return LandingOwed(workstream=workstream.id, candidate=candidate, intent=last.id)
        return None

    def _is_judged_sealed(self, workstream: WorkstreamNode) -> bool:
        return is_judged_sealed(self._core.run.plan, workstream.gates)

    def _sealed(self, candidate: Candidate) -> Candidate:
        return candidates.sealed(candidate, self._target.seal)

    def _build(self, workstream: WorkstreamNode, onto: Tip) -> Candidate | Reason:
        run = self._core.run
        if workstream.base is None or workstream.lane is None:
            raise RuntimeError(f"{workstream.name} has no lane")
        consist = candidates.Consist(
            run_id=run.id,
            workstream_id=workstream.id,
            name=workstream.name,
            title=workstream.plan.title or "",
            base=workstream.base,
            settled=workstream.lane.settled,
            commits=list(_commits(workstream.landed_patches())),
        )
        built = candidates.build(
            self._repository,
            consist,
            style=run.plan.landing,
            onto=onto,
            target=run.target,
            at=self._clock.now(),
        )
        if isinstance(built, Reason) or self._may_change_settings:
            return built
        return candidates.change_of_settings(self._repository, built) or built

    def _land(self, effect: LandCandidate) -> CoreEvent:
        """Move the target, and its checkouts along; refuse where one of them could not follow."""
        workstream = self._core.workstream(effect.workstream)
        move = Move(
            ref=self._core.run.target,
            old=effect.candidate.onto.commit,
            new=effect.candidate.tip.commit,
            what=workstream.name,
            message=f"land {workstream.name}",
        )
        came = self._target.move(move, effect.intent)
        if isinstance(came, Obstruction):
            if (path := unusable_path(self._repository, move.ref, move.old, move.new)) is not None:
                reason = Reason(
                    code=ReasonCode.PATH_UNUSABLE,
                    message=f"{workstream.name} cannot land: the checkout of {move.ref} holds no such name "
                    f"as {path.decode(errors='backslashreplace')}",
                )
                return LandingFailed(workstream=workstream.id, intent=effect.intent, reason=reason)
            return LandingObstructed(workstream=workstream.id, intent=effect.intent, obstacle=came.message)
        if isinstance(came, RefMoved):
            return TargetMoved(workstream=workstream.id, intent=effect.intent)
        for left in came:
            self._warn(str(left))
        return TargetLanded(workstream=workstream.id, candidate=effect.candidate, intent=effect.intent)

    def _has(self, commit: str) -> bool:
        return self._repository.has_object(commit)

    def _tip(self, commit: str) -> Tip:
        return Tip(commit=commit, tree=self._repository.tree_of(commit))

    def _keep_evidence(self, patch_id: PatchId, reason: Reason) -> None:
        run = self._core.run
        with self._database.read() as conn:
            self._fence(conn)
            evidence.keep(
                conn, self._quarantine, patch_id, reason, run=run.id, target=run.target, base=run.base.commit
            )

    # -- values ----------------------------------------------------------------------------------------------

    def _order(self, task: TaskNode) -> Order:
        policy = self._policy_of(task.workstream.plan.policy, task.plan.policy)
        origin: Origin = "tool" if task.kind is TaskKind.TOOL else "ready"
        return Order(label=task.label, task=task.plan, policy=policy, origin=origin)

    def _ledger_entry(
        self,
        task: TaskNode,
        taken: Taken,
        base: Tip,
        *,
        origin: Mapping[str, Any],
        replaces: str | None = None,
    ) -> PatchRow:
        run = self._core.run
        patch_id = PatchId(new_id("patch"))
        return PatchRow(
            id=patch_id,
            run_id=run.id,
            workstream_id=task.workstream.id,
            task_id=task.id,
            base_ref=run.target,
            base_commit=base.commit,
            origin=origin,
            replaces=replaces or task.replaces,
            summary=summary_of(self._order(task), taken.intake),
            **taken.facts(),
        )


def _circular(task: TaskNode) -> Reason:
    return Reason(
        code=ReasonCode.POLICY_VIOLATION,
        message=f"{task.label}: the tool goes round in circles: {oscillation.THRESHOLD} of its last "
        f"{oscillation.WINDOW} patches do the same to the same lines",
        detail={"rule": "oscillation"},
    )


def _commits(tasks: Sequence[TaskNode]) -> Sequence[tuple[PatchId, str]]:
    return [(task.patch.id, task.patch.commit) for task in tasks if task.patch and task.patch.commit]
