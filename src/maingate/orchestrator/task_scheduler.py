"""The choice of the next task to start: pure, deterministic, and bounded by the lookahead of each lane.

Tasks of earlier workstreams start first, within a workstream those that come first in its order. A patch far
ahead of its lane's next one waits, so that memory is bounded by the lookahead and not by the
plan; the patch at the lane's very next place may always start, so waiting can't become a deadlock.
"""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from maingate.plan.choices import TaskKind
from maingate.state.task import TaskState

if TYPE_CHECKING:
    from maingate.orchestrator.core.snapshot import TaskNode, WorkstreamNode


class Needy(Protocol):
    """A workstream or task that may need others of its kind to be completed first."""

    @property
    def name(self) -> str:
        """Its name, unique among its kind."""
        ...

    @property
    def needs(self) -> Sequence[str]:
        """The names of those it needs."""
        ...


def dependents_of(nodes: Sequence[Needy]) -> Mapping[str, list[str]]:
    """Return for each name the names that need it."""
    dependents: dict[str, list[str]] = {node.name: [] for node in nodes}
    for node in nodes:
        for needed in dict.fromkeys(node.needs):
            dependents[needed].append(node.name)
    return dependents


class TaskScheduler:
    """Hands out queued tasks while there is room.

    Args:
        capacity: Maximum number of running tasks of each kind; a kind that is not named never starts.
        lookahead: Places by which a patch may be produced ahead of its lane's next one.
        hold: Returns the key that a task waits for besides room; None when it may start.
        unhold: Called with each task that waits for room alone again.
    """

    def __init__(
        self,
        *,
        capacity: Mapping[TaskKind, int],
        lookahead: int = 16,
        hold: "Callable[[TaskNode], str | None]" = lambda _: None,
        unhold: "Callable[[TaskNode], None]" = lambda _: None,
    ) -> None:
        self._capacity, self._room = dict(capacity), dict(capacity)
        self._lookahead = lookahead
        self._queues: dict[TaskKind, list[tuple[int, int, TaskNode]]] = {kind: [] for kind in capacity}
        self._hold, self._unhold = hold, unhold
        self._held: dict[str, list[TaskNode]] = {}
        self._far: dict[WorkstreamNode, list[tuple[int, TaskNode]]] = {}

    def queue(self, task: "TaskNode") -> None:
        """Add a task whose needs are met."""
        if self._is_far(task):
            heapq.heappush(self._far.setdefault(task.workstream, []), (task.place, task))
        else:
            heapq.heappush(self._queues[task.kind], (task.workstream.landing, task.place, task))

    def advance(self, workstream: "WorkstreamNode") -> None:
        """Queue the tasks that were too far ahead of the workstream's lane before it moved on."""
        far = self._far.get(workstream)
        while far and not self._is_far(far[0][1]):
            self.queue(heapq.heappop(far)[1])
        if not far or workstream.has_ended:
            self._far.pop(workstream, None)

    def start(self) -> "Iterator[TaskNode]":
        """Yield the tasks that start now; each counts as running until it is ``finished``."""
        for kind, queue in self._queues.items():
            while queue and self._room[kind] > 0:
                task = heapq.heappop(queue)[2]
                if task.state is not TaskState.QUEUED:
                    continue
                if (held_by := self._hold(task)) is not None:
                    self._held.setdefault(held_by, []).append(task)
                    continue
                self._room[kind] -= 1
                yield task

    def resize(self, kind: TaskKind, capacity: int) -> None:
        """Change the maximum number of running tasks of a kind; running tasks go on."""
        self._room[kind] += capacity - self._capacity[kind]
        self._capacity[kind] = capacity

    def finished(self, task: "TaskNode") -> None:
        """Release the room of a task that is not being produced any more."""
        self._room[task.kind] += 1

    def release(self, held_by: str) -> None:
        """Queue the tasks that waited for a key."""
        for task in self._held.pop(held_by, ()):
            if task.state is TaskState.QUEUED:
                self._unhold(task)
                self.queue(task)

    def _is_far(self, task: "TaskNode") -> bool:
        lane = task.workstream.lane
        return (
            task.kind.gives_a_patch and lane is not None and task.place >= lane.next_place + self._lookahead
        )
