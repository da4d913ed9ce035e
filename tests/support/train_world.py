"""A world for the planner of the train: gates, workers and messages that behave as badly as they may."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from maingate.orchestrator.train.chains import ChainRun
from maingate.orchestrator.train.facts import TrainFacts, TrainState
from maingate.orchestrator.train.planner import plan_train
from maingate.orchestrator.train.values import Purpose, TrainItem, TrainPlan, TrainPolicy, WantedRun
from maingate.plan.choices import Proof

MOST_EVENTS = 3_000
"""Events after which a train of a dozen items counts as one that never ends."""

MOST_PLANS = 8
"""Plans in a row that cancel runs although nothing has happened, after which a planner counts as restless."""

Content = tuple[str, ...]
"""All items of a tree, in order."""


@dataclass(kw_only=True)
class TrainWorld:
    """Carries out what the planner says, checks each step, and reports in any order.

    Args:
        order: All items, in landing order. Some of them arrive while others are tested.
        culprits: Items that always fail.
        pairs: Items that fail in the company of another one.
        flakes: Failures of each tree, at most, that are flakes.
        faults: Runs, at most, that end without a verdict.
        arrived: Items that are in the queue at the beginning.
    """

    order: Sequence[TrainItem]
    culprits: Collection[str]
    pairs: Collection[tuple[str, str]]
    policy: TrainPolicy
    workers: int
    random: Random
    flakes: int = 0
    faults: int = 0
    arrived: int = 0
    queue: list[TrainItem] = field(default_factory=list)
    facts: TrainFacts = field(default_factory=TrainFacts)
    landed: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    now: float = 0.0

    def __post_init__(self) -> None:
        """Fill the queue."""
        self.running: dict[str, tuple[WantedRun, float]] = {}
        self.contents: dict[str, Content] = {}
        self.late: list[tuple[WantedRun, ChainRun]] = []
        self.flaked: Counter[Content] = Counter()
        self.passed: Counter[Content] = Counter()
        self.failed: Counter[Content] = Counter()
        self.queue = list(self.order[: self.arrived])

    # -- what is right ---------------------------------------------------------------------------------------

    def is_red(self, content: Sequence[str]) -> bool:
        """Return whether the gates fail on a tree."""
        items = set(content)
        return not items.isdisjoint(self.culprits) or any(items.issuperset(pair) for pair in self.pairs)

    def serially_landed(self) -> list[str]:
        """Return the items that land when each is tested after the other."""
        landed: list[str] = []
        fallen: set[str] = set()
        for item in self.order:
            if not item.needs.isdisjoint(fallen) or self.is_red([*landed, item.id]):
                fallen.add(item.id)
            else:
                landed.append(item.id)
        return landed

    # -- events ----------------------------------------------------------------------------------------------

    def play(self) -> None:
        """Let events happen in any order until all items have landed or are refused."""
        base = ChainRun(id="base", passed=True, started=-1, ended=-1)
        self.facts.root.record(base)
        self.passed[()] += 1
        for _ in range(MOST_EVENTS):
            self._carry_out()
            if not self.queue and self.arrived == len(self.order):
                return
            self._happen()
        raise AssertionError("the train never ends")

    def _happen(self) -> None:
        """Let one thing happen: an arrival, own gates that pass, the end of a run, or a late message."""
        self.now += 1
        events = [self._deliver] * bool(self.late) + [self._end] * bool(self.running)
        events += [self._arrive] * (self.arrived < len(self.order))
        events += [self._let_land] * any(not item.may_land for item in self.queue)
        assert events, "nothing runs, nothing is to come, and the train is not over"
        self.random.choice(events)()

    def _arrive(self) -> None:
        item = self.order[self.arrived]
        self.arrived += 1
        if item.needs.isdisjoint(self.refused):
            self.queue.append(item)
        else:
            self.refused.append(item.id)

    def _let_land(self) -> None:
        at = self.random.choice([at for at, item in enumerate(self.queue) if not item.may_land])
        self.queue[at] = replace(self.queue[at], may_land=True)

    def _end(self) -> None:
        """End any of the runs, by a verdict that may be reported a second time, or by a fault."""
        run_id = self.random.choice(sorted(self.running))
        wanted, started = self.running.pop(run_id)
        if self.faults and self.random.random() < 0.2:
            self.faults -= 1
            return
        run = self._verdict(run_id, started)
        self.facts.record(wanted, run)
        if self.random.random() < 0.3:
            self.late.append((wanted, run))

    def _verdict(self, run_id: str, started: float) -> ChainRun:
        content = self.contents[run_id]
        passed = not self.is_red(content)
        if passed and self.flaked[content] < self.flakes and self.random.random() < 0.5:
            self.flaked[content] += 1
            passed = False
        (self.passed if passed else self.failed)[content] += 1
        return ChainRun(id=run_id, passed=passed, started=started, ended=self.now)

    def _deliver(self) -> None:
        self.facts.record(*self.late.pop(self.random.randrange(len(self.late))))

    # -- steps -----------------------------------------------------------------------------------------------

    def _carry_out(self) -> None:
        """Carry out what the planner says until it cancels, lands and blames nothing more."""
        plans = 0
        while self.queue:
            plan = self.plan()
            assert plan.pause is None
            for run_id in plan.cancel:
                self._cancel(run_id)
            for run_id, wanted in plan.keep.items():
                self.running[run_id] = wanted, self.running[run_id][1]
            for wanted in plan.start:
                self._start(wanted)
            assert len(self.running) <= self.workers
            assert self.running or plan.land or plan.blame or not all(item.may_land for item in self.queue)
            for chain in plan.land:
                self._land(chain.items())
                self.facts.landed(chain)
            if plan.blame is not None:
                self._refuse(plan.blame)
            is_settled = not (plan.land or plan.blame or plan.cancel)
            plans = plans + 1 if plan.cancel else 0
            assert plans < MOST_PLANS, "the planner changes its mind for ever"
            if is_settled:
                return

    def plan(self) -> TrainPlan:
        """Return what the planner says now."""
        running = {run_id: wanted for run_id, (wanted, _) in self.running.items()}
        state = TrainState(
            facts=self.facts, items=self.queue, running=running, workers=self.workers, policy=self.policy
        )
        return plan_train(state)

    def _cancel(self, run_id: str) -> None:
        """Cancel a run, which may have ended meanwhile: its verdict comes late."""
        wanted, started = self.running.pop(run_id)
        if self.random.random() < 0.5:
            self.late.append((wanted, self._verdict(run_id, started)))

    def _start(self, wanted: WantedRun) -> None:
        content = (*self.landed, *wanted.chain.items())
        if wanted.purpose in {Purpose.SEARCH, Purpose.SCOUT}:
            assert wanted.chain.is_untested, f"{content} is known"
            under_way = [self.contents[run_id] for run_id in self.running]
            assert content not in under_way, f"{content} is being tested already"
        run_id = f"run-{len(self.contents):04}"
        self.contents[run_id] = content
        self.running[run_id] = wanted, self.now

    def _land(self, items: Sequence[str]) -> None:
        ahead = [item.id for item in self.queue[: len(items)]]
        assert list(items) == ahead, "an item was overtaken"
        assert all(item.may_land for item in self.queue[: len(items)])
        content = (*self.landed, *items)
        if self.policy.proof is not Proof.LATER:
            assert self.passed[content], f"the target moved to {content}, which never passed"
            assert self.policy.proof is Proof.REF or len(items) == 1
        assert not self.is_red(content)
        self.landed += items
        del self.queue[: len(items)]

    def _refuse(self, culprit: str) -> None:
        """Refuse an item, with those that need it."""
        assert self.queue[0].id == culprit, "an item was blamed behind others that have not landed"
        content = (*self.landed, culprit)
        assert not self.passed[content]
        assert self.failed[content] > self.policy.confirmations
        assert self.passed[tuple(self.landed)]
        fallen = {culprit}
        for item in self.queue:
            if not item.needs.isdisjoint(fallen):
                fallen.add(item.id)
        self.queue = [item for item in self.queue if item.id not in fallen]
        self.refused += sorted(fallen)
        for item_id in fallen:
            self.facts.left(item_id)
