"""Doubts about failures: how often a merged result must fail before its last workstream is refused."""

import math
from collections.abc import Collection
from dataclasses import dataclass

from maingate.orchestrator.core.queue.board import Member
from maingate.orchestrator.core.queue.flake_record import FlakeRecord
from maingate.orchestrator.core.snapshot import WorkstreamNode
from maingate.orchestrator.train.chains import CandidateChain
from maingate.orchestrator.train.values import MOST_CONFIRMATIONS


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A workstream that failed, and whose patches are judged by themselves.

    Args:
        chain: The merged result that failed.
        failures: How often it has.
        gates: The gates that did.
        since: When the first of its failures began, whatever it was put on.
    """

    chain: CandidateChain
    failures: int
    gates: tuple[str, ...]
    since: float


class Doubts:
    """Counts failures of workstreams, as far as they may be flakes.

    The patch of a workstream that has only one is judged by itself once its merged result has failed. That is
    a failure more, if it fails there too, so one confirmation less is made before. If it passes, the
    workstream comes back, and is refused only after the failures that lack then.

    Args:
        flakes: Tells how many are needed.
    """

    def __init__(self, flakes: FlakeRecord) -> None:
        self._flakes = flakes
        self._refused: dict[str, Refusal] = {}

    def confirmations(self, suspect: CandidateChain, workstream: Member, gates: Collection[str]) -> int:
        """Return how often the first workstream's merged result must fail again before that is believed.

        Args:
            suspect: The merged result.
            workstream: The workstream.
            gates: The gates that failed on it.
        """
        before = self._refused.get(suspect.item)
        wanted = self._flakes.failures_needed(gates) - 1
        if before is not None:
            return max(wanted if before.chain is suspect else wanted - before.failures, 0)
        return min(max(wanted - _is_judged_alone(workstream), 1), MOST_CONFIRMATIONS)

    def refuse(self, suspect: CandidateChain, workstream: Member, gates: Collection[str]) -> int:
        """Note that a workstream is refused; return how often each of its patches must fail by itself."""
        self._refused[suspect.item] = Refusal(
            chain=suspect,
            failures=suspect.failures,
            gates=tuple(gates),
            since=min(suspect.first_failure, self.failing_since(suspect.item)),
        )
        needed = self._flakes.failures_needed(gates)
        return max(needed - suspect.failures, 0) if _is_judged_alone(workstream) else needed

    def has_come_back(self, item: str) -> bool:
        """Return whether a workstream was refused once, and none of its patches failed by itself."""
        return item in self._refused

    def failing_since(self, item: str) -> float:
        """Return when the first failure began of a workstream that was refused once; never for any other."""
        before = self._refused.get(item)
        return before.since if before is not None else math.inf

    def are_open(self, item: str) -> bool:
        """Return whether a workstream that came back has not failed often enough yet."""
        before = self._refused.get(item)
        return before is not None and self._flakes.failures_needed(before.gates) > before.failures

    def forget(self, item: str) -> None:
        """Forget a workstream that has left the queue."""
        self._refused.pop(item, None)


def _is_judged_alone(workstream: Member) -> bool:
    """Return whether the patch of a workstream, which has only one, is judged when that is refused."""
    if not isinstance(workstream, WorkstreamNode) or workstream.lane is None:
        return False
    return workstream.defers_gates and len(workstream.lane.chain) == 1
