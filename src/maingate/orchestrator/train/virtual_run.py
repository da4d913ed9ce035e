"""A run of a plan on a virtual clock: its tasks, and the train that lands its workstreams.

Both use the same workers. With a window of one item the train lands one workstream at a time; with a longer
one it proves several together, as runs do.
"""

import heapq
import math
import random
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, takewhile
from statistics import NormalDist
from typing import Final

from maingate.orchestrator.train.values import TrainItem, TrainPolicy, WantedRun
from maingate.orchestrator.train.virtual_clock import VirtualTrain

ONE_AT_A_TIME: Final = 1
LOOK_AHEAD: Final = 64
"""Workstreams that the train considers together at most; it bounds the cost of a step."""

_STARTED: Final = "\0started"
"""The end of the names of workstreams that may start; no name of a plan has it."""

_Z90: Final = NormalDist().inv_cdf(0.9)
"""Standard deviations from the middle of a normal distribution to its 90th percentile."""

_POLICY: Final = TrainPolicy(confirms=False)
"""No gate is taken to be flaky, so no failure is asked again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeSpread:
    """A duration that varies: log-normal, or exact where both percentiles are the same.

    Args:
        p50: Its median, in seconds.
        p90: Its 90th percentile.
    """

    p50: float
    p90: float

    def draw(self, chance: random.Random) -> float:
        """Return a duration."""
        if self.p50 <= 0 or self.p90 <= self.p50:
            return self.p50
        return chance.lognormvariate(math.log(self.p50), math.log(self.p90 / self.p50) / _Z90)


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskLoad:
    """A task: its work and its gates, one after the other on one worker.

    Args:
        id: Identifier, unique in the run.
        needs: Tasks of the same workstream that come first.
        work: The time of its tool or command; None where it has none.
        gates: The gates on its patch.
    """

    id: str
    needs: tuple[str, ...] = ()
    work: TimeSpread | None = None
    gates: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkstreamLoad:
    """A workstream: its tasks start when those that it needs have landed.

    Args:
        id: Identifier.
        needs: Workstreams that must have landed first.
        tasks: Its tasks, at least one.
        gates: The gates on the merged result, run one after the other on one worker.
    """

    id: str
    needs: tuple[str, ...] = ()
    tasks: tuple[TaskLoad, ...]
    gates: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RunLoad:
    """The work of a run, with the times of its gates.

    Args:
        workstreams: The workstreams, in landing order.
        gate_times: The time of each gate.
        failure_rate: The share of workstreams that their landing gates refuse.
    """

    workstreams: tuple[WorkstreamLoad, ...]
    gate_times: Mapping[str, TimeSpread]
    failure_rate: float

    def median(self, task: TaskLoad) -> float:
        """Return the median time of a task with its gates."""
        return (task.work.p50 if task.work else 0.0) + self.median_of(task.gates)

    def median_of(self, gates: Collection[str]) -> float:
        """Return the median time of gates, one after the other."""
        return sum(self.gate_times[gate].p50 for gate in gates)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunEffort:
    """The end of a run that was played.

    Args:
        seconds: Its duration.
        gate_runs: Executions of gates.
        landed: Workstreams that landed.
    """

    seconds: float
    gate_runs: int
    landed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PathShape:
    """The shape of a run without failures and with as many workers as it can use.

    Args:
        seconds: The duration of its critical path.
        path: The workstreams on it, first to last.
        work: The seconds of all tasks and gates together.
        most: Most jobs at once.
    """

    seconds: float
    path: tuple[str, ...]
    work: float
    most: int


def play(load: RunLoad, *, workers: int, window: int, seed: str) -> RunEffort:
    """Return the effort of a run; a seed draws the same failing workstreams for any workers and window.

    Args:
        load: The run.
        workers: Tasks and runs of gates that may be under way at once.
        window: Workstreams that are proved together at most.
        seed: The seed of failures and times.
    """
    chance = random.Random(f"failures {seed}")  # noqa: S311 - a simulation
    culprits = {each.id for each in load.workstreams if chance.random() < load.failure_rate}
    items = [
        TrainItem(
            id=each.id,
            risk=load.failure_rate,
            seconds=load.median_of(each.gates),
            needs=frozenset(each.needs),
        )
        for each in load.workstreams
    ]
    run = VirtualRun(
        items=items,
        answer=culprits.isdisjoint,
        workers=workers,
        policy=_POLICY,
        load=load,
        window=window,
        chance=random.Random(f"times {seed}"),  # noqa: S311 - a simulation
    )
    run.play()
    if run.items:
        raise RuntimeError(f"the simulated run stopped before {run.items[0].id}")
    return RunEffort(seconds=run.now, gate_runs=run.gate_runs, landed=len(run.landed))


@dataclass(kw_only=True)
class VirtualRun(VirtualTrain):
    """A run on a virtual clock. Landing takes free workers before tasks do.

    Args:
        load: The run, whose workstreams are the items.
        window: Workstreams that the planner sees at most.
        chance: The source of the times.
        gate_runs: Executions of gates so far.
    """

    load: RunLoad
    window: int
    chance: random.Random
    gate_runs: int = 0
    _open_needs: dict[str, int] = field(default_factory=dict)
    _dependents: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _tasks: dict[str, tuple[int, str, TaskLoad]] = field(default_factory=dict)
    _open_tasks: Counter[str] = field(default_factory=Counter)
    _ready: list[tuple[int, str]] = field(default_factory=list)
    _at_work: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Queue the tasks that need nothing."""
        by_id = {each.id: each for each in self.load.workstreams}
        self._by_id: Mapping[str, WorkstreamLoad] = by_id
        for workstream in self.load.workstreams:
            self._open_tasks[workstream.id] = len(workstream.tasks)
            self._await(workstream.id, workstream.needs)
            for task in workstream.tasks:
                self._tasks[task.id] = len(self._tasks), workstream.id, task
                self._await(task.id, (workstream.id + _STARTED, *task.needs))
        for workstream in self.load.workstreams:
            if not workstream.needs:
                self._release(workstream.id + _STARTED)

    def _await(self, waiting: str, needs: Sequence[str]) -> None:
        self._open_needs[waiting] = len(needs)
        for need in needs:
            self._dependents[need].append(waiting)

    def _release(self, done: str) -> None:
        """Start all that waited for nothing else: workstreams, and tasks."""
        for waiting in self._dependents[done]:
            self._open_needs[waiting] -= 1
            if self._open_needs[waiting]:
                continue
            if waiting in self._tasks:
                heapq.heappush(self._ready, (self._tasks[waiting][0], waiting))
            else:
                self._release(waiting + _STARTED)

    # -- the train -------------------------------------------------------------------------------------------

    def _queue(self) -> Sequence[TrainItem]:
        """Return the next workstreams in landing order whose tasks are done."""
        return [*takewhile(self._has_arrived, islice(self.items, self.window))]

    def _has_arrived(self, item: TrainItem) -> bool:
        return not self._open_tasks[item.id]

    def _room(self) -> int:
        return self.workers - len(self._at_work)

    def _takes(self, on_top: Sequence[str]) -> float:
        gates = self._gates(on_top)
        return sum(self.load.gate_times[gate].draw(self.chance) for gate in gates)

    def _gates(self, items: Sequence[str]) -> list[str]:
        return [*dict.fromkeys(gate for item in items for gate in self._by_id[item].gates)]

    def _start(self, wanted: WantedRun) -> None:
        super()._start(wanted)
        self.gate_runs += len(self._gates(wanted.chain.items()))

    def _land(self, items: Sequence[str]) -> None:
        super()._land(items)
        for item in items:
            self._release(item)

    # -- tasks -----------------------------------------------------------------------------------------------

    def _step(self) -> bool:
        """Carry out the train's next steps, and start tasks on the workers that it leaves."""
        while True:
            super()._step()
            if not self._start_tasks():
                return bool(self.items)

    def _start_tasks(self) -> bool:
        """Start tasks; return whether some took no time, so that the train may have more to do."""
        has_ended = False
        while self._ready and self._room() > len(self._running):
            _, task_id = heapq.heappop(self._ready)
            task = self._tasks[task_id][2]
            takes = task.work.draw(self.chance) if task.work else 0.0
            takes += sum(self.load.gate_times[gate].draw(self.chance) for gate in task.gates)
            self.gate_runs += len(task.gates)
            self._at_work.add(task_id)
            if takes > 0:
                heapq.heappush(self._ends, (self.now + takes, task_id))
            else:
                self._end(task_id)
                has_ended = True
        return has_ended

    def _end(self, run_id: str) -> None:
        """Record the end of a task, or of a run of the train."""
        if run_id not in self._at_work:
            super()._end(run_id)
            return
        self._at_work.remove(run_id)
        self._open_tasks[self._tasks[run_id][1]] -= 1
        self._release(run_id)


