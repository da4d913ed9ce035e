"""The building of chains: workstreams merged onto one another, and conflicts that this finds."""

from collections.abc import Sequence

from maingate.commits import Candidate, Tip
from maingate.orchestrator.core.effects import BuildChain, ChainLink
from maingate.orchestrator.core.events import ChainBuilt, LinkRefused
from maingate.orchestrator.core.queue.departures import Departures
from maingate.orchestrator.core.queue.queue_state import Build, QueueState, item_of
from maingate.orchestrator.train.chains import CandidateChain
from maingate.reasons import FAULTS, ReasonCode


class ChainBuilder:
    """Builds the candidates of chains.

    Args:
        queue: The state of the queue.
        departures: Ends what leaves the queue.
    """

    def __init__(self, queue: QueueState, departures: Departures) -> None:
        self._queue, self._turn = queue, queue.turn
        self._departures = departures

    def try_again(self) -> None:
        """Merge a workstream onto the target alone that conflicted with one which has landed.

        It most likely conflicts with the target, and chains behind it would be built and tested for nothing.
        """
        workstream = next(iter(self._queue.untried.values()), None)
        if workstream is None or self._queue.build is not None or self._queue.head is None:
            return
        chain = self._queue.facts.root.then(item_of(workstream))
        self._start_build([chain], [], self._queue.head)

    def candidates_of(self, path: Sequence[CandidateChain]) -> list[Candidate] | None:
        """Return the candidates of a chain; None while some are being built."""
        if self._queue.head is None:
            return None
        built = self._queue.chains.built(path, self._queue.head)
        if len(built) == len(path):
            return built
        if self._queue.build is None:
            self._start_build(path, built, self._queue.head)
        return None

    def _start_build(self, path: Sequence[CandidateChain], built: Sequence[Candidate], head: Tip) -> None:
        members = self._queue.members(path)
        before = [(member.id, candidate.tip) for member, candidate in zip(members, built, strict=False)]
        missing = path[len(built) :]
        links = [
            ChainLink(
                input=member.landing_input(),
                style=self._queue.style_of(member),
                is_sealed=self._queue.is_sealed_before(member),
                made=self._queue.chains.known(chain),
            )
            for member, chain in zip(members[len(built) :], missing, strict=True)
        ]
        build = self._queue.build = Build(id=f"build_{next(self._queue.numbers)}", chains=missing, head=head)
        self._turn.speculate(
            BuildChain(
                build=build.id,
                onto=before[-1][1] if before else head,
                links=tuple(links),
                before=((None, head), *before),
            )
        )

    def built(self, event: ChainBuilt) -> None:
        """Keep candidates; hold or fail a workstream that could not be merged."""
        build = self._queue.build
        if build is None or build.id != event.build:
            return
        self._queue.build = None
        self._queue.changed()
        for chain, candidate in zip(build.chains, event.candidates, strict=False):
            self._queue.chains.put(chain, candidate)
        if build.head != self._queue.head:
            return
        for member in self._queue.members(build.chains):
            self._queue.untried.pop(member.id, None)
        if event.refused is not None and self.are_as_built(build.chains):
            self._not_built(event.refused)

    def _not_built(self, refused: LinkRefused) -> None:
        """Fail a workstream that cannot be merged onto the target; hold one that conflicts with another."""
        workstream = self._queue.member(refused.workstream)
        if workstream.has_ended:
            return
        is_fault = refused.reason.code in FAULTS
        is_there = refused.reason.code is ReasonCode.ALREADY_APPLIED
        if refused.behind is None or is_fault:
            self._departures.refuse(workstream, refused.reason, blames=not (is_fault or is_there))
        else:
            item, behind = item_of(workstream), item_of(self._queue.member(refused.behind))
            self._queue.conflicts.setdefault(item, set()).add(behind)
            (self._queue.repeats.add if is_there else self._queue.repeats.discard)(item)

    def are_as_built(self, path: Sequence[CandidateChain]) -> bool:
        """Return whether workstreams have the patches still that they were built with."""
        members = zip(path, self._queue.members(path), strict=True)
        return all(not member.has_ended and item_of(member) == chain.item for chain, member in members)
