"""The test gate: one execution of one gate command on one tree.

A gate that passed or failed is a verdict about a tree. A fault of the machine is not one, and blames no
patch. ``BLOCKED`` means that a gate it needs did not pass, so that its own result would mean nothing. It is
not terminal, because that gate may yet pass on a retry.
"""

from enum import StrEnum

from maingate.state.machine import Machine


class GateState(StrEnum):
    """The states of an execution of a gate."""

    PENDING = "PENDING"
    """Wanted. A free slot moves it on, or the failure of a gate it needs."""
    RUNNING = "RUNNING"
    """Its command runs. The command's exit code, or its timeout, moves it on."""
    PASSED = "PASSED"
    """The end: the exit code is the expected one."""
    FAILED = "FAILED"
    """The end: another exit code, or past its timeout."""
    BLOCKED = "BLOCKED"
    """A gate it needs did not pass. That gate's later pass moves it on."""


TEST_GATE = Machine(
    name="test_gate",
    states=GateState,
    initial=GateState.PENDING,
    terminal=frozenset({GateState.PASSED, GateState.FAILED}),
    table={
        GateState.PENDING: (
            (GateState.RUNNING, "gate_started"),
            (GateState.BLOCKED, "dependency_failed"),
        ),
        GateState.RUNNING: (
            (GateState.PASSED, "exit_code_expected"),
            (GateState.FAILED, "exit_code_unexpected"),
            (GateState.FAILED, "timeout_exceeded"),
        ),
        GateState.PASSED: (),
        GateState.FAILED: (),
        GateState.BLOCKED: ((GateState.PENDING, "dependency_passed"),),
    },
    extensions={
        (GateState.RUNNING, GateState.FAILED, "timeout_exceeded"): "a gate past its timeout has failed",
    },
)
