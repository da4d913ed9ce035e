"""Looks at the target: its head, and the workstreams that it holds already."""

from collections.abc import Sequence

from maingate.commits import Tip
from maingate.orchestrator.core.effects import LookAtTarget
from maingate.orchestrator.core.events import FoundLanding, TargetSeen
from maingate.orchestrator.core.queue.board import Member
from maingate.orchestrator.core.queue.departures import Departures
from maingate.orchestrator.core.queue.queue_state import QueueState
from maingate.orchestrator.core.queue_items import Passenger
from maingate.orchestrator.core.snapshot import WorkstreamNode
from maingate.orchestrator.train.chains import CandidateChain
from maingate.state.workstream import WorkstreamState


class TargetSightings:
    """Reads the target, and books what it holds.

    Args:
        queue: The state of the queue.
        departures: Ends what leaves the queue.
    """

    def __init__(self, queue: QueueState, departures: Departures) -> None:
        self._queue, self._turn = queue, queue.turn
        self._departures = departures

    def look(self, on_board: Sequence[Member]) -> None:
        """Read the target, if there is anything to land or to be found."""
        meant = self._meant()
        if on_board or meant:
            self.look_for(meant)

    def look_for(self, meant: Sequence[Member]) -> None:
        """Read the target, and which of some workstreams it holds."""
        look = self._queue.look = f"look_{next(self._queue.numbers)}"
        self._queue.looked_for = {workstream.id for workstream in meant}
        inputs = tuple(workstream.landing_input() for workstream in meant)
        self._turn.speculate(LookAtTarget(look=look, meant=inputs, is_held=self._queue.holds_target))

    def _meant(self) -> Sequence[Member]:
        """Return the workstreams that were to land: of this run, and of others those in doubt."""
        own = [ws for ws in self._turn.run.order if ws.intents and not ws.has_ended]
        return [*(ws for ws in own if ws.id not in self._queue.found), *self._queue.passengers.in_doubt()]

    def seen(self, event: TargetSeen) -> None:
        """Complete what the target holds already, and begin from its head."""
        if event.look != self._queue.look:
            return
        self._queue.look = None
        self._turn.run.head_seen = event.head
        self._queue.changed()
        for found in sorted(event.found, key=lambda each: each.intent):  # in the order of their commits
            self._find(found)
        if self._queue.holds_target:
            self._begin_from(event.head)
        for member in [
            self._queue.member(each) for each in sorted(self._queue.looked_for - self._queue.found.keys())
        ]:
            if member.open_intent is not None and not self._departures.apply_deferred_requests(member):
                self._departures.abandon_intent(member)
            if isinstance(member, Passenger):
                self._queue.passengers.drop_if_not_aboard(member)

    def _begin_from(self, head: Tip) -> None:
        self._queue.head = head
        if head.commit != self._turn.run.tip.commit:
            self._queue.company.forget()
        self._queue.facts.root = CandidateChain()

    def _find(self, found: FoundLanding) -> None:
        """Book what the target holds; of a workstream whose patches are not applied yet, once they are."""
        workstream = self._queue.member(found.workstream)
        intent = next((each for each in workstream.intents if each.id == found.intent), None)
        if intent is None or workstream.has_ended:
            return
        if isinstance(workstream, WorkstreamNode):
            self._turn.run.tip = found.tip
            if workstream.state is not WorkstreamState.VALIDATING:
                self._queue.found[workstream.id] = found
                self.book_found(workstream)
                return
        self._departures.book(workstream, intent, found.tip)

    def book_found(self, workstream: WorkstreamNode) -> None:
        """Record that the target holds a workstream, as far as its tasks have come."""
        if workstream.state is WorkstreamState.VALIDATING:
            found = self._queue.found.pop(workstream.id)
            intent = next(each for each in workstream.intents if each.id == found.intent)
            self._departures.book(workstream, intent, found.tip)
        elif workstream.is_applied:
            self._queue.lanes.settle_all(workstream)
