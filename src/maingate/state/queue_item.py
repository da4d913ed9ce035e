"""The states of a workstream that is handed to the process which lands it: a hand-over, and no machine.

The workstream's own states are those of `maingate.state.workstream`; its own run's process writes them.
"""

from enum import StrEnum


class QueueItemState(StrEnum):
    """The states of a workstream in the queue of its target."""

    WAITING = "waiting"
    """It waits to be landed; the process that holds the target may begin at any moment."""
    LANDING = "landing"
    """The intent to land it is on record."""
    LANDED = "landed"
    """It is on the target; its own process is to record that."""
    REFUSED = "refused"
    """It cannot land, for the reason on record; its own process is to draw the consequences."""
    RETURNED = "returned"
    """It was wanted back by its own process, which alone has it in its hands now."""
