"""Effects on the target and on a workstream's own ref: build chains, judge them, land cars."""

from collections.abc import Callable, Sequence
from typing import Final

from maingate.clock import Clock
from maingate.commits import Candidate, LandingInput, Tip
from maingate.errors import OutsideFaultError
from maingate.git.growing_history import GrowingHistory
from maingate.git.repository import RefMoved, Repository
from maingate.ids import WorkstreamId
from maingate.landing.candidate import build, moved, sealed
from maingate.landing.checkouts.working_trees import unusable_path
from maingate.landing.conflict_detail import with_particulars
from maingate.landing.intended_move import HeldTarget
from maingate.landing.move import Obstruction
from maingate.landing.move_values import Move
from maingate.landing.strayed import judged_by
from maingate.landing.unfinished_landing import contains, newest_landed
from maingate.orchestrator.core.effect_inputs import RunInput
from maingate.orchestrator.core.effects import (
    BuildChain,
    ChainLink,
    JudgeChain,
    LandCar,
    LookAtTarget,
    MoveWorkstreamRef,
    SealCar,
)
from maingate.orchestrator.core.events import (
    CarSealed,
    ChainBuilt,
    ChainJudged,
    FoundLanding,
    LandingFailed,
    LandingObstructed,
    LinkRefused,
    TargetLanded,
    TargetMoved,
    TargetSeen,
)
from maingate.orchestrator.shell.task_orders import RunOrders
from maingate.reasons import FAULTS, Reason, ReasonCode
from maingate.uet.executor import Executor
from maingate.verdicts.service import VerdictService
from maingate.verdicts.subject import JudgedSubject
from maingate.verdicts.tree_judgement import Question, ask_each, joined
from maingate.wording import listed

REF_INTERVAL_SECONDS: Final = 1.0
"""Minimum time between two moves of a workstream's own ref: the ledger does not depend on it."""


_NAMES_IN_REFLOG: Final = 20
"""Workstreams of a car that the entry of the reflog names."""


