"""The landing of workstreams on the target, one at a time in landing order. The train belongs here.

Everything that assumes a single landing is state of `LandingQueue`, and of nothing else in the program: which
workstream lands, how far the landing order is done, how often the target moved meanwhile, and whether the
answer to a merge is awaited.

While an intent is open, the target may have moved already without a record of it. Requests about such a
workstream are deferred until it is known whether it has landed.
"""

from collections.abc import Callable, Mapping

from maingate.commits import Candidate, LandingIntent, Tip
from maingate.ids import PatchId, WorkstreamId, new_id
from maingate.orchestrator.core.effects import JudgeCandidate, LandCandidate, MergeWorkstream
from maingate.orchestrator.core.events import (
    CancelRequested,
    CandidateJudged,
    LandingFailed,
    LandingFound,
    LandingObstructed,
    LandingOwed,
    OverrideRequested,
    TargetLanded,
    TargetMoved,
    WorkstreamBroken,
    WorkstreamMerged,
)
from maingate.orchestrator.core.snapshot import WorkstreamNode
from maingate.orchestrator.core.turn import Turn, stated
from maingate.orchestrator.core.waiting_rules import first_open
from maingate.reasons import FAULTS, Reason, ReasonCode
from maingate.state.steps import patches as patch_steps
from maingate.state.steps import workstreams as workstream_steps
from maingate.state.workstream import WorkstreamState
from maingate.verdicts.blame import Opinion

LANDING_ATTEMPTS = 20
"""Merges of a workstream, each because the target moved meanwhile, before its landing fails."""

Request = CancelRequested | OverrideRequested | WorkstreamBroken
"""A request to end or change a workstream, which may have to wait for its landing."""


