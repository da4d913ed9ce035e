"""The sentence about an unfinished run that no process works on, and the command that continues it. Pure.

The one place that makes it, for the report of a run and for the inbox.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Standstill:
    """The state of an unfinished run without a process.

    Args:
        run_id: The run.
        stopped: The recorded reason why its last process stopped; None where there is none: it was killed.
        is_overspent: Whether its tools have cost what its plan allows, so that it needs a larger budget.
    """

    run_id: str
    stopped: str | None = None
    is_overspent: bool = False

    @property
    def sentence(self) -> str:
        """The reason, without the command."""
        if self.is_overspent:
            return "not running: its budget is used up"
        if self.stopped is None:
            return "not running: its process exited"
        return f"stopped: {self.stopped}"

    @property
    def command(self) -> str:
        """The command that continues the run, with ``N`` for the new budget where one is needed."""
        return f"maingate resume {self.run_id}{' --budget-usd N' if self.is_overspent else ''}"
