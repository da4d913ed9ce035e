"""Passengers: the workstreams of other runs that this process lands beside its own."""

from collections.abc import Sequence

from maingate.ids import WorkstreamId
from maingate.orchestrator.core.queue_items import Passenger, QueueItem


class Passengers:
    """The passengers.

    Attributes:
        known: All that were ever met, as they were last: chains of those that have left name them still.
        aboard: Those on board.
    """

    def __init__(self) -> None:
        self.known: dict[WorkstreamId, Passenger] = {}
        self.aboard: dict[WorkstreamId, Passenger] = {}
        self._answered: set[str] = set()

    def board(self, passenger: Passenger) -> None:
        """Add a passenger to those on board."""
        self.known[passenger.id] = self.aboard[passenger.id] = passenger

    def meet(self, passenger: Passenger) -> None:
        """Note a passenger of a process that is gone, whose landing is in doubt."""
        self.known[passenger.id] = passenger

    def in_doubt(self) -> Sequence[Passenger]:
        """Return the passengers with an intent that may have been carried out."""
        return [each for each in self.known.values() if each.open_intent is not None and not each.has_ended]

    def part(self, passenger: Passenger, *, is_answered: bool = False) -> None:
        """Remove a passenger.

        Args:
            passenger: The passenger.
            is_answered: Whether its process is answered, so that the same hand-over is over.
        """
        passenger.has_ended = True
        self.aboard.pop(passenger.id, None)
        if is_answered:
            passenger.open_intent = None
            self._answered.add(passenger.item.offer)

    def drop_if_not_aboard(self, passenger: Passenger) -> None:
        """Remove a passenger that was only met."""
        if passenger.id not in self.aboard:
            self.part(passenger)

    def unanswered(self, waiting: Sequence[QueueItem]) -> dict[WorkstreamId, QueueItem]:
        """Return those that wait, by workstream, without those whose answers are being recorded just now."""
        self._answered &= {item.offer for item in waiting}
        return {item.id: item for item in waiting if item.offer not in self._answered}
