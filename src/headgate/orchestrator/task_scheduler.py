"""Which queued task starts next: pure, deterministic, and never ahead of what its lane can use soon.

Tasks of earlier workstreams start first, within a workstream those that come first in its lane. A task far
ahead of its lane's next patch waits, so that what is in memory is bounded by the look-ahead and not by the
plan; the task at the lane's very next place may always start, so waiting can't become a deadlock.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from headgate.orchestrator.picture import TaskNode, WorkstreamNode


class Needy(Protocol):
    """Something that may need others of its kind to be completed first."""

    @property
    def name(self) -> str:
        """Its name, unique among its kind."""
        ...

    @property
    def needs(self) -> Sequence[str]:
        """The names of those it needs."""
        ...


def dependents_of(nodes: Sequence[Needy]) -> Mapping[str, list[str]]:
    """Turn the needs around: for each name, who needs it."""
    dependents: dict[str, list[str]] = {node.name: [] for node in nodes}
    for node in nodes:
        for needed in dict.fromkeys(node.needs):
            dependents[needed].append(node.name)
    return dependents


class TaskScheduler:
    """Hands out queued tasks while there is room.

    Args:
        capacity: How many tasks may be running (being produced) at once.
        lookahead: How far ahead of its lane's next patch a task may be produced.
    """

    def __init__(self, *, capacity: int, lookahead: int = 16) -> None:
        self._capacity = capacity
        self._lookahead = lookahead
        self._running = 0
        self._active: list[WorkstreamNode] = []

    def admit(self, workstream: "WorkstreamNode") -> None:
        """Take a workstream that has become ready, behind those that are there."""
        self._active.append(workstream)

    def queue(self, task: "TaskNode") -> None:
        """Take a task whose needs are met."""
        heapq.heappush(task.workstream.queued, (task.place, task))

    def start(self) -> "Iterator[TaskNode]":
        """Yield the tasks that start now; each counts as running until it is ``finished``."""
        self._active = [workstream for workstream in self._active if workstream.open_tasks]
        for workstream in self._active:
            while self._running < self._capacity and (task := self._next(workstream)):
                heapq.heappop(workstream.queued)
                self._running += 1
                yield task

    def finished(self) -> None:
        """Hear that a running task is no longer being produced."""
        self._running -= 1

    def _next(self, workstream: "WorkstreamNode") -> "TaskNode | None":
        if workstream.lane is None or not workstream.queued:
            return None
        place, task = workstream.queued[0]
        return task if place < workstream.lane.boarding_place + self._lookahead else None
