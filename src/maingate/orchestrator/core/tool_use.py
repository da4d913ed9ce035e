"""Use of tools by the tasks of a run: breakers, pauses and costs, with what must be recorded of them."""

from datetime import timedelta

from maingate.ids import TaskId
from maingate.orchestrator.core.effects import WaitForTool
from maingate.orchestrator.core.events import BreakersRead, ToolDue
from maingate.orchestrator.core.snapshot import TaskNode
from maingate.orchestrator.core.tool_budget import ToolBudget
from maingate.orchestrator.core.tool_holds import ToolDesk, key_of
from maingate.orchestrator.core.turn import Turn
from maingate.plan.choices import TaskKind
from maingate.reasons import Reason
from maingate.recovery.breakers import Breakers, BreakerUpdate
from maingate.recovery.circuit_breaker import Probe
from maingate.state.task import TaskState
from maingate.state.tool_run import ToolRun


class ToolUse:
    """Records the use of tools in the current turn.

    Args:
        turn: The current turn.
        threshold: How many failures in a row open a tool's breaker.
        cooldown: How long a breaker stays open.
        budget_usd: Maximum cost of all tools, instead of the plan's; None for the plan's.
    """

    def __init__(self, turn: Turn, *, threshold: int, cooldown: timedelta, budget_usd: float | None) -> None:
        self._turn = turn
        self._given_up: frozenset[Probe] = frozenset()
        run = turn.run
        breakers = Breakers(run.breakers, is_running=self._is_probing, threshold=threshold, cooldown=cooldown)
        self.desk = ToolDesk(run.plan, breakers)
        self.budget = ToolBudget(run.plan, run.spent, budget_usd=budget_usd or run.plan.budget_usd)
        turn.drain.check_budget(self.budget.run_exhausted())

    def hold(self, task: TaskNode) -> str | None:
        """Return the key of what a queued task waits for besides a worker; None when it may start."""
        hold = self.desk.hold(task, self._turn.now) if task.kind is TaskKind.TOOL else None
        if hold is not None and hold.seconds is not None:
            tool = str(task.plan.tool)
            self._turn.request(WaitForTool(tool=tool, seconds=hold.seconds, of_breaker=True))
        if hold is None:
            return None
        self._turn.hold(task.id, hold.code, hold.about, ends_by=hold.ends_by)
        return hold.until_released

    def unhold(self, task: TaskNode) -> None:
        """Remove the hold of a queued task that may be checked again: now it waits for a worker."""
        self._turn.board.remove(task.id)

    # -- attempts --------------------------------------------------------------------------------------------

    def began(self, task: TaskNode) -> None:
        """Record that an attempt of a task uses its tool."""
        self.desk.began(task)
        self._note(self._breakers.started(_tool_of(task), task.id, task.attempt, self._turn.now))

    def succeeded(self, task: TaskNode) -> None:
        """Record that the tool did its work in the task's attempt."""
        self._note(self._breakers.succeeded(_tool_of(task), task.id, task.attempt))

    def failed(self, task: TaskNode, reason: Reason) -> None:
        """Record that the tool itself failed in the task's attempt."""
        self._note(self._breakers.failed(_tool_of(task), task.id, task.attempt, reason, self._turn.now))

    def released(self, task: TaskNode) -> None:
        """Record that the task's attempt ended without evidence about the tool."""
        self._note(self._breakers.released(_tool_of(task), task.id, task.attempt))

    def paid(self, tool_run: ToolRun | None) -> None:
        """Record the cost of an attempt; a run whose budget is spent drains."""
        if tool_run is None:
            return
        self._turn.decision.tool_runs.append(tool_run)
        self.budget.paid(tool_run)
        self._turn.drain.check_budget(self.budget.run_exhausted())

    def rest(self, task: TaskNode, seconds: float) -> None:
        """Pause the task's tool for its provider."""
        if self.desk.rest(tool := _tool_of(task)):
            self._turn.request(WaitForTool(tool=tool, seconds=seconds))

    # -- events ----------------------------------------------------------------------------------------------

    def tool_due(self, event: ToolDue) -> str:
        """End the pause of a tool; return the key of the tasks to release."""
        return self.desk.rest_over(event.tool, of_breaker=event.of_breaker)

    def breakers_read(self, event: BreakersRead) -> list[str]:
        """Replace what is known of the breakers; return the keys of the tasks to release."""
        self._given_up = event.given_up
        self._breakers.refresh(event.guards)
        return [key_of(tool) for tool in self._turn.run.plan.tools]

    @property
    def _breakers(self) -> Breakers:
        return self.desk.breakers

    def _is_probing(self, probe: Probe) -> bool:
        """Return whether the attempt that tries a tool out is still worked on."""
        task = self._turn.tasks.get(TaskId(probe.task))
        if task is None:
            return probe not in self._given_up
        return task.state is TaskState.RUNNING and task.attempt == probe.attempt

    def _note(self, change: BreakerUpdate | None) -> None:
        if change is not None:
            self._turn.decision.breakers.append(change)


def _tool_of(task: TaskNode) -> str:
    return str(task.plan.tool)
