"""The order in which the gates of a run are asked, so that a tree that is red is known to be so early."""

from collections import Counter
from collections.abc import Iterable

from maingate.orchestrator.train.record import TrainRecord
from maingate.plan.model import Plan
from maingate.plan.order import stable_order
from maingate.verdicts.blame import GateAnswer


class GateOrder:
    """Orders gates by what is on record of them, and by what they said in this run.

    Args:
        plan: The plan, which has the gates.
        record: The past of the gates.
    """

    def __init__(self, plan: Plan, record: TrainRecord) -> None:
        self._plan, self._record = plan, record
        self._passed: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()

    def count(self, answer: GateAnswer) -> None:
        """Count what a gate said, unless it was taken over from an earlier execution."""
        if not (answer.is_known or answer.is_blocked):
            (self._passed if answer.passed else self._failed)[answer.gate] += 1

    def ordered(self, gates: Iterable[str]) -> tuple[str, ...]:
        """Return some gates, each once, after those that it needs.

        Of those that could come next, the one goes first that is the most likely to fail for each second that
        it takes; others as they are listed in the plan.
        """
        wanted = {*gates}
        needs = {name: gate.needs for name, gate in self._plan.gates.items() if name in wanted}
        return tuple(stable_order(needs, rank=self._rank))

    def _rank(self, gate: str) -> tuple[float, ...]:
        worth = self._record.failures_per_second(gate, passed=self._passed[gate], failed=self._failed[gate])
        return (-worth,)
