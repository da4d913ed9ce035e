"""The circuit breaker: protection of one external tool (Nygard, *Release It!*).

As in a fuse box, closed is the good state: the tool is in use. Open means that it is paused.

A tool that fails repeatedly is paused for a while, then tried with a single probe. While the breaker is open
its tasks wait and use up no retries. A breaker lives as long as its tool, so it has no terminal state.
"""

from enum import StrEnum

from maingate.state.machine import Machine


class BreakerState(StrEnum):
    """The states of a circuit breaker."""

    CLOSED = "CLOSED"
    """Calls go through. Consecutive failures, or an operator, move it on."""
    OPEN = "OPEN"
    """No call goes through. The end of the cooldown, or an operator, moves it on."""
    HALF_OPEN = "HALF_OPEN"
    """One probe goes through. Its outcome moves it on."""


CIRCUIT_BREAKER = Machine(
    name="circuit_breaker",
    states=BreakerState,
    initial=BreakerState.CLOSED,
    terminal=frozenset(),
    table={
        BreakerState.CLOSED: (
            (BreakerState.OPEN, "failure_threshold_reached"),
            (BreakerState.OPEN, "manual_trip"),
        ),
        BreakerState.OPEN: (
            (BreakerState.HALF_OPEN, "cooldown_elapsed"),
            (BreakerState.CLOSED, "manual_reset"),
        ),
        BreakerState.HALF_OPEN: (
            (BreakerState.CLOSED, "probe_succeeded"),
            (BreakerState.OPEN, "probe_failed"),
        ),
    },
    extensions={
        (BreakerState.OPEN, BreakerState.CLOSED, "manual_reset"): (
            "an operator resets a breaker after checking the tool"
        ),
        (BreakerState.CLOSED, BreakerState.OPEN, "manual_trip"): "an operator takes a tool out of use",
    },
)
