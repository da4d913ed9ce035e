"""The registration of workers, the events of their lives, and the jobs that they can take."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from maingate.ids import UetWorkerId
from maingate.workers.jobs import Job


class WorkerChange(StrEnum):
    """Events of a worker's life; each moves it, and its slot, on their machines.

    See docs/SPECIFICATION.md §1.5, §2.1.
    """

    SPAWNED = "spawned"
    READY = "ready"
    ASSIGNED = "assigned"
    FINISHED = "finished"
    FELL_SILENT = "fell silent"
    """Its job was taken away; it may come back with empty hands."""
    RECOVERED = "recovered"
    DRAINING = "draining"
    """It finishes the job it has and takes no other."""
    ENDED = "ended"
    """As it was asked to."""
    LOST = "lost"
    """Its process is gone, and was not asked to end."""


@dataclass(frozen=True, kw_only=True)
class Registration:
    """The identity and abilities of a worker; none of it ever changes.

    Args:
        uet_id: Its slot's process on record.
        slot: The number of its slot.
        pid: Its process; None when none could be started.
        pid_started: When that began, see ``process_table.started``.
        capabilities: Its abilities.
        affinity: The properties that it is bound to.
    """

    uet_id: UetWorkerId
    slot: int
    pid: int | None = None
    pid_started: str = ""
    capabilities: frozenset[str] = frozenset()
    affinity: Mapping[str, str] = field(default_factory=dict)

    def suits(self, job: Job) -> bool:
        """Return whether it holds every required capability and matches the affinity."""
        return suits(job, self.capabilities, self.affinity)


def suits(job: Job, capabilities: frozenset[str], affinity: Mapping[str, str]) -> bool:
    """Return whether a worker with these could ever take a job (docs/SPECIFICATION.md §1.5)."""
    return capabilities.issuperset(job.requires) and job.affinity.items() <= affinity.items()


class PoolObserver(Protocol):
    """A part that records the states of workers. Called in the event loop; must not block."""

    def worker_changed(self, worker: Registration, change: WorkerChange, message: str) -> None:
        """Record an event of a worker, and the reason where there is one; the first is ``SPAWNED``."""
        ...

    def worker_heard(self, uet_id: UetWorkerId) -> None:
        """Record that a worker gave a sign of life."""
        ...

    def uet_job_started(self, job_id: str, uet_id: UetWorkerId) -> None:
        """Record that a worker has been given a job."""
        ...