class LandingQueue:
    """Lands workstreams.

    Args:
        turn: The current turn.
        apply: Applies a deferred request.
    """

    def __init__(self, turn: Turn, *, apply: Callable[[Request], None]) -> None:
        self._turn, self._apply = turn, apply
        self._next_to_land = 0
        self._landing: WorkstreamNode | None = None
        self._landing_attempts = 0
        self._is_merging = False
        self._deferred: dict[WorkstreamId, list[Request]] = {}

    # -- questions -------------------------------------------------------------------------------------------

    def may_have_landed(self, entity: str) -> bool:
        """Return whether the target may have moved, unrecorded, to a workstream, or to one of the run."""
        if entity == self._turn.run.id:
            return any(ws.open_intent is not None for ws in self._turn.run.order)
        workstream = self._turn.workstreams.get(WorkstreamId(entity))
        return workstream is not None and workstream.open_intent is not None

    def next_to_land(self) -> WorkstreamNode | None:
        """Return the first workstream, in landing order, that has not ended; None when all have."""
        order = self._turn.run.order
        while self._next_to_land < len(order) and order[self._next_to_land].has_ended:
            self._next_to_land += 1
        return order[self._next_to_land] if self._next_to_land < len(order) else None

    def ahead_of(self, workstream: WorkstreamNode) -> WorkstreamNode | None:
        """Return the workstream that must end before this one can land; None when it is its turn."""
        first = first_open(self._turn.run.order[self._next_to_land :], lambda ws: ws.has_ended)
        return None if first is workstream else first

    # -- requests --------------------------------------------------------------------------------------------

    def defer(self, workstream: WorkstreamNode, request: Request) -> None:
        """Keep a request about a workstream until it is known whether it has landed."""
        self._deferred.setdefault(workstream.id, []).append(request)

    def release(self, workstream: WorkstreamNode) -> None:
        """Release the target from a workstream that ends without landing."""
        if workstream is self._landing:
            self._landing = None

    def ended(self, workstream: WorkstreamNode) -> None:
        """Apply what was requested about a workstream that has ended meanwhile."""
        for request in self._deferred.pop(workstream.id, ()):
            self._apply(request)

    def land_next(self) -> None:
        """Start to land the first workstream, in landing order, that has not ended, once it is validating."""
        workstream = self.next_to_land()
        if self._landing is not None or self._turn.drain.is_on or self._turn.is_over:
            return
        if workstream is None or workstream.state is not WorkstreamState.VALIDATING:
            return
        self._landing, self._landing_attempts, self._is_merging = workstream, 0, False
        if not workstream.landed_patches():
            self._complete(workstream, None)
        else:
            self._is_merging = True
            self._turn.request(MergeWorkstream(input=workstream.landing_input()))

    # -- events ----------------------------------------------------------------------------------------------

    def merged(self, event: WorkstreamMerged) -> None:
        """Judge a candidate, or land it when no gates are asked; fail the workstream when it conflicts."""
        workstream = self._turn.workstreams[event.workstream]
        if not self._take_answer_to_merge(workstream) or self._apply_deferred_requests(workstream):
            return
        self._abandon_intent(workstream)
        if event.candidate is None:
            reason = stated(event.conflict, workstream.name)
            self._fail(workstream, reason, blames=reason.code not in FAULTS)
            return
        if not workstream.gates:
            self._intend(workstream, event.candidate)
            return
        workstream.candidate = event.candidate
        self._turn.speculate(
            JudgeCandidate(
                workstream=workstream.id,
                name=workstream.name,
                gates=workstream.gates,
                candidate=event.candidate,
            )
        )

    def judged(self, event: CandidateJudged) -> None:
        """Land a candidate whose gates passed; fail its workstream otherwise."""
        workstream = self._turn.workstreams[event.workstream]
        if workstream is not self._landing or workstream.candidate is not event.candidate:
            return
        workstream.candidate = None
        judgement = event.judgement
        if judgement.opinion is Opinion.PASSED:
            self._intend(workstream, event.sealed or event.candidate)
            return
        reason = stated(judgement.reason, workstream.name)
        self._fail(workstream, reason, blames=judgement.opinion is Opinion.FAILED)

    def landed(self, event: TargetLanded) -> None:
        """Complete the workstream whose candidate the target moved to."""
        workstream = self._turn.workstreams[event.workstream]
        if workstream is self._landing and workstream.open_intent == event.intent:
            self._book(workstream, event.intent, event.candidate.tip, event.candidate.commits)

    def found(self, event: LandingFound) -> None:
        """Complete a workstream that an earlier intent has landed."""
        workstream = self._turn.workstreams[event.workstream]
        meant = next((intent for intent in workstream.intents if intent.id == event.intent), None)
        if meant is not None and self._take_answer_to_merge(workstream):
            self._book(workstream, meant.id, event.tip, meant.commits)

    def owed(self, event: LandingOwed) -> None:
        """Carry out an earlier intent that still can be."""
        workstream = self._turn.workstreams[event.workstream]
        if not self._take_answer_to_merge(workstream) or self._apply_deferred_requests(workstream):
            return
        self._land(workstream, event.candidate, event.intent)

    def moved(self, event: TargetMoved) -> None:
        """Merge a workstream anew because the target has moved; fail it after too many times."""
        workstream = self._turn.workstreams[event.workstream]
        if workstream is not self._landing or workstream.open_intent != event.intent or self._is_merging:
            return
        self._landing_attempts += 1
        if self._landing_attempts < LANDING_ATTEMPTS:
            self._is_merging = True
            self._turn.speculate(MergeWorkstream(input=workstream.landing_input()))
            return
        reason = Reason(
            code=ReasonCode.CONFLICT,
            message=f"someone else moved {self._turn.run.target} {LANDING_ATTEMPTS} times while "
            f"{workstream.name} was being landed; run it again when the branch is quieter",
        )
        self._fail(workstream, reason, blames=False)

    def obstructed_by(self, event: LandingObstructed) -> None:
        """Drain the run, because a checkout of the target cannot follow."""
        workstream = self._turn.workstreams[event.workstream]
        if workstream is self._landing and not self._apply_deferred_requests(workstream):
            self._turn.drain.obstruct(workstream, event.obstacle)

    def failed(self, event: LandingFailed) -> None:
        """Fail a workstream that the target cannot move to, without blame."""
        workstream = self._turn.workstreams[event.workstream]
        is_awaited = workstream is self._landing and workstream.open_intent == event.intent
        if is_awaited and not self._apply_deferred_requests(workstream):
            self._fail(workstream, event.reason, blames=False)

    # -- steps -----------------------------------------------------------------------------------------------

    def _take_answer_to_merge(self, workstream: WorkstreamNode) -> bool:
        """Accept the answer to a merge; return False for one that is not awaited, such as a second one."""
        is_awaited = workstream is self._landing and self._is_merging
        self._is_merging = self._is_merging and not is_awaited
        return is_awaited

    def _apply_deferred_requests(self, workstream: WorkstreamNode) -> bool:
        """Apply cancels and overrides deferred while a landing was in doubt. Return whether they ended it."""
        deferred = self._deferred.pop(workstream.id, [])
        if deferred:
            self._abandon_intent(workstream)
        for request in deferred:
            self._apply(request)
        return workstream.has_ended

    def _abandon_intent(self, workstream: WorkstreamNode) -> None:
        if workstream.open_intent is not None:
            self._turn.decision.intents_abandoned.append(workstream.open_intent)
            workstream.open_intent = None

    def _intend(self, workstream: WorkstreamNode, candidate: Candidate) -> None:
        """Record the intent to land a candidate, and land it once that is recorded."""
        self._abandon_intent(workstream)
        intent = LandingIntent(
            id=new_id("intent"),
            workstream=workstream.id,
            old=candidate.onto.commit,
            new=candidate.tip.commit,
            commits=candidate.commits,
        )
        workstream.intents.append(intent)
        workstream.open_intent = intent.id
        self._turn.decision.intents.append(intent)
        self._land(workstream, candidate, intent.id)

    def _land(self, workstream: WorkstreamNode, candidate: Candidate, intent: str) -> None:
        self._turn.request(
            LandCandidate(workstream=workstream.id, name=workstream.name, candidate=candidate, intent=intent)
        )

    def _book(
        self, workstream: WorkstreamNode, intent: str, tip: Tip, commits: Mapping[PatchId, str]
    ) -> None:
        """Record that a workstream is on the target."""
        if workstream.open_intent == intent:
            self._turn.decision.intents_landed.append(intent)
            workstream.open_intent = None
        self._abandon_intent(workstream)
        for task in workstream.landed_patches():
            patch = task.require_patch()
            patch.commit = commits[patch.id]
            self._turn.move_patch(task, patch_steps.commit(patch.head, commit=patch.commit))
        self._turn.decision.target = tip.commit
        self._complete(workstream, tip)

    def _complete(self, workstream: WorkstreamNode, landed: Tip | None) -> None:
        run = self._turn.run
        workstream.landed = landed
        if landed is not None:
            run.tip = landed
        workstream.leaves = run.tip
        self._landing = None
        step = workstream_steps.complete(workstream.head, landed_commit=landed.commit if landed else None)
        self._turn.move_workstream(workstream, step)
        self._turn.follow_up(workstream)

    def _fail(self, workstream: WorkstreamNode, reason: Reason, *, blames: bool) -> None:
        """Fail a workstream whose merged result cannot land, and end its patches."""
        self._abandon_intent(workstream)
        for task in workstream.landed_patches():
            if blames:
                self._turn.quarantine(task, reason, "gates_failed")
            else:
                self._turn.drop(task, reason)
        self._landing = None
        step = workstream_steps.fail(workstream.head, reason, trigger="validation_failed")
        self._turn.move_workstream(workstream, step, reason)
        self._turn.follow_up(workstream)