class LandingEffects:
    """Carries out the effects on the target of one run.

    Args:
        run: The run.
        target: The branch that it lands on.
        verdicts: Runs gates.
        clock: The time that commits are stamped with.
        executor: Checks against policy what merges change elsewhere than patches say.
        orders: The policy that holds for each task, of this run and of others.
        warn: Records a warning about a checkout and shows it to people.
    """

    def __init__(
        self,
        *,
        run: RunInput,
        target: HeldTarget,
        verdicts: VerdictService,
        clock: Clock,
        executor: Executor,
        orders: RunOrders,
        warn: Callable[[str], None],
    ) -> None:
        self._run, self._target, self._verdicts, self._clock = run, target, verdicts, clock
        self._executor, self._orders, self._warn = executor, orders, warn
        self._history: GrowingHistory | None = None
        self._moved: dict[str, tuple[float, str]] = {}

    @property
    def _repository(self) -> Repository:
        return self._target.repository

    def move_workstream_refs(self, effects: Sequence[MoveWorkstreamRef]) -> None:
        """Move workstreams' own refs, but those that were moved just now and will be moved again. Blocks."""
        now = self._clock.monotonic()
        due: dict[str, str] = {}
        for effect in effects:
            last, commit = self._moved.get(effect.ref, (-REF_INTERVAL_SECONDS, ""))
            if commit != effect.commit and (effect.is_last or now - last >= REF_INTERVAL_SECONDS):
                due[effect.ref] = effect.commit
        self._repository.keep_all(due)
        self._moved |= {ref: (now, commit) for ref, commit in due.items()}

    def look(self, effect: LookAtTarget) -> TargetSeen:
        """Return the target's head, and the workstreams that are in its history already. Blocks."""
        head = self._head()
        found = [each for workstream in effect.meant if (each := self._found(workstream, head)) is not None]
        if effect.meant and effect.is_held:
            self._catch_up()
        return TargetSeen(look=effect.look, head=self._tip(head), found=tuple(found))

    # -- chains ----------------------------------------------------------------------------------------------

    def build(self, effect: BuildChain) -> ChainBuilt:
        """Merge workstreams onto one another, up to the first that cannot be. Blocks."""
        history = self._history
        if history is None or history.tip != effect.onto.commit:
            history = GrowingHistory(self._repository, effect.onto.commit)
        self._history = history
        candidates: list[Candidate] = []
        onto, before = effect.onto, list(effect.before)
        seal = self._target.sealing() if any(link.is_sealed for link in effect.links) else None
        for link in effect.links:
            candidate = self._link(link, onto, seal, history)
            if isinstance(candidate, Reason):
                refused = self._refused(link, candidate, before)
                return ChainBuilt(build=effect.build, candidates=tuple(candidates), refused=refused)
            candidates.append(candidate)
            onto = candidate.tip
            history.go_on(onto.commit)
            before.append((link.input.workstream, onto))
        return ChainBuilt(build=effect.build, candidates=tuple(candidates))

    def _link(
        self, link: ChainLink, onto: Tip, seal: Callable[[str], str] | None, history: GrowingHistory
    ) -> Candidate | Reason:
        made = link.made
        if made is not None and made.onto.tree == onto.tree and self.has(made.tip.commit):
            candidate = moved(self._repository, made, onto)
        else:
            built = self._merged(link, onto, history)
            if isinstance(built, Reason):
                return built
            candidate = built
        is_to_seal = link.is_sealed and candidate is not made
        return sealed(candidate, seal) if seal is not None and is_to_seal else candidate

    def _merged(
        self, link: ChainLink, onto: Tip, history: GrowingHistory | None = None
    ) -> Candidate | Reason:
        order_of = self._orders.of_run(link.input.run).of_landing(link.input)
        return build(
            self._repository,
            link.input,
            style=link.style,
            onto=onto,
            target=self._run.target,
            at=self._clock.now(),
            judge=judged_by(self._executor, order_of, name=link.input.name),
            history=history,
        )

    def _refused(
        self, link: ChainLink, reason: Reason, before: Sequence[tuple[WorkstreamId | None, Tip]]
    ) -> LinkRefused:
        """Return a refusal, with the first workstream before it that it cannot be merged onto.

        The first merge that fails is found by halves, since a conflict with a part is one with the whole.
        """
        if reason.code in FAULTS:
            return LinkRefused(workstream=link.input.workstream, reason=reason)
        low, high = -1, len(before) - 1
        while high - low > 1:
            middle = (low + high) // 2
            tried = self._merged(link, before[middle][1])
            if isinstance(tried, Reason):
                high, reason = middle, tried
            else:
                low = middle
        behind, onto = before[high]
        if behind is None and reason.code is ReasonCode.CONFLICT:
            reason = with_particulars(
                self._repository, link.input, reason, onto=onto, target=self._run.target
            )
        return LinkRefused(workstream=link.input.workstream, reason=reason, behind=behind)

    async def judge(self, effect: JudgeChain) -> ChainJudged:
        """Run the gates of a chain, each once, up to the first failure; those asked again, all of them."""
        commits = [
            Question(subject=self._subject(effect, label), gates=gates, tip=tip)
            for label, gates, tip in (
                *((each.label, each.gates, each.tip) for each in effect.inside),
                (effect.label, effect.gates, effect.tip),
            )
        ]
        began = self._clock.monotonic()
        answers = await ask_each(self._verdicts, commits, again=effect.is_asked_again)
        inside = zip(effect.inside, answers, strict=False)
        return ChainJudged(
            run=effect.run,
            answers=tuple(joined(commits, answers)),
            started=began,
            ended=self._clock.monotonic(),
            inside=tuple((commit.tip.tree, answer) for commit, own in inside for answer in own),
        )

    def _subject(self, effect: JudgeChain, label: str) -> JudgedSubject:
        return JudgedSubject(
            label=label,
            workstream_id=effect.asked_for,
            is_urgent=effect.is_urgent,
            fails_fast=not effect.is_asked_again,
        )

    # -- cars ------------------------------------------------------------------------------------------------

    async def recorded(self, effect: SealCar) -> SealCar:
        """Return an effect once the verdicts that its seal is to cover are on record."""
        await self._verdicts.recorded()
        return effect

    def seal(self, effect: SealCar) -> CarSealed:
        """Seal the commits of a car, each on the one before it. Blocks."""
        seal = self._target.sealing()
        made: list[Candidate] = []
        for candidate, is_sealed in effect.candidates:
            on_last = moved(self._repository, candidate, made[-1].tip) if made else candidate
            made.append(on_last if is_sealed and on_last is candidate else sealed(on_last, seal))
        return CarSealed(car=effect.car, candidates=tuple(made))

    def land(self, effect: LandCar) -> TargetLanded | TargetMoved | LandingObstructed | LandingFailed:
        """Move the target and its checkouts to a car, unless a checkout could not follow. Blocks."""
        names = [member.name for member in effect.members]
        move = Move(
            ref=self._run.target,
            old=effect.members[0].candidate.onto.commit,
            new=effect.members[-1].candidate.tip.commit,
            what=listed(names),
            message=f"land {listed(names, _NAMES_IN_REFLOG)}",
        )
        came = self._target.move(move, [member.intent for member in effect.members])
        if isinstance(came, Obstruction):
            return self._obstructed(effect, move, came)
        if isinstance(came, RefMoved):  # by this very car, where something failed after the move before
            return TargetLanded(car=effect.car) if self.has_landed(effect) else TargetMoved(car=effect.car)
        for left in came:
            self._warn(str(left))
        return TargetLanded(car=effect.car)

    def has_landed(self, car: LandCar) -> bool:
        """Return whether a car is in the target's history; then its checkouts follow. Blocks."""
        if not contains(self._repository, car.members[-1].candidate.tip.commit, head=self._head()):
            return False
        self._catch_up()
        return True

    def has(self, commit: str) -> bool:
        """Return whether the repository has a commit. Blocks."""
        return self._repository.has_object(commit)

    def _found(self, workstream: LandingInput, head: str) -> FoundLanding | None:
        intent = newest_landed(self._repository, workstream.intents, head=head)
        if intent is None:
            return None
        return FoundLanding(workstream=workstream.workstream, intent=intent.id, tip=self._tip(intent.new))

    def _obstructed(
        self, effect: LandCar, move: Move, obstruction: Obstruction
    ) -> LandingObstructed | LandingFailed:
        """Return an obstacle that a person can remove, or fail what no checkout could ever hold."""
        path = unusable_path(self._repository, move.ref, move.old, move.new)
        if path is None:
            return LandingObstructed(car=effect.car, obstacle=obstruction.message)
        reason = Reason(
            code=ReasonCode.PATH_UNUSABLE,
            message=f"{move.what} cannot land: the checkout of {move.ref} holds no such name "
            f"as {path.decode(errors='backslashreplace')}",
        )
        return LandingFailed(car=effect.car, reason=reason)

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