def shape(load: RunLoad) -> PathShape:
    """Return the critical path of a run and how much of it can be done at once, by median times."""
    landed: dict[str, float] = {}
    before: dict[str, str] = {}
    changes: list[tuple[float, int]] = []
    work = 0.0
    for workstream in load.workstreams:
        start = 0.0
        for need in workstream.needs:
            if landed[need] > start:
                start, before[workstream.id] = landed[need], need
        ends: dict[str, float] = {}
        for task in workstream.tasks:
            begin = max((ends[need] for need in task.needs), default=start)
            ends[task.id] = begin + load.median(task)
            changes += _job(begin, ends[task.id])
        begin = max(ends.values(), default=start)
        landed[workstream.id] = begin + load.median_of(workstream.gates)
        changes += _job(begin, landed[workstream.id])
        work += load.median_of(workstream.gates) + sum(map(load.median, workstream.tasks))
    last = max(landed, key=lambda name: landed[name])
    path = [last]
    while path[-1] in before:
        path.append(before[path[-1]])
    return PathShape(seconds=landed[last], path=tuple(reversed(path)), work=work, most=_most(changes))


def _job(begin: float, end: float) -> list[tuple[float, int]]:
    """Return the changes of the number of jobs under way."""
    return [(begin, 1), (end, -1)] if end > begin else []


def _most(changes: list[tuple[float, int]]) -> int:
    """Return the most jobs under way at once; a job that ends makes room for one that begins."""
    most = now = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most
