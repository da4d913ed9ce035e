"""The outcome of a run, derived from its workstreams (docs/SPECIFICATION.md §3)."""

from collections.abc import Collection
from dataclasses import dataclass

from maingate.state.run import RunState
from maingate.state.workstream import WORKSTREAM, WorkstreamState


@dataclass(frozen=True, kw_only=True)
class WorkstreamFact:
    """The input of a workstream to the derivation of its run.

    Args:
        state: The workstream's state.
        is_critical: Whether the run fails without it.
        lost_dependency: Whether it was skipped because a workstream it needs did not land, as opposed to
            being left out on purpose.
    """

    state: WorkstreamState
    is_critical: bool
    lost_dependency: bool = False


def derive_run(workstreams: Collection[WorkstreamFact]) -> RunState:
    """Derive the state of a run that was started and not cancelled.

    While any workstream has not ended the run is ``running``, so that workstreams independent of a failure
    still land. Then it is ``failed`` if a critical workstream did not land, else ``succeeded``: failures of
    non-critical workstreams are reported and passed over. A workstream that was left out on purpose is no
    loss; a critical one that was skipped because a need did not land is.
    """
    if not all(WORKSTREAM.is_terminal(workstream.state) for workstream in workstreams):
        return RunState.RUNNING
    is_lost = any(workstream.is_critical and _did_not_land(workstream) for workstream in workstreams)
    return RunState.FAILED if is_lost else RunState.SUCCEEDED


def _did_not_land(workstream: WorkstreamFact) -> bool:
    if workstream.state == WorkstreamState.SKIPPED:
        return workstream.lost_dependency
    return workstream.state != WorkstreamState.COMPLETED
