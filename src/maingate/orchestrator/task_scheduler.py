"""Which queued task starts next: pure, deterministic, and never ahead of what its lane can use soon.

Tasks of earlier workstreams start first, within a workstream those that come first in its order. A patch far
ahead of its lane's next one waits, so that what is in memory is bounded by the look-ahead and not by the
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
        capacity: How many tasks of each kind may be running at once; a kind that is not named never starts.
        lookahead: How far ahead of its lane's next patch a patch may be produced.
        hold: Names what a task has to wait for besides room; None when it may start.
    """

    def __init__(
        self,
        *,
        capacity: Mapping[TaskKind, int],
        lookahead: int = 16,
        hold: "Callable[[TaskNode], str | None]" = lambda _: None,
    ) -> None:
        self._capacity, self._room = dict(capacity), dict(capacity)
        self._lookahead = lookahead
        self._queues: dict[TaskKind, list[tuple[int, int, TaskNode]]] = {kind: [] for kind in capacity}
        self._hold = hold
        self._held: dict[str, list[TaskNode]] = {}
        self._far: dict[WorkstreamNode, list[tuple[int, TaskNode]]] = {}

    def queue(self, task: "TaskNode") -> None:
        """Take a task whose needs are met."""
        if self._is_far(task):
            heapq.heappush(self._far.setdefault(task.workstream, []), (task.place, task))
        else:
            heapq.heappush(self._queues[task.kind], (task.workstream.landing, task.place, task))

    def advance(self, workstream: "WorkstreamNode") -> None:
        """Hear that the workstream's lane has moved on: what was too far ahead may be near now."""
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
        """Let another number of tasks of a kind run at once; those that run are left alone."""
        self._room[kind] += capacity - self._capacity[kind]
        self._capacity[kind] = capacity

    def finished(self, task: "TaskNode") -> None:
        """Hear that a running task is no longer being produced."""
        self._room[task.kind] += 1

    def release(self, held_by: str) -> None:
        """Look again at the tasks that waited for something besides room."""
        for task in self._held.pop(held_by, ()):
            if task.state is TaskState.QUEUED:
                self.queue(task)

    def _is_far(self, task: "TaskNode") -> bool:
        lane = task.workstream.lane
        return (
            task.kind.gives_a_patch and lane is not None and task.place >= lane.next_place + self._lookahead
        )
