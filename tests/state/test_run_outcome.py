"""The outcome of a run follows from its workstreams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maingate.state.run import RunState
from maingate.state.run_outcome import WorkstreamFact, derive_run
from maingate.state.workstream import WORKSTREAM, WorkstreamState

workstream_facts = st.builds(
    WorkstreamFact,
    state=st.sampled_from(WorkstreamState),
    is_critical=st.booleans(),
    lost_dependency=st.booleans(),
)


@given(workstreams=st.lists(workstream_facts, max_size=6))
def test_a_run_fails_with_a_critical_workstream_and_only_then(workstreams: list[WorkstreamFact]) -> None:
    """A critical workstream that failed fails the run; without a critical loss an ended run has succeeded."""
    ended = [each for each in workstreams if WORKSTREAM.is_terminal(each.state)]
    derived = derive_run(ended)
    if any(each.is_critical and each.state == WorkstreamState.FAILED for each in ended):
        assert derived == RunState.FAILED
    if not any(each.is_critical and each.state != WorkstreamState.COMPLETED for each in ended):
        assert derived == RunState.SUCCEEDED


@pytest.mark.parametrize(
    ("state", "is_critical", "lost_dependency", "expected"),
    [
        (WorkstreamState.COMPLETED, True, False, RunState.SUCCEEDED),
        (WorkstreamState.SKIPPED, True, False, RunState.SUCCEEDED),
        (WorkstreamState.SKIPPED, True, True, RunState.FAILED),
        (WorkstreamState.SKIPPED, False, True, RunState.SUCCEEDED),
        (WorkstreamState.FAILED, True, False, RunState.FAILED),
        (WorkstreamState.FAILED, False, False, RunState.SUCCEEDED),
        (WorkstreamState.CANCELLED, True, False, RunState.FAILED),
        (WorkstreamState.CANCELLED, False, False, RunState.SUCCEEDED),
    ],
)
def test_what_the_end_of_one_workstream_means_for_the_run(
    state: WorkstreamState, is_critical: bool, lost_dependency: bool, expected: RunState
) -> None:
    """Beside a landed one: critical work that did not land fails the run, unless left out on purpose."""
    landed = WorkstreamFact(state=WorkstreamState.COMPLETED, is_critical=True)
    other = WorkstreamFact(state=state, is_critical=is_critical, lost_dependency=lost_dependency)
    assert derive_run([landed, other]) == expected
