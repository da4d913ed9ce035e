"""Trains on a virtual clock whose gate fails by chance, and that know of its flakes only what they see."""

from dataclasses import dataclass, field, replace
from random import Random

from maingate.orchestrator.core.queue.flake_record import FlakeRecord
from maingate.orchestrator.train.chains import CandidateChain
from maingate.orchestrator.train.record import TrainRecord
from maingate.orchestrator.train.values import TrainItem, TrainPolicy
from maingate.orchestrator.train.virtual_clock import VirtualTrain

GATE = "unit"


@dataclass(kw_only=True)
class FlakyTrain(VirtualTrain):
    """A train that confirms failures by what a run has seen of its gate, as the queue of a target does."""

    flakes: FlakeRecord = field(default_factory=lambda: FlakeRecord(TrainRecord()))
    _counted: dict[CandidateChain, int] = field(default_factory=dict)

    def _step(self) -> bool:
        self._note()
        return super()._step()

    def _end(self, run_id: str) -> None:
        if run_id not in self._running:
            return
        chain = self._running[run_id][0].chain
        passes = chain.passes
        super()._end(run_id)
        if chain.passes == passes:
            self._counted[chain] = self._counted.get(chain, 0) + 1
        else:
            self.flakes.passed(GATE, failures=self._counted.pop(chain, 0))
            before = chain.before
            while before is not None:
                self.flakes.refuted(GATE, failures=self._counted.pop(before, 0))
                before = before.before
        self._note()

    def _note(self) -> None:
        again = self.flakes.failures_needed([GATE]) - 1
        self.policy = replace(self.policy, flake_rate=self.flakes.rate, asked_again=again)


def play(
    *, items: int, risk: float, flake_rate: float, seed: int, workers: int = 4
) -> tuple[FlakyTrain, set[str]]:
    """Play a queue of items that fail with some risk; return it with those that do."""
    draw, flakes = Random(f"items {risk} {seed}"), Random(f"flakes {flake_rate} {seed}")
    bad = {str(at) for at in range(items) if draw.random() < risk}
    train = FlakyTrain(
        items=[TrainItem(id=str(at), risk=0.05) for at in range(items)],
        answer=lambda on_top: bad.isdisjoint(on_top) and flakes.random() >= flake_rate,
        workers=workers,
        policy=TrainPolicy(),
    )
    train.play()
    return train, bad
