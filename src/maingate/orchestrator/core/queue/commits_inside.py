"""Commits that land before the last one of a workstream, and are promised to be tested by themselves.

With ``proof: commit`` every commit that comes onto the branch has passed its gates. Where the commits of a
workstream land in a row, made again on a target that has moved, each is another than the one that was judged
on the workstream's own ref. So the run of gates on a merged result judges them as well: a gate passes on it
only if it passes on each of them that asks for it.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from maingate.orchestrator.core.effects import CommitInside
from maingate.orchestrator.core.queue.queue_state import QueueState, id_of, item_of
from maingate.orchestrator.train.chains import CandidateChain
from maingate.plan.choices import Proof


class CommitsInside:
    """Finds the commits of the workstreams of chains that have to pass by themselves.

    Args:
        queue: The state of the queue.
    """

    def __init__(self, queue: QueueState) -> None:
        self._queue = queue

    def asked_of(self, chain: CandidateChain) -> Collection[str]:
        """Return the gates that the commits of the last workstream of a chain ask, the last one included."""
        return {gate for each in self._of(chain) for gate in each.gates}

    def on_last(self, chain: CandidateChain) -> Collection[str]:
        """Return the gates that the last commit asks as that of its patch."""
        return {gate for each in self._of(chain) if self._is_last(each, chain) for gate in each.gates}

    def before_last(self, chain: CandidateChain, gates: Sequence[str]) -> tuple[CommitInside, ...]:
        """Return the commits before the last one, with those of some gates that each asks."""
        commits = [
            replace(each, gates=tuple(gate for gate in gates if gate in each.gates))
            for each in self._of(chain)
            if not self._is_last(each, chain)
        ]
        return tuple(each for each in commits if each.gates)

    def _is_last(self, commit: CommitInside, chain: CandidateChain) -> bool:
        candidate = self._queue.chains.known(chain)
        return candidate is not None and commit.tip.commit == candidate.tip.commit

    def _of(self, chain: CandidateChain) -> Sequence[CommitInside]:
        candidate = self._queue.chains.known(chain)
        if self._queue.policy.proof is not Proof.COMMIT or candidate is None or chain.before is None:
            return ()
        member = self._queue.member(id_of(chain.item))
        landing = member.landing_input()
        if item_of(member) != chain.item or any(patch not in landing.tasks for patch, _ in candidate.steps):
            return ()  # its patches are others by now, or some of them were dropped
        return [
            CommitInside(
                label=f"{landing.name}/{landing.tasks[patch]}",
                tip=tip,
                gates=landing.patch_gates.get(patch, ()),
            )
            for patch, tip in candidate.steps
        ]
