"""Holds of tool tasks: each waits while its tool, its paths or a breaker keep it. Pure.

A task waits while its tool is paused by its provider or its breaker, or is used as often at once as it may
be. It waits until a task before it in its workstream whose scope overlaps with its own is proven, so that it
begins on the result of that one, and while such a task of another workstream is at work. A task without a
scope waits for none.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from maingate.orchestrator.core.waiting_rules import first_rival, is_used_up
from maingate.plan.choices import TaskKind
from maingate.plan.model import Plan
from maingate.plan.paths.overlapping_scopes import Scopes
from maingate.recovery.breakers import Breakers
from maingate.recovery.circuit_breaker import Allowed
from maingate.state.holds import EndedBy, HoldCode

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
        breakers: The breakers of all tools.
    """

    def __init__(self, plan: Plan, breakers: Breakers) -> None:
        self.breakers, self._plan = breakers, plan
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
        open_ones = (other for other in earlier if other.kind is TaskKind.TOOL and not other.has_ended)
        before = (other for other in open_ones if lane is None or not lane.keeps(other))
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
