"""The order in which gates are asked."""

import pytest

from maingate.orchestrator.core.queue.gate_order import GateOrder
from maingate.orchestrator.train.record import GatePast, TrainRecord
from maingate.plan.model import Plan
from maingate.verdicts.blame import GateAnswer

PLAN = Plan.from_json(
    {
        "maingate": 1,
        "name": "p",
        "gates": {
            "unit": {"run": "true"},
            "lint": {"run": "true"},
            "build": {"run": "true"},
            "e2e": {"run": "true", "needs": ["build"]},
        },
        "workstreams": {"w": {"tasks": {"t": {"patch": "x"}}}},
    }
)
ALL = ("e2e", "build", "lint", "unit")


def past(seconds: float, passes: int = 0, failures: int = 0) -> GatePast:
    """Return the past of a gate."""
    return GatePast(seconds=seconds, passes=passes, failures=failures)


@pytest.mark.parametrize(
    ("gates", "order"),
    [
        ({}, ("unit", "lint", "build", "e2e")),
        ({"unit": past(60), "lint": past(2), "build": past(9)}, ("lint", "build", "e2e", "unit")),
        ({"unit": past(9, 80, 20), "lint": past(9, 99, 1)}, ("unit", "build", "e2e", "lint")),
        ({"e2e": past(1, 0, 99), "build": past(99, 99), "lint": past(9)}, ("lint", "unit", "build", "e2e")),
    ],
)
def test_the_likeliest_to_fail_for_each_second_goes_first(
    gates: dict[str, GatePast], order: tuple[str, ...]
) -> None:
    """Each after those it needs, however likely it is; without any past, as the plan lists them."""
    assert GateOrder(PLAN, TrainRecord(gates=gates)).ordered(ALL) == order


def test_a_need_that_is_not_asked_holds_up_no_gate() -> None:
    """It has passed before."""
    gates = {"e2e": past(1, 0, 99), "lint": past(9), "unit": past(9)}
    order = GateOrder(PLAN, TrainRecord(gates=gates))
    assert order.ordered({"lint", "unit", "e2e"}) == ("e2e", "unit", "lint")


def test_failures_of_the_run_count() -> None:
    """Those that were taken over, or of gates that never ran, do not."""
    order = GateOrder(PLAN, TrainRecord())
    for answer in (
        GateAnswer(gate="build", passed=False, is_known=True),
        GateAnswer(gate="e2e", passed=False, is_blocked=True),
        GateAnswer(gate="unit", passed=True),
        GateAnswer(gate="lint", passed=False),
    ):
        order.count(answer)
    assert order.ordered(ALL) == ("lint", "build", "e2e", "unit")
