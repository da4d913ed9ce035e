"""A train on a virtual clock: the planner's decisions played out against gates whose answers are given."""

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from maingate.orchestrator.train.chains import ChainRun
from maingate.orchestrator.train.facts import TrainFacts, TrainState
from maingate.orchestrator.train.planner import plan_train
from maingate.orchestrator.train.values import Purpose, TrainItem, TrainPause, TrainPolicy, WantedRun

Answer = Callable[[Sequence[str]], bool]
"""A function that returns whether the gates pass on some items, in order, on top of the first target."""

_BEFORE: Final = -1.0


@dataclass(kw_only=True)
class VirtualTrain:
    """A queue that is landed on a virtual clock, which begins at 0.

    Args:
        items: The queue.
        answer: The gates; may answer differently when asked again.
        workers: Runs that may be under way at once.
        landed: Items that are on the target.
        positions: The items on the target after each of its moves.
        refused: Items that were blamed.
        runs: Runs that were started, by purpose.
        now: Seconds.
        pause: The reason why the train stopped before its end.
    """

    items: list[TrainItem]
    answer: Answer
    workers: int
    policy: TrainPolicy
    facts: TrainFacts = field(default_factory=TrainFacts)
    landed: list[str] = field(default_factory=list)
    positions: list[tuple[str, ...]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    runs: Counter[Purpose] = field(default_factory=Counter)
    now: float = 0.0
    pause: TrainPause | None = None
    _running: dict[str, tuple[WantedRun, float, tuple[str, ...]]] = field(default_factory=dict)
    _ends: list[tuple[float, str]] = field(default_factory=list)
    _seconds: dict[str, float] = field(default_factory=dict)

    def play(self) -> None:
        """Land or refuse every item, or stop where the train pauses."""
        base = ChainRun(id="base", passed=True, started=_BEFORE, ended=_BEFORE)
        self.facts.root.record(base)
        self._seconds = {item.id: item.seconds for item in self.items}
        while self._step() and self._ends:
            self._pass_time()

    def _step(self) -> bool:
        """Carry out the planner's next steps; return whether there is anything left to do."""
        while queue := self._queue():
            state = TrainState(
                facts=self.facts,
                items=queue,
                running={run_id: wanted for run_id, (wanted, *_) in self._running.items()},
                workers=self._room(),
                policy=self.policy,
            )
            plan = plan_train(state)
            self.pause = plan.pause
            for run_id in plan.cancel:
                del self._running[run_id]
            for run_id, wanted in plan.keep.items():
                self._running[run_id] = wanted, *self._running[run_id][1:]
            if not plan.land and plan.blame is None:
                for wanted in plan.start:
                    self._start(wanted)
                return plan.pause is None
            for chain in plan.land:
                self._land(chain.items())
                self.facts.landed(chain)
            if plan.blame is not None:
                self._refuse(plan.blame)
        return False

    def _queue(self) -> Sequence[TrainItem]:
        """Return the items that the planner sees."""
        return self.items

    def _room(self) -> int:
        """Return how many runs may be under way at once."""
        return self.workers

    def _takes(self, on_top: Sequence[str]) -> float:
        """Return the seconds of a run on some items."""
        return max((self._seconds[item] for item in on_top), default=min(self._seconds.values()))

    def _land(self, items: Sequence[str]) -> None:
        self.items = self.items[len(items) :]
        self.landed += items
        self.positions.append(tuple(self.landed))

    def _refuse(self, culprit: str) -> None:
        """Refuse an item, and those that cannot be without it."""
        fallen = {culprit}
        for item in self.items:
            if not item.needs.isdisjoint(fallen):
                fallen.add(item.id)
        self.items = [item for item in self.items if item.id not in fallen]
        self.refused += sorted(fallen)
        for item_id in fallen:
            self.facts.left(item_id)

    def _start(self, wanted: WantedRun) -> None:
        run_id = f"run-{self.runs.total():06}"
        self.runs[wanted.purpose] += 1
        on_top = wanted.chain.items()
        self._running[run_id] = wanted, self.now, (*self.landed, *on_top)
        heapq.heappush(self._ends, (self.now + self._takes(on_top), run_id))

    def _pass_time(self) -> None:
        """Move the clock to the next end of a run, and record all that end then."""
        self.now = self._ends[0][0]
        while self._ends and self._ends[0][0] <= self.now:
            _, run_id = heapq.heappop(self._ends)
            self._end(run_id)

    def _end(self, run_id: str) -> None:
        """Record the end of a run, unless it was cancelled."""
        if run_id not in self._running:
            return
        wanted, started, items = self._running.pop(run_id)
        passed = self.answer(items)
        self.facts.record(wanted, ChainRun(id=run_id, passed=passed, started=started, ended=self.now))
