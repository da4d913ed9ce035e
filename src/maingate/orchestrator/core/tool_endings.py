"""The end of a tool's attempt without a patch: which ends are failures, and which only pause the tool.

A tool whose provider refuses it is paused for the time that the provider stated. That is no failure, neither
of the tool, so that its breaker stays closed, nor of the task, which uses up no retry.
"""

from maingate.orchestrator.core.events import ToolEnd, ToolEnded
from maingate.orchestrator.core.next_attempt import TaskAttempts
from maingate.orchestrator.core.tool_use import ToolUse
from maingate.orchestrator.core.turn import Turn
from maingate.reasons import ReasonCode
from maingate.state.task import TaskState


class ToolEndings:
    """Decides what the end of a tool's attempt means for its task and its tool.

    Args:
        turn: The current turn.
        tools: Breakers, room and money of the tools.
        attempts: Ends attempts of tasks.
    """

    def __init__(self, turn: Turn, tools: ToolUse, attempts: TaskAttempts) -> None:
        self._turn, self._tools, self._attempts = turn, tools, attempts

    def tool_ended(self, event: ToolEnded) -> None:
        """Start a tool's attempt again at once or after a pause, or count its failure."""
        task = self._turn.tasks[event.task]
        if task.state is not TaskState.RUNNING or task.attempt != event.attempt:
            return
        self._attempts.finished(task)
        self._tools.paid(event.tool_run)
        match event.end:
            case ToolEnd.LOST:
                self._tools.released(task)
                self._attempts.lost(task, event.reason)
            case ToolEnd.LIMITED:
                self._tools.released(task)
                self._tools.rest(task, event.seconds)
                self._attempts.put_off(task, event.reason, event.seconds)
            case ToolEnd.FAILED if event.reason.code is ReasonCode.FILTER_FAILED:
                self._tools.released(task)
                self._attempts.give_up(task, event.reason)
            case ToolEnd.FAILED:
                self._tools.failed(task, event.reason)
                self._attempts.tool_failed(task, event.reason, trigger="execution_failed")
