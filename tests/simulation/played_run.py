"""One of the runs of a simulation, with the processes that it has had."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from maingate.ids import RunId
from simulation.plans import PlanWorld
from simulation.troubles import Faults
from simulation.virtual_world import Process

NOT_ADMITTED = RunId("")


@dataclass(kw_only=True, eq=False)
class PlayedRun:
    """One of the runs that are played, with the processes that it has had.

    Args:
        plan: What it does.
        faults: What happens to each of its processes.
        begins: When it is admitted.
    """

    plan: PlanWorld
    faults: Sequence[Faults]
    begins: float
    id: RunId = NOT_ADMITTED
    processes: list[Process] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name in the record."""
        return self.plan.plan.name

    @property
    def places(self) -> int:
        """How many places its first process passed."""
        return self.processes[0].passed
