"""Effects on the target and on a workstream's own ref: merge, judge the result, land it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor as Threads
from typing import Final

from maingate.clock import Clock
from maingate.commits import Candidate, LandingInput, Tip
from maingate.errors import OutsideFaultError
from maingate.git.repository import RefMoved, Repository
from maingate.landing.candidate import build, change_of_settings, sealed
from maingate.landing.checkouts.working_trees import unusable_path
from maingate.landing.intended_move import HeldTarget
from maingate.landing.ledger_trailers import is_judged_sealed
from maingate.landing.move import Obstruction
from maingate.landing.move_values import Move
from maingate.landing.unfinished_landing import HasLanded, contains, outcome_of
from maingate.orchestrator.core.effect_inputs import RunInput
from maingate.orchestrator.core.effects import (
    JudgeCandidate,
    LandCandidate,
    MergeWorkstream,
    MoveWorkstreamRef,
)
from maingate.orchestrator.core.events import (
    CandidateJudged,
    LandingFailed,
    LandingFound,
    LandingObstructed,
    LandingOwed,
    TargetLanded,
    TargetMoved,
    WorkstreamMerged,
)
from maingate.reasons import Reason, ReasonCode
from maingate.verdicts.blame import Opinion
from maingate.verdicts.service import VerdictService
from maingate.verdicts.subject import JudgedSubject
from maingate.verdicts.tree_judgement import judge_tree

REF_INTERVAL_SECONDS: Final = 1.0
"""Minimum time between two moves of a workstream's own ref: the ledger does not depend on it."""


