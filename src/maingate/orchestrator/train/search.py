"""The search: the runs of the gates that are the most likely to be needed, best first.

A leaf is a part of what is not known. The most probable one is taken, a chain within it is tested, and the
two answers make two leaves. A leaf in which only one item can be the culprit continues without it, so idle
workers test what follows from the likeliest answers of those at work.
"""

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace
from itertools import count
from typing import Final

from maingate.orchestrator.train.branches import HypothesisLeaf, QueueBranch
from maingate.orchestrator.train.chains import CandidateChain
from maingate.orchestrator.train.values import Purpose, TrainItem, TrainPolicy, WantedRun

STICKY: Final = 0.5
"""A run under way is kept while its chance is at least this part of the best one's that waits."""

_REACH: Final = 0.7
"""Least chance of the chains that tell enough about the items on them; those behind are left to scouts."""

_LIKELY: Final = 0.5
_DIGITS: Final = 2
"""Chances that are equal when rounded to these digits are ordered by chance per second."""


class TrainSearch:
    """Finds the runs that are worth a worker.

    Args:
        running: Runs that are under way.
        policy: Proof, threshold, and flakes.
        workers: Runs that may be under way at once.
    """

    def __init__(self, *, running: Collection[WantedRun], policy: TrainPolicy, workers: int) -> None:
        self._policy, self._workers = policy, workers
        self.running: Final = {run.chain: run.chance for run in running}
        self._unseen = {run.chain for run in running if run.purpose is not Purpose.SCOUT}
        self._heap: list[tuple[float, float, int, HypothesisLeaf, int]] = []
        self._numbers = count()
        self._wanted: list[WantedRun] = []
        self._places: defaultdict[CandidateChain, list[int]] = defaultdict(list)
        self._waiting = 0.0
        self.reach = 0
        """The place up to which runs are wanted that are likely to be needed."""

    def runs(self, branch: QueueBranch) -> list[WantedRun]:
        """Return the runs that are worth a worker, the best first: as many as there are workers, or more."""
        self._push(HypothesisLeaf(branch, branch.first, branch.end, has_failed=False, chance=1.0))
        while self._heap:
            *_, leaf, cut = heapq.heappop(self._heap)
            if leaf.chance < self._floor():
                break
            if leaf.is_single:
                self._blame(leaf)
            elif self._may_be_flake(leaf):
                self._ask_again(leaf)
            else:
                self._test(leaf, cut)
        return sorted(self._wanted, key=rank)

    def _floor(self) -> float:
        """Return the least chance that is of interest; lower while there may be runs to keep."""
        needed = self._policy.theta
        if len(self._wanted) >= self._workers:
            needed = max(needed, self._waiting) if self._unseen else 2.0
        return needed * STICKY if self._unseen else needed

    def _push(self, leaf: HypothesisLeaf) -> None:
        """Add a leaf, narrowed by what is known."""
        low, high, has_failed = leaf.branch.narrow(leaf.low, leaf.high, proof=self._policy.proof)
        leaf = replace(
            leaf, low=low, high=high, has_failed=has_failed or (leaf.has_failed and high == leaf.high)
        )
        if leaf.low == leaf.high:
            return
        cut = leaf.high if leaf.is_single else leaf.cut(self._policy.proof)
        per_second = leaf.chance / max(leaf.branch.risks.slowest[cut], 1e-9)
        heapq.heappush(self._heap, (rank(leaf), -per_second, next(self._numbers), leaf, cut))

    def _want(self, leaf: HypothesisLeaf, place: int, chances: Iterable[float], purpose: Purpose) -> None:
        """Want runs of a chain, one for each chance; those that are wanted already serve both reasons."""
        chain = leaf.branch.chain(place)
        if chain in self.running:
            self._unseen.discard(chain)
        places = self._places[chain]
        for number, chance in enumerate(chances):
            if number < len(places):
                known = self._wanted[places[number]]
                self._wanted[places[number]] = replace(known, chance=min(known.chance + chance, 1.0))
                continue
            places.append(len(self._wanted))
            without = leaf.branch.without
            self._wanted.append(WantedRun(chain=chain, without=without, chance=chance, purpose=purpose))
            if chain not in self.running:
                self._waiting = max(self._waiting, chance)

    def _test(self, leaf: HypothesisLeaf, cut: int) -> None:
        self._want(leaf, cut, [leaf.chance], Purpose.SEARCH)
        if leaf.chance >= _REACH:
            self.reach = max(self.reach, cut)
        failure = leaf.failure(cut)
        self._push(replace(leaf, low=cut, chance=leaf.chance * (1 - failure)))
        self._push(replace(leaf, high=cut, has_failed=True, chance=leaf.chance * failure))

    # -- failures --------------------------------------------------------------------------------------------

    def _flake(self, leaf: HypothesisLeaf) -> float:
        """Return the probability that the failure of a leaf was a flake."""
        if not leaf.branch.has_failed_at(leaf.high) or not self._policy.flake_rate:
            return 0.0
        failures = leaf.branch.chain(leaf.high).failures
        if failures > self._policy.confirmations:
            return 0.0
        real = leaf.branch.failure(leaf.low, leaf.high)
        flaky = (1 - real) * self._policy.flake_rate**failures
        return flaky / (real + flaky)

    def _may_be_flake(self, leaf: HypothesisLeaf) -> bool:
        return leaf.has_failed and not leaf.is_asked_again and self._flake(leaf) > _LIKELY

    def _ask_again(self, leaf: HypothesisLeaf) -> None:
        """Test a chain again whose failure is more likely to be a flake than to be true."""
        self._want(leaf, leaf.high, [leaf.chance], Purpose.CONFIRM)
        passes = self._flake(leaf) * (1 - self._policy.flake_rate)
        self._after_flake(leaf, leaf.chance * passes)
        self._push(replace(leaf, chance=leaf.chance * (1 - passes), is_asked_again=True))

    def _after_flake(self, leaf: HypothesisLeaf, chance: float) -> None:
        self._push(replace(leaf, low=leaf.high, high=leaf.branch.end, has_failed=False, chance=chance))

    def _blame(self, leaf: HypothesisLeaf) -> None:
        """Confirm the failure of the only item that can be the culprit, and continue without it."""
        flake = self._flake(leaf)
        if leaf.branch.has_failed_at(leaf.high):
            self._confirm(leaf, flake)
        branch = leaf.branch.blaming(leaf.low, running=self.running)
        self._push(
            HypothesisLeaf(
                branch, branch.first, branch.end, has_failed=False, chance=leaf.chance * (1 - flake)
            )
        )
        if flake:
            self._after_flake(leaf, leaf.chance * flake)

    def _confirm(self, leaf: HypothesisLeaf, flake: float) -> None:
        policy = self._policy
        chain = leaf.branch.chain(leaf.high)
        real, rate = 1 - flake, policy.flake_rate
        runs = range(policy.confirmations + 1 - chain.failures)
        chances = [leaf.chance * (real + flake * rate**done) for done in runs]
        self._want(leaf, leaf.high, chances, Purpose.CONFIRM)
        item = leaf.branch.risks.items[leaf.low]
        base = [leaf.chance * real] * runs_of_base(chain, item, policy)
        self._want(leaf, leaf.low, base, Purpose.BASE)


