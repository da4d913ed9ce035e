"""The queue over several runs: hand-overs to the process that holds the target, and passengers."""

from collections.abc import Sequence

from maingate.orchestrator.core.events import QueueAnswered, QueueRead, TargetLetGo, TargetTaken
from maingate.orchestrator.core.queue.board import Member
from maingate.orchestrator.core.queue.departures import Departures
from maingate.orchestrator.core.queue.queue_state import QueueState
from maingate.orchestrator.core.queue.target_sightings import TargetSightings
from maingate.orchestrator.core.queue_items import Passenger, QueueAnswer
from maingate.orchestrator.core.snapshot import WorkstreamNode
from maingate.orchestrator.core.turn import stated
from maingate.state.queue_item import QueueItemState
from maingate.state.workstream import WorkstreamState


class OtherRuns:
    """Hands workstreams over, or lands those of other runs, as this process holds the target or not.

    Args:
        queue: The state of the queue.
        departures: Ends what leaves the queue.
        sightings: Reads the target.
    """

    def __init__(self, queue: QueueState, departures: Departures, sightings: TargetSightings) -> None:
        self._queue, self._turn = queue, queue.turn
        self._departures = departures
        self._sightings = sightings

    def wait_for_others(self, on_board: Sequence[Member]) -> None:
        """Hand over what is on board; first find out what an earlier process of this run has landed."""
        meant = [ws for ws in self._turn.run.order if ws.open_intent is not None and not ws.has_ended]
        if unsure := [ws for ws in meant if not ws.is_offered and ws.id not in self._queue.found]:
            self._sightings.look_for(unsure)
            return
        own = [ws for ws in on_board if isinstance(ws, WorkstreamNode) and ws.id not in self._queue.found]
        self._queue.hand_over.offer(own)

    def taken(self, event: TargetTaken) -> None:
        """Land from now on; find out first what a process that is gone was about to land."""
        self._queue.holds_target, self._queue.head = True, None
        self._queue.look = None  # one that is under way may have begun before
        doubtful = set()
        for item in event.landing:
            own = self._turn.workstreams.get(item.id)
            if own is None:
                self._queue.passengers.meet(Passenger(item))
            elif not own.has_ended and self._queue.hand_over.is_under_way_for(own, item.offer):
                own.intents, own.open_intent = list(item.input.intents), item.input.open_intent
                doubtful.add(own.id)
        for workstream in self._queue.hand_over.end():
            if workstream.id not in doubtful:
                workstream.open_intent = None  # the process that held the target has settled it
            if workstream.open_intent is None:
                self._departures.apply_deferred_requests(workstream)
        self._queue.changed()

    def let_go(self, _: TargetLetGo) -> None:
        """Hand over from now on what comes on board."""
        self._queue.holds_target, self._queue.head = False, None
        self._queue.changed()

    def queue_read(self, event: QueueRead) -> None:
        """Take workstreams of other runs on board, and put those off that have left or are wanted back."""
        if not self._queue.holds_target:
            return
        waiting = self._queue.passengers.unanswered(event.waiting)
        for passenger in tuple(self._queue.passengers.aboard.values()):
            is_there = waiting.get(passenger.id) == passenger.item
            if is_there or self._queue.is_being_landed(passenger):
                waiting.pop(passenger.id, None)
            else:
                self._departures.put_off(passenger)
        for wanted in event.wanted_back:
            known = self._queue.passengers.known.get(wanted)
            if known is None or not self._queue.is_being_landed(known):
                self._queue.answer(QueueAnswer(workstream=wanted, state=QueueItemState.RETURNED))
        if self._turn.is_over or self._turn.drain.is_on:
            return
        for item in waiting.values():
            passenger = Passenger(item)
            self._queue.passengers.board(passenger)
            self._queue.board.join(passenger)
            self._queue.gates.add(passenger.gates)
            self._queue.changed()

    def answered(self, event: QueueAnswered) -> None:
        """Draw the consequences of what the process said that holds the target."""
        answer = event.answer
        workstream = self._turn.workstreams[answer.workstream]
        if not workstream.is_offered or self._queue.holds_target:
            return
        self._queue.hand_over.over(workstream)
        self._turn.run.head_seen = event.head or self._turn.run.head_seen
        self._queue.changed()
        workstream.intents = list(event.intents) or workstream.intents
        # Landed: the branch itself is asked. An intent of before a restart that is no longer pending was
        # settled by the process that answers.
        workstream.open_intent = event.intents[-1].id if event.intents else None
        if answer.state is QueueItemState.LANDED or self._departures.apply_deferred_requests(workstream):
            return
        if answer.state is QueueItemState.REFUSED and self._is_done(workstream):
            reason = stated(answer.reason, workstream.name)
            self._departures.refuse(workstream, reason, blames=answer.is_blamed)

    def _is_done(self, workstream: WorkstreamNode) -> bool:
        """Return whether it could land now; after a kill, its patches may have to be applied again first."""
        return workstream.state is WorkstreamState.VALIDATING or workstream.is_applied
