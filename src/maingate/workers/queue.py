"""The order in which jobs are handed to workers, as a pure value.

Jobs start by priority, equal ones in the order in which they were added. An exclusive job waits until nothing
runs, and from the moment it is next nothing else starts: it cannot be starved.
"""

import heapq
import itertools
from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from maingate.workers.jobs import Job


class Ticket(Protocol):
    """A place in the queue: a job, and whether its end is known already."""

    @property
    def job(self) -> Job:
        """The job."""
        ...

    @property
    def is_done(self) -> bool:
        """True once its end is known: a job that was cancelled takes no place any more."""
        ...


T = TypeVar("T", bound=Ticket)


class JobQueue(Generic[T]):
    """Jobs that wait for a worker."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, T]] = []
        self._order = itertools.count()
        self._reserved: T | None = None

    def add(self, ticket: T) -> None:
        """Add a job behind those of its priority."""
        heapq.heappush(self._heap, (-ticket.job.priority, next(self._order), ticket))

    def next(self) -> T | None:
        """Return the job that starts next; an exclusive one keeps that place until it starts."""
        if self._reserved is not None and self._reserved.is_done:
            self._reserved = None
        while self._heap and self._heap[0][2].is_done:
            heapq.heappop(self._heap)
        if self._reserved is None and self._heap and self._heap[0][2].job.exclusive:
            self._reserved = heapq.heappop(self._heap)[2]
        return self._reserved or (self._heap[0][2] if self._heap else None)

    def remove_next(self) -> None:
        """Remove the job that starts next."""
        ticket = self.next()
        if ticket is not None and ticket is self._reserved:
            self._reserved = None
        elif ticket is not None:
            heapq.heappop(self._heap)

    def tickets(self) -> list[T]:
        """Return all that wait, in the order in which they start."""
        reserved = [] if self._reserved is None else [self._reserved]
        waiting = [*reserved, *(ticket for _, _, ticket in sorted(self._heap, key=lambda place: place[:2]))]
        return [ticket for ticket in waiting if not ticket.is_done]

    def clear(self) -> None:
        """Remove all."""
        self._heap, self._reserved = [], None

    def startable(self, running: Sequence[Job]) -> int:
        """Return how many jobs could start if there were workers for them.

        Args:
            running: The jobs that run.
        """
        following = self.next()
        if following is None or not may_start(following.job, running):
            return 0
        return 1 if self._reserved is not None else len(self.tickets())


def may_start(job: Job, running: Iterable[Job]) -> bool:
    """Return whether the jobs that run allow another beside them."""
    if job.exclusive:
        return not any(True for _ in running)
    return not any(other.exclusive for other in running)
