"""The candidates of chains: each workstream of a chain merged onto the one before it, built once."""

from collections.abc import Iterable, Sequence

from maingate.commits import Candidate, Tip
from maingate.orchestrator.train.chains import CandidateChain


class BuiltChains:
    """The candidates that were built, by the chains that they end."""

    def __init__(self) -> None:
        self._made: dict[CandidateChain, Candidate] = {}

    def put(self, chain: CandidateChain, candidate: Candidate) -> None:
        """Keep the candidate of the last workstream of a chain."""
        self._made[chain] = candidate

    def known(self, chain: CandidateChain) -> Candidate | None:
        """Return the newest candidate, though the commit that it is on may be another by now."""
        return self._made.get(chain)

    def built(self, path: Sequence[CandidateChain], head: Tip) -> list[Candidate]:
        """Return the candidates of a path from the root, up to the first that is not on the one before it."""
        found: list[Candidate] = []
        onto = head.commit
        for chain in path:
            candidate = self._made.get(chain)
            if candidate is None or candidate.onto.commit != onto:
                break
            found.append(candidate)
            onto = candidate.tip.commit
        return found

    def forget_others(self, root: CandidateChain) -> None:
        """Forget the candidates of chains that do not begin at a root: they cannot land any more."""
        for chain in not_under(root, self._made):
            del self._made[chain]


def path_of(chain: CandidateChain) -> list[CandidateChain]:
    """Return the chains from the root's first successor up to a chain."""
    path: list[CandidateChain] = []
    at: CandidateChain | None = chain
    while at is not None and at.before is not None:
        path.append(at)
        at = at.before
    return path[::-1]


def not_under(root: CandidateChain, chains: Iterable[CandidateChain]) -> list[CandidateChain]:
    """Return those of some chains that do not begin at a root."""
    under = {root: True}
    return [chain for chain in chains if not _is_under(chain, under)]


def _is_under(chain: CandidateChain, under: dict[CandidateChain, bool]) -> bool:
    """Return whether a chain is known to begin at the root, or is found to; notes all on the way."""
    passed: list[CandidateChain] = []
    at: CandidateChain | None = chain
    while at is not None and at not in under:
        passed.append(at)
        at = at.before
    answer = at is not None and under[at]
    under.update(dict.fromkeys(passed, answer))
    return answer
