"""The facts of a train: verdicts on chains, and what runs beside the chains showed of single items.

A *scout* tests a few items alone on the target's head. Its verdict proves no position and blames no item; it
shows where in the queue culprits are, so that the chains that must be tested anyway are chosen well. These
findings keep their worth when the head moves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from maingate.orchestrator.train.chains import CandidateChain, ChainRun
from maingate.orchestrator.train.values import Purpose, TrainItem, TrainPolicy, WantedRun


@dataclass(kw_only=True)
class TrainFacts:
    """All that is known of a train.

    Args:
        root: The chain of the target's head.
        sound: Items that were on a chain that passed.
        suspected: Items that failed together, alone on the head of the time.
    """

    root: CandidateChain = field(default_factory=CandidateChain)
    sound: set[str] = field(default_factory=set)
    suspected: list[tuple[str, ...]] = field(default_factory=list)

    def record(self, wanted: WantedRun, run: ChainRun) -> None:
        """Record a finished run; a fault of the infrastructure is none."""
        wanted.chain.record(run)
        if run.passed:
            self.sound.update(wanted.chain.items())
        elif wanted.purpose is Purpose.SCOUT and wanted.scouted not in self.suspected:
            self.suspected.append(wanted.scouted)

    def landed(self, chain: CandidateChain) -> None:
        """Record that the target has moved to a chain."""
        self.sound.difference_update(chain.items())
        chain.become_root()
        self.root = chain

    def left(self, item: str) -> None:
        """Forget the failures that an item explains which was refused or has left the queue."""
        self.suspected = [group for group in self.suspected if item not in group]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainState:
    """All that the planner knows.

    Args:
        items: The queue, in landing order: those whose tips are known.
        running: The runs of the gates that are under way, by their identifiers, as the last plan has them.
        workers: Runs that may be under way at once.
    """

    facts: TrainFacts
    items: Sequence[TrainItem]
    running: Mapping[str, WantedRun]
    workers: int
    policy: TrainPolicy
