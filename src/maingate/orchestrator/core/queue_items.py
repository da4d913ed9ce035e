"""Queue items: workstreams that one process hands to the one which holds their target, and its answers.

Each run has a process of its own; one of them at a time holds the target, and lands what the others hand to
it beside its own. A workstream is handed over by its own process and only ever answered by the holder:

    handed over (waiting) -> landing, with its intent on record -> landed, or waiting again
    waiting -> refused, or returned because its own process wants it back

The states of the workstream itself are written by its own process alone, which asks the branch whether it has
landed.
"""

from dataclasses import dataclass

from maingate.commits import LandingInput, LandingIntent, Tip
from maingate.ids import WorkstreamId
from maingate.plan.choices import LandingStyle
from maingate.reasons import Reason
from maingate.state.queue_item import QueueItemState

Place = tuple[int, int]
"""A place in the queue: the time at which all patches were in, in microseconds, and the place in the run."""


@dataclass(frozen=True, kw_only=True)
class QueueItem:
    """A workstream as it is handed over.

    Args:
        offer: Identifies this hand-over: the same workstream may be handed over again.
        input: The workstream.
        style: How its run lands.
        place: Its place.
    """

    offer: str
    input: LandingInput
    style: LandingStyle
    place: Place

    @property
    def id(self) -> WorkstreamId:
        """The workstream."""
        return self.input.workstream


@dataclass(frozen=True, kw_only=True)
class Recall:
    """A wish of a workstream's own process to have it back."""

    workstream: WorkstreamId


@dataclass(frozen=True, kw_only=True)
class Removal:
    """The end of a hand-over, written with the consequences of its answer."""

    workstream: WorkstreamId


@dataclass(frozen=True, kw_only=True)
class Taking:
    """The beginning of a landing: the intent to land a workstream of another run is being recorded."""

    workstream: WorkstreamId


@dataclass(frozen=True, kw_only=True)
class QueueAnswer:
    """An answer of the process that holds the target.

    Args:
        workstream: The workstream.
        state: Its state from now on.
        reason: Why it is refused.
        is_blamed: Whether it is to blame for that.
    """

    workstream: WorkstreamId
    state: QueueItemState
    reason: Reason | None = None
    is_blamed: bool = False


QueueStep = QueueItem | Recall | Removal | Taking | QueueAnswer
"""A step of a hand-over; a decision has them in their order."""


class Passenger:
    """A workstream of another run that this process lands together with those of its own.

    It has the face of a workstream of the run as far as the queue looks at it; all that becomes of it is an
    answer to its own process.

    Args:
        item: The workstream as it was handed over.
    """

    may_defer_gates = defers_gates = is_offered = False
    has_something_to_land = True

    def __init__(self, item: QueueItem) -> None:
        self.item, self.style, self.place = item, item.style, item.place
        self.id, self.run, self.name = item.id, item.input.run, item.input.name
        self.gates = item.input.gates
        self.intents: list[LandingIntent] = list(item.input.intents)
        self.open_intent = item.input.open_intent
        self.has_ended = False

    def __repr__(self) -> str:
        """Return its name and run."""
        return f"Passenger({self.name}, {self.run})"

    def landing_input(self) -> LandingInput:
        """Return it as it would land now."""
        return self.item.input

    def tip_to_land(self) -> Tip:
        """Return the commit that it would land as."""
        return self.item.input.settled
