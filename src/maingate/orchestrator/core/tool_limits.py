"""Holds of tool tasks, and the budget: pure.

A task waits while its tool is paused by its provider or its breaker, or is used as often at once as it may
be. It waits for the end of a task before it in its workstream that may write the same paths, so that it
begins on the result of that one, and while such a task of another workstream is at work.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from maingate.orchestrator.core.holds import first_rival, is_used_up
from maingate.plan.choices import TaskKind
from maingate.plan.model import Plan
from maingate.plan.paths.overlapping_scopes import Scopes
from maingate.reasons import Reason, ReasonCode
from maingate.recovery.breakers import Breakers
from maingate.recovery.circuit_breaker import Allowed
from maingate.state.holds import EndedBy, HoldCode
from maingate.state.tool_run import MICROS, ToolRun

if TYPE_CHECKING:
    from maingate.orchestrator.core.snapshot import TaskNode


@dataclass(frozen=True, kw_only=True)
class ToolHold:
    """The reason why a queued task may not start yet.

    Args:
        until_released: The key that ends it, as returned by `ToolDesk.ended` and `ToolDesk.rest_over`.
        code: The kind of reason.
        about: Its particulars, as they are published.
        ends_by: The side that can end it.
        seconds: The seconds after which the hold is to be checked again; None where a timer runs already.
    """

    until_released: str
    code: HoldCode
    about: Mapping[str, str | int]
    ends_by: EndedBy = EndedBy.RUN
    seconds: float | None = None


class ToolDesk:
    """Hands out tools to the tasks of one run.

    Args:
        plan: The plan with the tools and their limits.
        spent: The cost of each task so far, in micro-dollars.
        breakers: The breakers of all tools.
        budget_usd: Maximum cost of all tools; None for no limit.
    """

    def __init__(
        self, plan: Plan, spent: Mapping[str, int], breakers: Breakers, *, budget_usd: float | None
    ) -> None:
        self.breakers, self._budget = breakers, budget_usd
        self._plan = plan
        self._spent: Counter[str] = Counter(spent)
        self._total = self._spent.total()
        self._busy: Counter[str] = Counter()
        self._resting: set[str] = set()
        self._awaited: set[str] = set()
        self._scopes = Scopes(plan)
        self._at_work: dict[str, TaskNode] = {}

    def hold(self, task: "TaskNode", now: datetime) -> ToolHold | None:
        """Return the hold of a task; None when it may start now."""
        name = str(task.plan.tool)
        limit = self._plan.tools[name].max_concurrent
        if name in self._resting:
            return _of_tool(name, {"rests": True}, EndedBy.TIME)
        if limit is not None and is_used_up(limit, self._busy[name]):
            return _of_tool(name, {"limit": limit}, EndedBy.RUN)
        return self._hold_for_paths(task) or self._hold_of_breaker(name, now)

    def _hold_of_breaker(self, name: str, now: datetime) -> ToolHold | None:
        said = self.breakers.may_start(name, now)
        if isinstance(said, Allowed):
            return None
        seconds = None
        if said.until is not None and name not in self._awaited:
            self._awaited.add(name)
            seconds = (said.until - now).total_seconds()
        about = {"breaker": str(self.breakers.of(name).state)}
        return _of_tool(name, about, EndedBy.TIME, seconds=seconds)

    def _hold_for_paths(self, task: "TaskNode") -> ToolHold | None:
        """Return the hold by a task that may write the same paths, and comes first or is at work."""
        lane = task.workstream.lane
        earlier = reversed(lane.order[: task.place]) if lane is not None else ()
        before = (other for other in earlier if other.kind is TaskKind.TOOL and not other.has_ended)
        elsewhere = (other for other in self._at_work.values() if other.workstream is not task.workstream)
        rival = first_rival(before, elsewhere, lambda other: self._keep_apart(other, task))
        if rival is None:
            return None
        key = rival.id if rival.workstream is task.workstream else f"work of {rival.id}"
        return ToolHold(until_released=key, code=HoldCode.PATHS, about={"task": rival.id})

    def _keep_apart(self, one: "TaskNode", other: "TaskNode") -> bool:
        return self._scopes.keep_apart((one.workstream.name, one.name), (other.workstream.name, other.name))

    def began(self, task: "TaskNode") -> None:
        """Record that a task uses its tool."""
        self._busy[str(task.plan.tool)] += 1
        self._at_work[task.id] = task

    def ended(self, task: "TaskNode") -> Sequence[str]:
        """Record that it does not any more; return the keys to release."""
        name = str(task.plan.tool)
        self._busy[name] -= 1
        del self._at_work[task.id]
        return key_of(name), f"work of {task.id}"

    def rest(self, tool: str) -> bool:
        """Pause a tool for its provider; return False when it is paused already."""
        is_new = tool not in self._resting
        self._resting.add(tool)
        return is_new

    def rest_over(self, tool: str, *, of_breaker: bool) -> str:
        """Record that a pause, of the provider or the breaker, is over; return the key to release."""
        (self._awaited if of_breaker else self._resting).discard(tool)
        return key_of(tool)

    # -- money -----------------------------------------------------------------------------------------------

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


def _of_tool(
    tool: str, about: Mapping[str, str | int], ends_by: EndedBy, *, seconds: float | None = None
) -> ToolHold:
    return ToolHold(
        until_released=key_of(tool),
        code=HoldCode.TOOL,
        about={"tool": tool, **about},
        ends_by=ends_by,
        seconds=seconds,
    )


def key_of(tool: str) -> str:
    """Return the key that tasks wait for when they wait for a tool."""
    return f"tool {tool}"


def _micros(dollars: float | None) -> int | None:
    return None if dollars is None else round(dollars * MICROS)
