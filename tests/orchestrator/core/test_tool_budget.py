"""The cost of tools is added up, and compared with the limits of tools, tasks and the run."""

import pytest

from maingate.orchestrator.core.snapshot import TaskNode
from maingate.orchestrator.core.tool_budget import ToolBudget
from maingate.reasons import ReasonCode
from maingate.state.tool_run import MICROS, ToolRun
from orchestrator.core.test_tool_holds import NOW, a_task, named, run_of


def paid(budget: ToolBudget, task: TaskNode, dollars: float | None) -> None:
    """Record an attempt with its cost."""
    cost = None if dollars is None else round(dollars * MICROS)
    budget.paid(
        ToolRun(
            task_id=task.id,
            attempt=1,
            run_id="r",
            tool="sh",
            outcome="failed",
            cost_micros=cost,
            ended_at=NOW,
        )
    )


@pytest.mark.parametrize(
    ("of_tool", "of_task", "of_run", "spent", "left"),
    [
        (None, None, None, 1.0, None),
        (5.0, None, None, 1.0, 4.0),
        (5.0, 2.0, None, 1.0, 1.0),
        (5.0, 2.0, 1.5, 1.0, 0.5),
        (None, None, 3.0, None, 3.0),
    ],
)
def test_an_attempt_may_cost_what_the_tightest_limit_leaves(
    of_tool: float | None,
    of_task: float | None,
    of_run: float | None,
    spent: float | None,
    left: float | None,
) -> None:
    """Limits of the tool and of the task count the task's attempts, that of the run counts all."""
    task = a_task("a", **({"budget_usd": of_task} if of_task else {}))
    run = run_of({"w": {"a": task}}, **({"max_cost_usd": of_tool} if of_tool else {}))
    budget = ToolBudget(run.plan, {}, budget_usd=of_run)
    paid(budget, named(run)["a"], spent)
    assert budget.left_for(named(run)["a"]) == left


def test_a_spent_budget_ends_a_task_or_the_run() -> None:
    """Costs of earlier processes count; what is exactly spent is spent."""
    run = run_of({"w": {"a": a_task("a", budget_usd=2.0), "b": a_task("b")}})
    tasks = named(run)
    budget = ToolBudget(run.plan, {tasks["a"].id: MICROS}, budget_usd=3.0)
    assert budget.exhausted(tasks["a"]) is None
    paid(budget, tasks["a"], 1.0)
    reason = budget.exhausted(tasks["a"])
    assert reason is not None
    assert reason.code is ReasonCode.BUDGET_EXCEEDED
    assert budget.exhausted(tasks["b"]) is None
    assert budget.run_exhausted() is None
    paid(budget, tasks["b"], 1.0)
    assert budget.run_exhausted() == "the run has cost $3.00 of the $3.00 that it may cost"
