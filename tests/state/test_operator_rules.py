"""Decisions of operators: only what the tables, the needs and the gates leave to decide."""

from dataclasses import replace

import pytest

from maingate.errors import UsageError
from maingate.state import operator_rules
from maingate.state.circuit_breaker import BreakerState
from maingate.state.operator_rules import BreakerAction, Facts, Override, TaskFacts, WorkstreamFacts
from maingate.state.patch_ledger import PatchState
from maingate.state.task import TASK as TASK_MACHINE
from maingate.state.task import TaskState
from maingate.state.workstream import WorkstreamState

TASK = TaskFacts(
    name="t", kind="command", state=TaskState.QUEUED, workstream=WorkstreamState.EXECUTING, unmet=()
)
STREAM = WorkstreamFacts(name="w", state=WorkstreamState.EXECUTING)


@pytest.mark.parametrize("state", TaskState)
def test_a_task_is_forced_to_its_end_from_wherever_it_has_begun_or_may_begin(state: TaskState) -> None:
    """An ended task stays ended, and a blocked one waits for others."""
    facts = replace(TASK, state=state)
    is_refused = TASK_MACHINE.is_terminal(state) or state is TaskState.BLOCKED
    assert (operator_rules.refusal("force-complete", facts) is not None) is is_refused
    assert (operator_rules.refusal("force-fail", facts) is not None) is is_refused
    assert (operator_rules.refusal("reset", facts) is None) is (state is TaskState.RETRYING)
    assert (operator_rules.refusal("unblock", facts) is None) is (state is TaskState.BLOCKED)


@pytest.mark.parametrize("state", WorkstreamState)
def test_a_workstream_is_decided_about_while_it_is_under_way(state: WorkstreamState) -> None:
    """It fails as long as it has not landed; it is sent to land only once."""
    facts = replace(STREAM, state=state)
    under_way = {WorkstreamState.EXECUTING, WorkstreamState.VALIDATING}
    assert (operator_rules.refusal("fail", facts) is None) is (state in under_way)
    assert (operator_rules.refusal("validate", facts) is None) is (state is WorkstreamState.EXECUTING)


@pytest.mark.parametrize(
    ("override", "facts", "said"),
    [
        ("force-complete", replace(TASK, kind="patch", state=TaskState.COMPLETED), "makes a patch"),
        ("force-complete", replace(TASK, kind="tool"), "makes a patch"),
        ("force-complete", replace(TASK, workstream=WorkstreamState.READY), "has not begun"),
        (
            "force-fail",
            replace(TASK, state=TaskState.BLOCKED, unmet=("a", "b")),
            "waits for a, b and has",
        ),
        ("unblock", replace(TASK, state=TaskState.BLOCKED, unmet=("a",)), "waits for a; complete or cancel"),
        ("reset", replace(TASK, kind="patch", state=TaskState.FAILED), "patch recover"),
        ("reset", replace(TASK, kind="command", state=TaskState.FAILED), "run the plan again"),
        ("fail", replace(STREAM, state=WorkstreamState.BLOCKED), "is blocked; it has not begun"),
        ("fail", replace(STREAM, state=WorkstreamState.SKIPPED), "is skipped; what has ended stays ended"),
        ("validate", replace(STREAM, indispensable=("a", "b")), "cannot land without a, b"),
        ("validate", replace(STREAM, state=WorkstreamState.VALIDATING), "its gates decide"),
        ("fail", TASK, "`fail` applies to workstreams; t is a task"),
        ("reset", STREAM, "`reset` applies to tasks; w is a workstream"),
    ],
)
def test_a_refusal_says_what_to_do(override: Override, facts: Facts, said: str) -> None:
    """Ends, needs and gates cannot be overridden (docs/SPECIFICATION.md §1, rules 1, 6 and 8)."""
    assert said in str(operator_rules.refusal(override, facts))


@pytest.mark.parametrize("state", BreakerState)
@pytest.mark.parametrize("action", ["reset", "trip"])
def test_a_breaker_is_moved_only_from_the_other_state(action: BreakerAction, state: BreakerState) -> None:
    """While a probe runs, the probe decides."""
    wanted = BreakerState.OPEN if action == "reset" else BreakerState.CLOSED
    assert (operator_rules.breaker_refusal(action, "t", state) is None) is (state is wanted)


@pytest.mark.parametrize("state", PatchState)
def test_a_patch_is_dropped_from_quarantine_and_approved_until_it_is_decided(state: PatchState) -> None:
    """A landed patch is rolled back instead; an ended one needs no approval."""
    assert (operator_rules.drop_refusal("p", state) is None) is (state is PatchState.QUARANTINED)
    decided = {PatchState.COMMITTED, PatchState.DROPPED, PatchState.QUARANTINED, PatchState.ROLLED_BACK}
    assert (operator_rules.approval_refusal("p", state) is None) is (state not in decided)


def test_only_what_has_not_ended_is_cancelled() -> None:
    """The refusal names the state."""
    assert operator_rules.cancel_refusal("task_1", "running", is_over=False) is None
    assert "failed already" in str(operator_rules.cancel_refusal("task_1", "failed", is_over=True))


@pytest.mark.parametrize("reason", ["", " \n"])
def test_a_decision_by_hand_needs_a_reason(reason: str) -> None:
    """An empty one tells a later reader of the record nothing."""
    operator_rules.require_reason("flaky host")
    with pytest.raises(UsageError, match="must not be empty"):
        operator_rules.require_reason(reason)