def rank(wanted: WantedRun | HypothesisLeaf) -> float:
    """Return the key by which runs are sorted, the most probable first; small differences do not count."""
    return -round(wanted.chance, _DIGITS)


def runs_of_base(suspect: CandidateChain, item: TrainItem, policy: TrainPolicy) -> int:
    """Return how many runs are needed of the chain that a suspect was put on, before its failure counts."""
    passed, failed = answers_of_base(suspect, item, policy)
    if passed:
        return 0
    return 1 if not failed else max(policy.confirmations + 1 - failed, 0)


def answers_of_base(suspect: CandidateChain, item: TrainItem, policy: TrainPolicy) -> tuple[int, int]:
    """Return how often the chain that a suspect was put on has passed, and failed, since the suspect failed.

    Older passes count for one where a longer chain has passed since: neither the base nor what surrounds it
    has begun to fail.
    """
    base = suspect.before
    if base is None:
        return 0, 0
    since = doubted_since(suspect, item, policy)
    passed, failed = base.runs_since(since)
    if not (passed or failed) and base.has_passed and base.vouched > since:
        return 1, 0
    return passed, failed


def doubted_since(suspect: CandidateChain, item: TrainItem, policy: TrainPolicy) -> float:
    """Return the moment from which on a base must have passed, before a failure of its suspect counts.

    That is the beginning of the first failure, on whatever the suspect was put then. Without confirmations,
    answers of any age count.
    """
    return min(suspect.first_failure, item.failing_since) if policy.confirms else float("-inf")
