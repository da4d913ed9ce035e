"""The runs of gates on chains, and what follows from their answers."""

from collections.abc import Collection, Sequence

from maingate.orchestrator.core.effects import JudgeChain, StopJudging
from maingate.orchestrator.core.events import ChainJudged
from maingate.orchestrator.core.queue.built_chains import path_of
from maingate.orchestrator.core.queue.chain_builder import ChainBuilder
from maingate.orchestrator.core.queue.commits_inside import CommitsInside
from maingate.orchestrator.core.queue.departures import Departures
from maingate.orchestrator.core.queue.queue_state import QueueState, label_of
from maingate.orchestrator.train.chains import CandidateChain, ChainRun
from maingate.orchestrator.train.values import Purpose, WantedRun
from maingate.reasons import Reason, ReasonCode
from maingate.verdicts.blame import GateAnswer

_URGENT = 0.5
"""Chance of being needed from which a run of gates goes before other work."""


class ChainTests:
    """Starts, stops and hears runs of gates on chains.

    Args:
        queue: The state of the queue.
        builder: Builds candidates.
        departures: Ends what leaves the queue.
    """

    def __init__(self, queue: QueueState, builder: ChainBuilder, departures: Departures) -> None:
        self._queue, self._turn = queue, queue.turn
        self._builder = builder
        self._departures = departures
        self._inside = CommitsInside(queue)
        self._judged: dict[str, frozenset[str]] = {}

    def start(self, wanted: WantedRun) -> bool:
        """Start a run, or the building of its chain; return whether it passed at once, without gates."""
        path = path_of(wanted.chain)
        built = self._builder.candidates_of(path)
        if built is None or self._queue.head is None:
            return False
        members = self._queue.members(path)
        own = {gate for member in members for gate in member.gates}
        asked = self._queue.answers.to_ask(wanted, {*own, *self._inside.asked_of(wanted.chain)})
        is_base = wanted.purpose is Purpose.BASE
        inside = () if is_base else self._inside.before_last(wanted.chain, asked)
        own.update(self._inside.on_last(wanted.chain))
        run_id = f"run_{next(self._queue.numbers)}"
        if not asked:
            self._queue.facts.record(
                wanted, ChainRun(id=run_id, passed=True, started=0.0, ended=float("inf"))
            )
            return True
        self._queue.running[run_id] = wanted
        tips = [*(each.tip for each in inside), *(each.tip for each in built[-1:])]
        self._judged[run_id] = frozenset(tip.commit for tip in tips)
        self._queue.sight.begin(run_id, asked, self._turn.now)
        self._turn.speculate(
            JudgeChain(
                run=run_id,
                workstreams=tuple(member.id for member in members),
                asked_for=(members or self._queue.board.on_board)[-1 if members else 0].id,
                label=label_of([member.name for member in members]),
                gates=tuple(gate for gate in asked if is_base or gate in own),
                tip=built[-1].tip if built else self._queue.head,
                inside=inside,
                is_asked_again=wanted.purpose in {Purpose.CONFIRM, Purpose.BASE},
                is_urgent=wanted.chance >= _URGENT,
            )
        )
        return False

    def stop(self, run_ids: Sequence[str]) -> None:
        """Cancel runs that are not needed any more; their commits are judged on where another run is on them.

        Those on the target itself go on.
        """
        stopped = [
            self._judged.pop(run_id)
            for run_id in run_ids
            if self._queue.running.pop(run_id, None) is not None
        ]
        kept = frozenset[str]().union(*self._judged.values())
        for commit in sorted(frozenset[str]().union(*stopped) - kept):
            self._turn.request(StopJudging(commit=commit))

    def judged(self, event: ChainJudged) -> None:
        """Record what gates said of a chain; one that could not be asked says nothing."""
        wanted = self._queue.running.pop(event.run, None)
        if wanted is None:
            return
        del self._judged[event.run]
        self._queue.sight.end(event.run, seconds=event.ended - event.started)
        self._queue.changed()
        fault = event.unanswered()
        if fault is None:
            self._record(wanted, event)
        elif fault.code is not ReasonCode.CANCELLED:
            self._not_judged(wanted.chain, fault)

    def _record(self, wanted: WantedRun, event: ChainJudged) -> None:
        """Record the answers of the gates of those workstreams that a chain puts on the target."""
        chain, asked = wanted.chain, self.asked_of(wanted.chain)
        is_base = wanted.purpose is Purpose.BASE
        answers = [each for each in event.answers if each.gate in asked or is_base]
        if not answers:
            return
        are_refuted = self._queue.answers.add(chain, answers, ended=event.ended)
        self._queue.answers.add_inside(chain, event.inside)
        has_passed = self._queue.answers.all_passed(chain, asked)
        if not (is_base or has_passed):
            if are_refuted:
                chain.forget_runs()
            if not self._queue.answers.failed_on(chain):
                return  # gates that were given up because of another's failure are to be asked still
        passed = self._is_sound(chain, answers) if is_base else has_passed
        run = ChainRun(id=event.run, passed=passed, started=event.started, ended=event.ended)
        if passed and not is_base:
            self._queue.answers.vouch(chain)
        self._queue.facts.record(wanted, run)
        if not is_base:
            self._queue.company.record(chain.items(), passed=passed)

    def _is_sound(self, base: CandidateChain, answers: Sequence[GateAnswer]) -> bool:
        """Return whether a base passed what matters: the target, those gates that its suspect fails."""
        members = self._queue.to_plan(self._queue.board.on_board)
        if base is self._queue.facts.root and members:
            doubted = self._queue.answers.doubted(self._queue.suspect(members))
            return all(answer.passed for answer in answers if answer.gate in doubted)
        return all(answer.passed for answer in answers)

    def asked_of(self, chain: CandidateChain) -> Collection[str]:
        """Return the gates that the workstreams of a chain ask, and the commits inside its last one."""
        own = {gate for member in self._queue.members(path_of(chain)) for gate in member.gates}
        return own | {*self._inside.asked_of(chain)}

    def _not_judged(self, chain: CandidateChain, fault: Reason) -> None:
        """Fail the one workstream that gates could not be run on; of several, try the first alone."""
        path = path_of(chain)
        members = self._queue.members(path) if path else list(self._queue.board.on_board[:1])
        if len(members) != 1:
            self._queue.is_narrow = True
        elif not members[0].has_ended:
            self._departures.fail(members[0], fault, blames=False)
