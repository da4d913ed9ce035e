"""The budget of tools: the cost of each task and of the run, and what the next attempt may cost. Pure."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from maingate.plan.model import Plan
from maingate.reasons import Reason, ReasonCode
from maingate.state.tool_run import MICROS, ToolRun

if TYPE_CHECKING:
    from maingate.orchestrator.core.snapshot import TaskNode


class ToolBudget:
    """Adds up the cost of the tools of one run, and compares it with the limits.

    Args:
        plan: The plan with the limits of its tools and tasks.
        spent: The cost of each task so far, in micro-dollars.
        budget_usd: Maximum cost of all tools; None for no limit.
    """

    def __init__(self, plan: Plan, spent: Mapping[str, int], *, budget_usd: float | None) -> None:
        self._plan, self._budget = plan, budget_usd
        self._spent: Counter[str] = Counter(spent)
        self._total = self._spent.total()

    def paid(self, tool_run: ToolRun) -> None:
        """Record the cost of an attempt."""
        if tool_run.cost_micros:
            self._spent[tool_run.task_id] += tool_run.cost_micros
            self._total += tool_run.cost_micros

    def left_for(self, task: "TaskNode") -> float | None:
        """Return how many dollars the next attempt of a task may cost; None when there is no limit."""
        limits = [
            limit - self._spent[task.id]
            for limit in (
                _micros(self._plan.tools[str(task.plan.tool)].max_cost_usd),
                _micros(task.plan.budget_usd),
            )
            if limit is not None
        ]
        if (whole := _micros(self._budget)) is not None:
            limits.append(whole - self._total)
        return min(limits) / MICROS if limits else None

    def exhausted(self, task: "TaskNode") -> Reason | None:
        """Return the reason when a task's budget is spent; None while it is not."""
        spent = self._spent[task.id]
        for limit in (self._plan.tools[str(task.plan.tool)].max_cost_usd, task.plan.budget_usd):
            if limit is not None and spent >= (_micros(limit) or 0):
                return Reason(
                    code=ReasonCode.BUDGET_EXCEEDED,
                    message=f"{task.label} has cost ${spent / MICROS:.2f} of the ${limit:.2f} it may cost",
                    detail={"spent_usd": spent / MICROS, "budget_usd": limit},
                )
        return None

    def run_exhausted(self) -> str | None:
        """Return a sentence when the run's budget is spent; None while it is not."""
        limit = self._budget
        if limit is None or self._total < (_micros(limit) or 0):
            return None
        return f"the run has cost ${self._total / MICROS:.2f} of the ${limit:.2f} that it may cost"


def _micros(dollars: float | None) -> int | None:
    return None if dollars is None else round(dollars * MICROS)
