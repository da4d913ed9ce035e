"""Holds: the reasons why entities of a run wait, as values.

The core publishes a hold for each entity whose own row does not say why it waits;
`maingate.queries.waits.explain` makes the sentences.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final


class HoldCode(StrEnum):
    """The kinds of reasons; programs may rely on them."""

    RESUME = "resume"
    """The run has no process; `maingate resume` continues it."""
    SERVER = "server"
    """The run has no process yet; the server of its repository starts one when it is its turn."""
    BUDGET = "budget"
    """The run has no process, and its budget is spent."""
    DRAINING = "draining"
    """The run's process starts nothing new, and stops when what runs has ended."""
    NEXT_STEP = "next_step"
    """The run's process has not taken its next step yet."""
    PARTS = "parts"
    """The workstreams of a run, or the tasks of a workstream, have not ended."""
    WORKSTREAM = "workstream"
    """The workstream of a task is not ready, or that of a patch has not landed."""
    NEEDS = "needs"
    """A needed workstream, task or gate has not completed."""
    WORKER = "worker"
    """All workers are busy."""
    TOOL = "tool"
    """The tool is paused by its breaker or its provider, or used as often at once as it may be."""
    PATHS = "paths"
    """Another tool task that may write the same paths comes first or is at work."""
    WORK = "work"
    """Its own work is under way."""
    RETRY = "retry"
    """The wait before the next attempt."""
    LANE = "lane"
    """Patches ahead of it in its lane."""
    APPROVALS = "approvals"
    """People have to approve the patch."""
    GATES = "gates"
    """Its gates are running."""
    LANDING_ORDER = "landing_order"
    """Another workstream lands before it."""
    HANDED_OVER = "handed_over"
    """The process of another run lands it, which holds the target."""
    TARGET = "target"
    """Its own process lands it, once the one that holds the target lets it go."""
    QUEUE = "queue"
    """The queue of the target is paused, frozen or drained, by a person."""
    LANDING = "landing"
    """The target is being moved to it."""
    ENDED = "ended"
    """It waits for nothing: it has ended."""


_OF_OTHER_ROWS: Final = frozenset({HoldCode.QUEUE, HoldCode.HANDED_OVER, HoldCode.TARGET})
"""The codes that follow from other rows: orders about a queue, and hand-overs between processes."""

PUBLISHED: Final = tuple(code for code in HoldCode if code not in _OF_OTHER_ROWS)
"""The codes of holds that are on record."""


class EndedBy(StrEnum):
    """The sides that can end a hold."""

    RUN = "run"
    """The process at work on the run, as its other work ends."""
    TIME = "time"
    """A pause that is over after a while."""
    PERSON = "person"
    """A person, by a command."""


@dataclass(frozen=True, kw_only=True)
class Hold:
    """The reason why an entity waits.

    Args:
        code: The kind of reason.
        about: The particulars of its kind: ids of entities, names, numbers.
        since: The time at which the entity began to wait for this.
        ends_by: The side that can end it.
    """

    code: HoldCode
    about: Mapping[str, Any] = field(default_factory=dict)
    since: datetime
    ends_by: EndedBy = EndedBy.RUN

    def is_same(self, other: "Hold") -> bool:
        """Return whether both are one hold, whenever each was found."""
        return (self.code, self.about, self.ends_by) == (other.code, other.about, other.ends_by)
