"""The hand-over of this run's workstreams to the process that holds the target."""

from collections.abc import Iterable, Sequence

from maingate.ids import new_id
from maingate.orchestrator.core.queue.board import LandingBoard
from maingate.orchestrator.core.queue_items import QueueItem, Recall, Removal
from maingate.orchestrator.core.snapshot import WorkstreamNode
from maingate.orchestrator.core.turn import Turn


class HandOver:
    """Hands workstreams over, and knows which of them are not answered yet.

    Args:
        turn: The current turn.
        board: The places of workstreams.
    """

    def __init__(self, turn: Turn, board: LandingBoard) -> None:
        self._turn, self._board = turn, board
        self._recalled: set[str] = set()
        self._offers: dict[str, str] = {}

    @property
    def is_under_way(self) -> bool:
        """Return whether a workstream waits for its answer."""
        return any(workstream.is_offered for workstream in self._turn.run.order)

    def offer(self, workstreams: Iterable[WorkstreamNode]) -> None:
        """Hand workstreams over that are not yet."""
        for workstream in workstreams:
            if not workstream.is_offered:
                workstream.is_offered = True
                self._offers[workstream.id] = new_id("offer")
                item = QueueItem(
                    offer=self._offers[workstream.id],
                    input=workstream.landing_input(),
                    style=self._turn.run.plan.landing,
                    place=self._board.place_of(workstream),
                )
                self._turn.decision.queue.append(item)

    def is_under_way_for(self, workstream: WorkstreamNode, offer: str) -> bool:
        """Return whether a workstream waits for the answer about an offer, and not about one of later."""
        return workstream.is_offered and self._offers.get(workstream.id, offer) == offer

    def recall(self, workstream: WorkstreamNode) -> None:
        """Request a workstream back, once: something is to be done about it."""
        if workstream.id not in self._recalled:
            self._recalled.add(workstream.id)
            self._turn.decision.queue.append(Recall(workstream=workstream.id))

    def over(self, workstream: WorkstreamNode) -> None:
        """End the hand-over of a workstream that was answered."""
        workstream.is_offered = False
        self._recalled.discard(workstream.id)
        self._offers.pop(workstream.id, None)
        self._turn.decision.queue.append(Removal(workstream=workstream.id))

    def end(self) -> Sequence[WorkstreamNode]:
        """End all hand-overs, because this process holds the target now; return their workstreams."""
        ended = [workstream for workstream in self._turn.run.order if workstream.is_offered]
        for workstream in ended:
            self.over(workstream)
        return ended
