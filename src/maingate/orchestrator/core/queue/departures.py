"""The departure of workstreams from the queue: landed, refused, put off, or without landing."""

from maingate.commits import LandingIntent, Tip
from maingate.orchestrator.core.queue.board import Member
from maingate.orchestrator.core.queue.queue_state import QueueState, Request, item_of
from maingate.orchestrator.core.queue_items import Passenger, QueueAnswer
from maingate.orchestrator.core.snapshot import WorkstreamNode
from maingate.orchestrator.train.chains import CandidateChain
from maingate.reasons import Reason
from maingate.state.queue_item import QueueItemState
from maingate.state.steps import patches as patch_steps
from maingate.state.steps import workstreams as workstream_steps


class Departures:
    """Ends what leaves the queue.

    Args:
        queue: The state of the queue.
    """

    def __init__(self, queue: QueueState) -> None:
        self._queue, self._turn = queue, queue.turn

    def defer(self, workstream: WorkstreamNode, request: Request) -> None:
        """Keep a request about a workstream until it is known whether it has landed."""
        self._queue.deferred.setdefault(workstream.id, []).append(request)
        if workstream.is_offered:
            self._queue.hand_over.recall(workstream)

    def ended(self, workstream: WorkstreamNode) -> None:
        """Apply what was requested about a workstream that has ended meanwhile."""
        for request in self._queue.deferred.pop(workstream.id, ()):
            self._queue.apply(request)

    def release(self, workstream: WorkstreamNode) -> None:
        """Release the target from a workstream that ends without landing."""
        if self._queue.is_in_car(workstream):
            self._queue.car = None
        if workstream.lane is not None:
            self._queue.facts.left(item_of(workstream))
            self._queue.answers.forget_last(item_of(workstream))
        self._leave(workstream)

    def put_off(self, passenger: Passenger, *, is_answered: bool = False) -> None:
        """Remove a workstream of another run from the board; unless answered, it waits for another holder."""
        self._queue.facts.left(item_of(passenger))
        self._queue.answers.forget_last(item_of(passenger))
        self._queue.passengers.part(passenger, is_answered=is_answered)
        self._leave(passenger)

    def apply_deferred_requests(self, workstream: Member) -> bool:
        """Apply cancels and overrides deferred while a landing was in doubt. Return whether they ended it."""
        deferred = self._queue.deferred.pop(workstream.id, [])
        if deferred:
            self.abandon_intent(workstream)
        for request in deferred:
            self._queue.apply(request)
        return workstream.has_ended

    def abandon_intent(self, workstream: Member) -> None:
        """Record that the open intent of a workstream is not carried out."""
        if workstream.open_intent is None:
            return
        self._turn.decision.intents_abandoned.append(workstream.open_intent)
        workstream.open_intent = None
        if isinstance(workstream, Passenger):
            self._queue.answer(QueueAnswer(workstream=workstream.id, state=QueueItemState.WAITING))

    def book(self, workstream: Member, intent: LandingIntent, tip: Tip) -> None:
        """Record that a workstream is on the target; of another run, its own process is told."""
        if isinstance(workstream, Passenger):
            self._queue.answer(QueueAnswer(workstream=workstream.id, state=QueueItemState.LANDED))
            self._queue.passengers.part(workstream, is_answered=True)
            self._leave(workstream)
            return
        if workstream.open_intent == intent.id:
            self._turn.decision.intents_landed.append(intent.id)
            workstream.open_intent = None
        self.abandon_intent(workstream)
        for task in workstream.landed_patches():
            patch = task.require_patch()
            patch.commit = intent.commits[patch.id]
            self._turn.move_patch(task, patch_steps.commit(patch.head, commit=patch.commit))
        self._turn.decision.target = tip.commit
        workstream.landed_by = intent.id
        self.complete(workstream, tip)

    def complete(self, workstream: WorkstreamNode, landed: Tip | None) -> None:
        """Record that a workstream is done."""
        workstream.landed = landed
        self._leave(workstream)
        reason = None if landed else workstream.reason_not_to_land()
        if reason is None:
            step = workstream_steps.complete(workstream.head, landed_commit=landed.commit if landed else None)
        else:
            step = workstream_steps.pass_over(workstream.head, reason)
        self._turn.move_workstream(workstream, step, reason)
        self._turn.follow_up(workstream)

    def fail(
        self,
        workstream: Member,
        reason: Reason,
        *,
        blames: bool,
        suspect: CandidateChain | None = None,
    ) -> None:
        """Fail a workstream whose merged result cannot land, and end its patches.

        Where patches are kept off the record, the tool of one that conflicts with the target makes another.
        Where its gates were deferred, each of its patches is judged by itself first, so that one that is to
        blame is named; if all pass, the workstream is refused when it comes on board again (`board`).
        One that is in a car is proven, and may be on the target already: nothing else that is found out fails
        it. It is asked again if the car comes back.
        """
        if self._queue.is_in_car(workstream):
            return
        if isinstance(workstream, Passenger):
            self.abandon_intent(workstream)
            state = QueueItemState.REFUSED
            self._queue.answer(
                QueueAnswer(workstream=workstream.id, state=state, reason=reason, is_blamed=blames)
            )
            self._queue.blamed_count += blames
            self.put_off(workstream, is_answered=True)
            return
        if workstream.lane is not None:  # by the identifier that it has until patches of it are refused
            self._queue.facts.left(item_of(workstream))
        if workstream.defers_gates:
            self._queue.refusals |= {item_of(workstream): (reason, True)} if blames else {}
            self._queue.untried.pop(workstream.id, None)
            self._queue.lanes.judge_each(workstream, failures=self._failures_wanted(workstream, suspect))
            self._queue.changed()
            return
        if workstream.is_applied:
            self._fail_kept(workstream, reason, blames=blames)
            return
        self.abandon_intent(workstream)
        self.release(workstream)
        self._queue.blamed_count += blames
        for task in workstream.landed_patches():
            if blames:
                self._turn.quarantine(task, reason, "gates_failed")
            else:
                self._turn.drop(task, reason)
        step = workstream_steps.fail(workstream.head, reason, trigger="validation_failed")
        self._turn.move_workstream(workstream, step, reason)
        self._turn.follow_up(workstream)

    def refuse(self, workstream: Member, reason: Reason, *, blames: bool) -> None:
        """Fail a workstream that cannot be merged onto the target, or pass over one that is there already."""
        is_done = self._turn.is_done_already(reason) and not self._queue.is_in_car(workstream)
        if is_done and isinstance(workstream, WorkstreamNode):
            run = self._turn.run
            landed = [each for each in run.order if each.landed is not None]
            run.note_found(workstream, self._queue.head or run.newest, after=landed)
            self.abandon_intent(workstream)
            self.release(workstream)
            self._queue.lanes.pass_over(workstream, reason)
        else:
            self.fail(workstream, reason, blames=blames)

    def _fail_kept(self, workstream: WorkstreamNode, reason: Reason, *, blames: bool) -> None:
        """Retry the task whose patch is in conflict, or complete all tasks and fail the whole workstream."""
        culprit = self._queue.renewal.culprit(workstream, reason)
        if culprit is not None:
            self.abandon_intent(workstream)
            self.release(workstream)
            self._queue.renewal.make_again(culprit, reason)
            return
        self._queue.refusals[item_of(workstream)] = (reason, blames)
        self._queue.lanes.settle_all(workstream)

    def _failures_wanted(self, workstream: Member, suspect: CandidateChain | None) -> int | None:
        """Return how often each patch of a refused workstream must fail, as far as gates refused it."""
        if suspect is None or not self._queue.policy.confirms:
            return None
        return self._queue.doubts.refuse(suspect, workstream, self._queue.answers.failed_on(suspect))

    def _leave(self, workstream: Member) -> None:
        """Forget a workstream that leaves the queue, as far as others are concerned by it."""
        self._queue.foreign_moves = 0
        self._queue.untried.pop(workstream.id, None)
        if isinstance(workstream, Passenger) or workstream.lane is not None:
            item = item_of(workstream)
            self._queue.doubts.forget(item)
            self._queue.conflicts.pop(item, None)
            self._queue.repeats.discard(item)
            for others in self._queue.conflicts.values():
                others.discard(item)
        self._queue.is_narrow = False
        self._queue.changed()
