"""The drain of a run: nothing new is started, what is under way ends, and then the run waits for a person.

A run drains because its process was asked to stop, because its budget is spent, or because a checkout of the
target cannot follow, so that nothing can land. It never stops draining in the same process.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from maingate.ids import WorkstreamId


class Drain:
    """The drain of a run: whether it drains, and why.

    Attributes:
        is_on: Whether nothing new is started.
        exhausted: Why the budget is spent; None while it is not.
        obstacle: Why no workstream can land until a person acts; None while they can.
        obstructed: The workstream that cannot land for the obstacle.
    """

    def __init__(self) -> None:
        self.is_on = False
        self.exhausted: str | None = None
        self.obstacle: str | None = None
        self.obstructed: WorkstreamId | None = None

    def start(self) -> None:
        """Start to drain because the process is to stop."""
        self.is_on = True

    def check_budget(self, exhausted: str | None) -> None:
        """Start to drain if the budget is spent.

        Args:
            exhausted: Why it is spent; None if it is not.
        """
        self.exhausted = exhausted
        self.is_on = self.is_on or exhausted is not None

    def obstruct(self, workstream: "WorkstreamId", name: str, obstacle: str) -> None:
        """Start to drain because a checkout of the target cannot follow a workstream that is to land."""
        self.obstacle = f"{name} cannot land: {obstacle}"
        self.obstructed = workstream
        self.is_on = True

    @property
    def reason(self) -> str:
        """Return why the run drains; empty when its process was asked to stop."""
        return self.exhausted or self.obstacle or ""
