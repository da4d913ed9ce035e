"""Cars: workstreams that are sealed, intended and landed by one move of the target."""

from collections.abc import Sequence

from maingate.commits import LandingIntent
from maingate.ids import new_ids
from maingate.orchestrator.core.effects import CarMember, LandCar, SealCar
from maingate.orchestrator.core.events import (
    CarSealed,
    LandingFailed,
    LandingObstructed,
    TargetLanded,
    TargetMoved,
)
from maingate.orchestrator.core.queue.board import Member
from maingate.orchestrator.core.queue.built_chains import path_of
from maingate.orchestrator.core.queue.chain_builder import ChainBuilder
from maingate.orchestrator.core.queue.chain_tests import ChainTests
from maingate.orchestrator.core.queue.departures import Departures
from maingate.orchestrator.core.queue.queue_state import LandingCar, QueueState, id_of, item_of
from maingate.orchestrator.core.queue_items import Taking
from maingate.orchestrator.core.snapshot import WorkstreamNode
from maingate.orchestrator.train.chains import CandidateChain
from maingate.reasons import Reason, ReasonCode

LANDING_ATTEMPTS = 20
"""Moves of the target by others in a row, each just before a car would land, before its first one fails."""


class Cars:
    """Lands workstreams.

    Args:
        queue: The state of the queue.
        builder: Builds candidates.
        tests: Runs gates on chains.
        departures: Ends what leaves the queue.
    """

    def __init__(
        self, queue: QueueState, builder: ChainBuilder, tests: ChainTests, departures: Departures
    ) -> None:
        self._queue, self._turn = queue, queue.turn
        self._builder = builder
        self._tests = tests
        self._departures = departures

    def prepare(self, positions: Sequence[CandidateChain]) -> None:
        """Build the commits that are to land, where they are not; then seal them and record the intents.

        Args:
            positions: The next positions of the target; the first that passed vouches for those before it.
        """
        chain = positions[0]
        path = path_of(chain)
        candidates = self._builder.candidates_of(path)
        if candidates is None:
            return
        members = self._queue.members(path)
        self._queue.car = LandingCar(
            id=f"car_{next(self._queue.numbers)}", chain=chain, members=members, candidates=candidates
        )
        self._attach_proof(next(each for each in positions if each.has_passed), members)
        if all(self._queue.is_sealed_before(member) for member in members):
            self._intend(self._queue.car)
            return
        self._turn.request(  # once the evidence is on record, which the seal is to cover
            SealCar(
                car=self._queue.car.id,
                workstreams=tuple(member.id for member in members),
                candidates=tuple(
                    (candidate, self._queue.is_sealed_before(member))
                    for member, candidate in zip(members, candidates, strict=True)
                ),
            )
        )

    def _attach_proof(self, proven: CandidateChain, members: Sequence[Member]) -> None:
        """Record what gates said of a chain that proves all before it, for workstreams that are to land."""
        candidate = self._queue.chains.known(proven)
        if candidate is not None:
            proof = self._queue.answers.evidence(
                proven,
                candidate.tip.tree,
                [member.id for member in members],
                is_shared=len(path_of(proven)) > 1,
            )
            self._turn.decision.evidence += proof

    def sealed(self, event: CarSealed) -> None:
        """Record the intents to land a car, and land it once that is recorded."""
        car = self._car_of(event.car)
        if car is None or car.intents:
            return
        if self._queue.orders.leave.may_land and self._builder.are_as_built(path_of(car.chain)):
            car.candidates = event.candidates
            self._intend(car)
        else:
            self._queue.car = None
            self._queue.changed()

    def _intend(self, car: LandingCar) -> None:
        ids = new_ids("intent", len(car.members))
        car.intents = [
            LandingIntent(
                id=intent_id,
                run=member.run,
                workstream=member.id,
                old=candidate.onto.commit,
                new=candidate.tip.commit,
                commits=candidate.commits,
            )
            for intent_id, member, candidate in zip(ids, car.members, car.candidates, strict=True)
        ]
        for member, intent in zip(car.members, car.intents, strict=True):
            self._departures.abandon_intent(member)
            if isinstance(member, WorkstreamNode):
                self._queue.lanes.settle_all(member)
            else:
                self._turn.decision.queue.append(Taking(workstream=member.id))
            member.intents.append(intent)
            member.open_intent = intent.id
        self._turn.decision.intents += car.intents
        self._turn.request(LandCar(car=car.id, members=tuple(self._car_members(car))))

    def _car_members(self, car: LandingCar) -> Sequence[CarMember]:
        parts = zip(car.members, car.candidates, car.intents, strict=True)
        return [
            CarMember(workstream=member.id, name=member.name, candidate=candidate, intent=intent.id)
            for member, candidate, intent in parts
        ]

    def landed(self, event: TargetLanded) -> None:
        """Complete the workstreams of a car that the target moved to."""
        car = self._car_of(event.car)
        if car is None:
            return
        self._queue.car, self._queue.head = None, car.candidates[-1].tip
        self._turn.run.tip = self._turn.run.head_seen = self._queue.head
        self._note_untried(car)
        names = [member.name for member in car.members]
        self._queue.company.land(zip(car.chain.items(), names, strict=True))
        for member, candidate, intent in zip(car.members, car.candidates, car.intents, strict=True):
            self._departures.book(member, intent, candidate.tip)
        self._queue.facts.landed(car.chain)
        self._queue.chains.forget_others(car.chain)
        self._queue.answers.forget_others(car.chain)
        self._queue.landed_count += len(car.members)
        self._queue.is_narrow = False
        if len(self._queue.gates) > 1:
            self._forget_answers_not_asked(car.chain)

    def _note_untried(self, car: LandingCar) -> None:
        """Note the workstreams that could not be merged onto one that has landed now."""
        landed = {item_of(member) for member in car.members}
        for item, others in self._queue.conflicts.items():
            if landed & others:
                self._queue.untried[id_of(item)] = self._queue.member(id_of(item))

    def _forget_answers_not_asked(self, root: CandidateChain) -> None:
        """Forget what gates said of chains that only workstreams on the target had asked them for."""
        root.forget_runs()
        for chain in self._queue.answers.chains():
            self._queue.answers.keep(chain, self._tests.asked_of(chain))
            if chain.has_failed and not self._queue.answers.failed_on(chain):
                chain.forget_runs()

    def moved(self, event: TargetMoved) -> None:
        """Read the target again, because others have moved it; fail a workstream after too many times."""
        car = self._take_car(event.car)
        if car is None:
            return
        self._queue.head = None
        self._queue.foreign_moves += 1
        left = self._left_of(car)
        if left and self._queue.foreign_moves >= LANDING_ATTEMPTS:
            self._queue.foreign_moves = 0
            reason = Reason(
                code=ReasonCode.CONFLICT,
                message=f"someone else moved {self._turn.run.target} {LANDING_ATTEMPTS} times while "
                f"{left[0].name} was being landed; run it again when the branch is quieter",
            )
            self._departures.fail(left[0], reason, blames=False)

    def obstructed_by(self, event: LandingObstructed) -> None:
        """Drain the run, because a checkout of the target cannot follow."""
        car = self._take_car(event.car)
        if car is not None and (left := self._left_of(car)):
            self._turn.drain.obstruct(left[0].id, left[0].name, event.obstacle)

    def failed(self, event: LandingFailed) -> None:
        """Fail a workstream that the target cannot move to, without blame; of several, try one alone."""
        car = self._take_car(event.car)
        if car is None:
            return
        for member in car.members:
            if self._departures.apply_deferred_requests(member):
                continue
            self._departures.abandon_intent(member)
            if len(car.members) == 1:
                self._departures.fail(member, event.reason, blames=False)
        self._queue.is_narrow = len(car.members) > 1

    def _car_of(self, car_id: str) -> LandingCar | None:
        return self._queue.car if self._queue.car is not None and self._queue.car.id == car_id else None

    def _take_car(self, car_id: str) -> LandingCar | None:
        """Return the car, which is not under way any more; None for an answer about another one."""
        car = self._car_of(car_id)
        if car is not None:
            self._queue.car = None
            self._queue.changed()
        return car

    def _left_of(self, car: LandingCar) -> Sequence[Member]:
        """Apply what was requested about the members of a car that has not landed; return those left."""
        for member in car.members:
            self._departures.apply_deferred_requests(member)
        return [member for member in car.members if not member.has_ended]