class LandingEffects:
    """Carries out the effects on the target of one run.

    Args:
        run: The run.
        target: The branch that it lands on.
        verdicts: Runs gates.
        clock: The time that commits are stamped with.
        may_change_settings: Whether the policy allows a landing to change Maingate's own settings.
        warn: Records a warning about a checkout and shows it to people.
        threads: Where calls that block run.
    """

    def __init__(
        self,
        *,
        run: RunInput,
        target: HeldTarget,
        verdicts: VerdictService,
        clock: Clock,
        may_change_settings: bool,
        warn: Callable[[str], None],
        threads: Threads,
    ) -> None:
        self._run, self._target, self._verdicts, self._clock = run, target, verdicts, clock
        self._may_change_settings, self._warn, self._threads = may_change_settings, warn, threads
        self._moved: dict[str, float] = {}

    @property
    def _repository(self) -> Repository:
        return self._target.repository

    async def move_workstream_ref(self, effect: MoveWorkstreamRef) -> None:
        """Move a workstream's own ref, unless it was moved just now and will be moved again."""
        now = self._clock.monotonic()
        last = self._moved.get(effect.ref, -REF_INTERVAL_SECONDS)
        if effect.is_last or now - last >= REF_INTERVAL_SECONDS:
            self._moved[effect.ref] = now
            self._repository.keep(effect.ref, effect.commit)

    def merge(self, effect: MergeWorkstream) -> LandingFound | LandingOwed | WorkstreamMerged:
        """Return how a workstream has landed; merge it onto the target's head when it has not. Blocks."""
        head = self._head()
        found = self._found_at(effect.input, head)
        if found is not None:
            return found
        built = self._build(effect.input, self._tip(head))
        if isinstance(built, Reason):
            return WorkstreamMerged(workstream=effect.workstream, conflict=built)
        if is_judged_sealed(self._run.plan, effect.input.gates):
            built = self._sealed(built)
        return WorkstreamMerged(workstream=effect.workstream, candidate=built)

    async def judge(self, effect: JudgeCandidate) -> CandidateJudged:
        """Run the workstream's gates on a candidate, and seal it when they pass."""
        subject = JudgedSubject(label=f"the merged result of {effect.name}", workstream_id=effect.workstream)
        candidate = effect.candidate
        judgement = await judge_tree(
            self._verdicts, subject, effect.gates, tip=candidate.tip, onto=candidate.onto
        )
        to_land = None
        if judgement.opinion is Opinion.PASSED and not is_judged_sealed(self._run.plan, effect.gates):
            await self._verdicts.recorded()
            loop = asyncio.get_running_loop()
            to_land = await loop.run_in_executor(self._threads, self._sealed, candidate)
        return CandidateJudged(
            workstream=effect.workstream, candidate=candidate, judgement=judgement, sealed=to_land
        )

    def land(self, effect: LandCandidate) -> TargetLanded | TargetMoved | LandingObstructed | LandingFailed:
        """Move the target and its checkouts to a candidate, unless a checkout could not follow. Blocks."""
        move = Move(
            ref=self._run.target,
            old=effect.candidate.onto.commit,
            new=effect.candidate.tip.commit,
            what=effect.name,
            message=f"land {effect.name}",
        )
        came = self._target.move(move, effect.intent)
        if isinstance(came, Obstruction):
            return self._obstructed(effect, move, came)
        if isinstance(came, RefMoved):
            return TargetMoved(workstream=effect.workstream, intent=effect.intent)
        for left in came:
            self._warn(str(left))
        return TargetLanded(workstream=effect.workstream, candidate=effect.candidate, intent=effect.intent)

    def find_landing(self, workstream: LandingInput) -> LandingFound | LandingOwed | None:
        """Return the outcome of earlier attempts to land a workstream; None without one. Blocks."""
        return self._found_at(workstream, self._head())

    def has_landed(self, candidate: Candidate) -> bool:
        """Return whether a candidate is in the target's history; then its checkouts follow. Blocks."""
        if not contains(self._repository, candidate.tip.commit, head=self._head()):
            return False
        self._catch_up()
        return True

    def has(self, commit: str) -> bool:
        """Return whether the repository has a commit. Blocks."""
        return self._repository.has_object(commit)

    def _found_at(self, workstream: LandingInput, head: str) -> LandingFound | LandingOwed | None:
        outcome = outcome_of(self._repository, workstream, head=head)
        if outcome is None:
            return None
        intent, tip = outcome.intent, self._tip(outcome.intent.new)
        if isinstance(outcome, HasLanded):
            self._catch_up()
            return LandingFound(workstream=workstream.workstream, intent=intent.id, tip=tip)
        candidate = Candidate(onto=self._tip(head), tip=tip, commits=intent.commits)
        return LandingOwed(workstream=workstream.workstream, candidate=candidate, intent=intent.id)

    def _build(self, workstream: LandingInput, onto: Tip) -> Candidate | Reason:
        built = build(
            self._repository,
            workstream,
            run_id=self._run.id,
            style=self._run.plan.landing,
            onto=onto,
            target=self._run.target,
            at=self._clock.now(),
        )
        if isinstance(built, Reason) or self._may_change_settings:
            return built
        return change_of_settings(self._repository, built, workstream) or built

    def _sealed(self, candidate: Candidate) -> Candidate:
        return sealed(candidate, self._target.seal)

    def _obstructed(
        self, effect: LandCandidate, move: Move, obstruction: Obstruction
    ) -> LandingObstructed | LandingFailed:
        """Return an obstacle that a person can remove, or fail what no checkout could ever hold."""
        path = unusable_path(self._repository, move.ref, move.old, move.new)
        if path is None:
            return LandingObstructed(
                workstream=effect.workstream, intent=effect.intent, obstacle=obstruction.message
            )
        reason = Reason(
            code=ReasonCode.PATH_UNUSABLE,
            message=f"{effect.name} cannot land: the checkout of {move.ref} holds no such name "
            f"as {path.decode(errors='backslashreplace')}",
        )
        return LandingFailed(workstream=effect.workstream, intent=effect.intent, reason=reason)

    def _catch_up(self) -> None:
        for left in self._target.catch_up():
            self._warn(str(left))

    def _head(self) -> str:
        head = self._target.head()
        if head is None:
            raise OutsideFaultError(
                f"{self._run.target} is gone; create it again, then `maingate resume` continues"
            )
        return head

    def _tip(self, commit: str) -> Tip:
        return Tip(commit=commit, tree=self._repository.tree_of(commit))
