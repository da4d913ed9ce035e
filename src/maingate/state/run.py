"""The run: one execution of a plan against one repository and target branch.

A run is a frame around its workstreams. It starts when the first of them may be scheduled, and its end is
derived from theirs (``run_outcome.derive_run``), so it can never end before they did. Cancelling is the only
decision that comes from outside.
"""

from enum import StrEnum

from maingate.state.machine import Machine


class RunState(StrEnum):
    """The states of a run."""

    PENDING = "pending"
    """Recorded, nothing scheduled. The orchestrator moves it on when it starts scheduling."""
    RUNNING = "running"
    """Workstreams are under way. Derived from them: the orchestrator ends it when the last has ended."""
    SUCCEEDED = "succeeded"
    """The end: every workstream that was critical has landed or was left out on purpose."""
    FAILED = "failed"
    """The end: a critical workstream did not land."""
    CANCELED = "canceled"
    """The end: a person stopped it."""


RUN = Machine(
    name="run",
    states=RunState,
    initial=RunState.PENDING,
    terminal=frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELED}),
    table={
        RunState.PENDING: (
            (RunState.RUNNING, "scheduling_started"),
            (RunState.CANCELED, "user_canceled"),
        ),
        RunState.RUNNING: (
            (RunState.SUCCEEDED, "all_workstreams_done"),
            (RunState.FAILED, "critical_workstream_failed"),
            (RunState.CANCELED, "user_canceled"),
        ),
        RunState.SUCCEEDED: (),
        RunState.FAILED: (),
        RunState.CANCELED: (),
    },
)
