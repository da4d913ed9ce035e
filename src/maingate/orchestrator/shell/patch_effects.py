"""Effects on patches: take one in, apply several, run gates on one, keep evidence of a refused one.

Work of git or the parser blocks, so the dispatcher calls it in a thread.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor as Threads
from dataclasses import replace
from pathlib import Path
from typing import Any

from maingate.commits import Tip
from maingate.db.dao import artifacts, patches
from maingate.db.dao.patches import PatchRow
from maingate.db.engine import Database
from maingate.db.sql.connection import Connection
from maingate.git.repository import Repository, Target
from maingate.ids import PatchId, new_id
from maingate.landing.checkouts import overwritten_work
from maingate.landing.checkouts.overwritten_work import SeenCheckouts
from maingate.landing.signed_tips import tips_to_check, unsigned
from maingate.landing.target_settings import fault_at
from maingate.orchestrator.core.effect_inputs import PatchInput, RecordedCommit, RunInput, TaskInput
from maingate.orchestrator.core.effects import (
    ApplyPatches,
    JudgePatch,
    KeepEvidence,
    RestorePatch,
    StopJudging,
    TakePatch,
)
from maingate.orchestrator.core.events import (
    AppliedPatch,
    PatchesApplied,
    PatchJudged,
    PatchRestored,
    PatchTaken,
)
from maingate.orchestrator.shell import evidence
from maingate.orchestrator.shell.judged_commits import JudgedCommits
from maingate.orchestrator.shell.task_orders import TaskOrders
from maingate.patches.intake import Intake
from maingate.patches.policy.policy import needs_approval
from maingate.patches.policy.unsafe_paths import SETTINGS
from maingate.plan.choices import LandingStyle
from maingate.reasons import Reason, ReasonCode
from maingate.uet.executor import Executor
from maingate.uet.step_values import Committed, Piece, Taken, summary_of
from maingate.verdicts.service import VerdictService
from maingate.verdicts.subject import JudgedSubject
from maingate.verdicts.tree_judgement import judge_tree


class PatchEffects:
    """Carries out the effects on patches of one run.

    Args:
        run: The run.
        repository: The repository with the target.
        executor: Parses, checks and applies patches.
        verdicts: Runs gates.
        database: The ledger.
        orders: The policy that holds for each task.
        quarantine: The folder for refused patches.
        fence: Raises when this process has lost a hold, on the run or its target.
        threads: Where calls that block run.
    """

    def __init__(
        self,
        *,
        run: RunInput,
        repository: Repository,
        executor: Executor,
        verdicts: VerdictService,
        database: Database,
        orders: TaskOrders,
        quarantine: Path,
        fence: Callable[[Connection], None],
        threads: Threads,
    ) -> None:
        self._run, self._repository, self._executor, self._orders = run, repository, executor, orders
        self._verdicts, self._database = verdicts, database
        self._quarantine, self._fence, self._threads = quarantine, fence, threads
        self._judged, self._unwanted = JudgedCommits(repository, run.base, into=run.target), set[str]()
        self._lands_commits = run.plan.landing is LandingStyle.MERGE
        self._tips = {f"{name}/{task}": tip for (name, task), tip in tips_to_check(run.plan).items()}

    def take_all(self, effects: Sequence[TakePatch]) -> list[PatchTaken]:
        """Take several ready patches in; blocks."""
        seen = overwritten_work.seen_now(self._repository, self._run.target)
        return [self._take(effect, seen) for effect in effects]

    def take(self, effect: TakePatch) -> PatchTaken:
        """Read a ready patch, parse it, and check it against policy; blocks."""
        return self.take_all([effect])[0]

    def _take(self, effect: TakePatch, seen: SeenCheckouts) -> PatchTaken:
        task, base = effect.input, effect.base
        taken = self._executor.take(Path(effect.file), self._orders.of(task), base_tree=base.tree)
        taken = self._if_it_may_land(taken, task, base, seen)
        origin = {"kind": "ready", "file": effect.file, "task": task.label}
        return PatchTaken(
            task=task.id,
            patch=self._ledger_entry(task, taken, base, origin=origin, replaces=effect.replaces),
            diff=taken.diff,
            material=taken.intake if taken.refusal is None else None,
            refusal=taken.refusal,
            is_policy=taken.violates,
            needs_approval=self._needs_approval(task, taken),
        )

    def take_made(
        self, task: TaskInput, diff: bytes, *, base: Tip, origin: Mapping[str, Any], replaces: str | None
    ) -> PatchTaken:
        """Parse a patch that a tool has made, and check it against policy; blocks.

        Args:
            task: Its task.
            diff: Its bytes.
            base: The commit that it was made on.
            origin: The attempt that made it, for the ledger.
            replaces: The patch that it stands for.
        """
        taken = self._executor.take_again(diff, self._orders.of(task), base_tree=base.tree)
        seen = overwritten_work.seen_now(self._repository, self._run.target)
        taken = self._if_it_may_land(taken, task, base, seen)
        return PatchTaken(
            task=task.id,
            patch=self._ledger_entry(task, taken, base, origin=origin, replaces=replaces),
            diff=taken.diff,
            material=taken.intake if taken.refusal is None else None,
            refusal=taken.refusal,
            is_policy=taken.violates,
            is_final=taken.refusal is not None and taken.refusal.code is ReasonCode.CHECKOUT_BLOCKED,
            needs_approval=self._needs_approval(task, taken),
        )

    def restore(self, effect: RestorePatch) -> PatchRestored:
        """Parse a patch of the ledger again; blocks."""
        taken = self._taken_again(effect.input, effect.patch, effect.base)
        material = taken.intake if taken.refusal is None else None
        return PatchRestored(
            task=effect.task,
            material=material,
            refusal=taken.refusal,
            needs_approval=self._needs_approval(effect.input, taken),
        )

    def apply_all(self, effects: Sequence[ApplyPatches]) -> list[PatchesApplied]:
        """Apply the patches of several workstreams; blocks."""
        return [self.apply(effect) for effect in effects]

    def apply(self, effect: ApplyPatches) -> PatchesApplied:
        """Apply patches in order, up to the first that does not apply; blocks."""
        pieces = [self._piece(each) for each in effect.patches]
        made, refusal = self._executor.apply(pieces, onto=effect.onto.commit, tree=effect.onto.tree)
        applied = [
            AppliedPatch(
                tip=Tip(commit=each.commit, tree=each.tree),
                method=each.method,
                repairs=tuple(repair.as_json() for repair in each.repairs),
            )
            for each in made
        ]
        return PatchesApplied(tasks=effect.tasks, onto=effect.onto, applied=tuple(applied), refusal=refusal)

    def apply_recorded(self, recorded: RecordedCommit, base: Tip, onto: Tip) -> Committed | Reason:
        """Apply a patch of the ledger again, to make its commit anew; blocks.

        Args:
            recorded: The commit that it was.
            base: The commit that its workstream began on.
            onto: The commit to apply it to.
        """
        taken = self._taken_again(recorded.task, recorded.patch, base)
        if taken.refusal is not None or taken.intake is None:
            return taken.refusal or Reason(code=ReasonCode.FORMAT_INVALID, message="it cannot be read")
        with self._database.read() as conn:
            row = patches.get(conn, recorded.patch)
        return self._executor.apply_again(
            self._piece(PatchInput(task=recorded.task, patch=recorded.patch, material=taken.intake)),
            onto=onto.commit,
            tree=onto.tree,
            commit=recorded.tip.commit,
            since=row.created_at,
            until=row.changed_at,
        )

    async def judge(self, effect: JudgePatch) -> PatchJudged | None:
        """Run a task's gates on its patch's commit; return None when that is not wanted any more."""
        task = effect.input
        subject = JudgedSubject(
            label=task.label,
            workstream_id=task.workstream,
            patch_id=effect.patch,
            failures=effect.failures,
        )
        self._unwanted.discard(effect.tip.commit)
        tip, onto = await self._seen(effect)
        if effect.tip.commit in self._unwanted:
            return None
        judgement = await judge_tree(self._verdicts, subject, effect.gates, tip=tip, onto=onto)
        return PatchJudged(task=task.id, commit=effect.tip.commit, judgement=judgement)

    async def _seen(self, effect: JudgePatch) -> tuple[Tip, Tip]:
        """Return the commit that gates see, and the one without the patch."""
        if self._judged.is_on_head(effect.base):
            return effect.tip, effect.onto
        tips = {"tip": effect.tip, "onto": effect.onto}
        loop = asyncio.get_running_loop()
        seen = await loop.run_in_executor(self._threads, self._judged.seen_of, effect.base, tips)
        return seen["tip"], seen["onto"]

    async def stop_judging(self, effect: StopJudging) -> None:
        """Stop the gates on a commit."""
        self._unwanted.add(effect.commit)
        self._verdicts.forget(self._judged.seen_as(effect.commit))

    def keep_evidence(self, effect: KeepEvidence) -> None:
        """Write a refused patch and the reason into the quarantine folder; blocks."""
        run = self._run
        with self._database.read() as conn:
            self._fence(conn)
            evidence.keep(
                conn,
                self._quarantine,
                effect.patch,
                effect.reason,
                run=run.id,
                target=run.target,
                base=run.base.commit,
            )

    def _taken_again(self, task: TaskInput, patch: PatchId, base: Tip) -> Taken:
        with self._database.read() as conn:
            diff = artifacts.diff_of(conn, patch)
        return self._executor.take_again(diff, self._orders.of(task), base_tree=base.tree)

    def _needs_approval(self, task: TaskInput, taken: Taken) -> bool:
        return taken.intake is not None and needs_approval(self._orders.of(task).policy, taken.intake)

    def _if_it_may_land(self, taken: Taken, task: TaskInput, base: Tip, seen: SeenCheckouts) -> Taken:
        """Refuse a patch now that could not land later, or with which no later run could begin."""
        if taken.intake is None or taken.refusal is not None:
            return taken
        refused = self._unsigned(task) or overwritten_work.refusal_of(self._repository, taken.intake, seen)
        if refused is not None:
            return replace(taken, refusal=refused)
        wrong = self._wrong_settings(taken.intake, task, base)
        return taken if wrong is None else replace(taken, refusal=wrong, violates=True)

    def _unsigned(self, task: TaskInput) -> Reason | None:
        """Return why git would not merge the commit that the last patch of a workstream is of."""
        tip = self._tips.get(task.label)
        return None if tip is None else unsigned(self._repository, tip, into=self._run.target)

    def _wrong_settings(self, intake: Intake, task: TaskInput, base: Tip) -> Reason | None:
        """Return why a patch makes settings that no run could go by; None where it makes none.

        One that does not apply to the base is looked at when it is applied in its turn.
        """
        if SETTINGS not in intake.scope.paths:
            return None
        piece = Piece(intake=intake, order=self._orders.of(task), trailers=[])
        made, _ = self._executor.apply([piece], onto=base.commit, tree=base.tree)
        target = self._run.target
        fault = fault_at(self._repository, Target(ref=target, commit=made[0].commit)) if made else None
        if fault is None:
            return None
        path = SETTINGS.decode()
        return Reason(
            code=ReasonCode.POLICY_VIOLATION,
            message=f"{path}: with it no later run could begin: {fault}",
            detail={"path": path, "rule": "settings", "limit": None},
        )

    def _piece(self, patch: PatchInput) -> Piece:
        trailers = [
            ("Maingate-Run", self._run.id),
            ("Maingate-Task", patch.task.id),
            ("Maingate-Patch", patch.patch),
        ]
        return Piece(
            intake=patch.material,
            order=self._orders.of(patch.task),
            trailers=trailers,
            commit=patch.task.plan.commit,
            lands_commit=self._lands_commits,
        )

    def _ledger_entry(
        self, task: TaskInput, taken: Taken, base: Tip, *, origin: Mapping[str, Any], replaces: str | None
    ) -> PatchRow:
        return PatchRow(
            id=PatchId(new_id("patch")),
            run_id=self._run.id,
            workstream_id=task.workstream,
            task_id=task.id,
            base_ref=self._run.target,
            base_commit=base.commit,
            origin=origin,
            replaces=replaces,
            summary=summary_of(self._orders.of(task), taken.intake),
            **taken.facts(),
        )
