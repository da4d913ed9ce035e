"""Answers of gates about chains: the gates that a run has to ask, and what follows from what they said."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from maingate.ids import WorkstreamId
from maingate.orchestrator.core.decision import GateEvidence
from maingate.orchestrator.core.queue.built_chains import not_under
from maingate.orchestrator.core.queue.flake_record import FlakeRecord
from maingate.orchestrator.core.queue.gate_order import GateOrder
from maingate.orchestrator.train.chains import CandidateChain
from maingate.orchestrator.train.values import Purpose, WantedRun
from maingate.plan.model import Plan
from maingate.verdicts.blame import Case, GateAnswer, Judgement, Opinion


class ChainAnswers:
    """The answers of gates, by chain.

    Args:
        plan: The plan, which has the gates.
        order: The order in which gates are asked.
        flakes: Told of failures that later runs refute.
    """

    def __init__(self, plan: Plan, order: GateOrder, flakes: FlakeRecord) -> None:
        self._plan, self._order, self._flakes = plan, order, flakes
        self._failures_of: dict[CandidateChain, Counter[str]] = {}
        self._of: dict[CandidateChain, dict[str, GateAnswer]] = {}
        self._newest: dict[CandidateChain, dict[str, GateAnswer]] = {}
        self._ended: dict[CandidateChain, dict[str, float]] = {}
        self._vouched: dict[CandidateChain, dict[str, float]] = {}
        self._inside: dict[CandidateChain, dict[tuple[str, str], GateAnswer]] = {}
        self._red_on_base = frozenset(name for name, gate in plan.gates.items() if gate.red_on_base)

    def add(self, chain: CandidateChain, answers: Collection[GateAnswer], *, ended: float) -> bool:
        """Keep the answers of a run; a pass stays, whatever the gate said before or says later.

        Args:
            chain: The chain that was judged.
            answers: The answers.
            ended: When the run ended.

        Returns:
            Whether all failures of runs before are refuted: each gate that failed has passed by now.
        """
        failed = self._failures(chain)
        known = self._of.setdefault(chain, {})
        for answer in answers:
            self._count(chain, answer)
            self._newest.setdefault(chain, {})[answer.gate] = answer
            self._ended.setdefault(chain, {})[answer.gate] = ended
            before = known.get(answer.gate)
            if answer.passed or before is None or not before.passed:
                known[answer.gate] = answer
        self._vouch_for_bases(
            chain, [each.gate for each in answers if each.passed and not each.is_known], ended
        )
        return bool(failed) and all(known[gate].passed for gate in failed)

    def _vouch_for_bases(self, chain: CandidateChain, gates: Collection[str], ended: float) -> None:
        """Note that gates ran and passed on a chain which has those before it in it."""
        before = chain.before
        while before is not None:
            if before in self._of:
                vouched = self._vouched.setdefault(before, {})
                vouched |= {gate: max(ended, vouched.get(gate, ended)) for gate in gates}
            before = before.before

    def add_inside(self, chain: CandidateChain, answers: Iterable[tuple[str, GateAnswer]]) -> None:
        """Keep the answers about commits inside the last workstream of a chain, each with the tree."""
        known = self._inside.setdefault(chain, {})
        for tree, answer in answers:
            before = known.get((tree, answer.gate))
            if answer.passed or before is None or not before.passed:
                known[tree, answer.gate] = answer

    def _count(self, chain: CandidateChain, answer: GateAnswer) -> None:
        self._order.count(answer)
        if answer.is_known or answer.is_blocked:
            return
        failures = self._failures_of.setdefault(chain, Counter())
        if answer.passed:
            self._flakes.passed(answer.gate, failures=failures.pop(answer.gate, 0))
        else:
            failures[answer.gate] += 1

    def vouch(self, chain: CandidateChain) -> None:
        """Take the failures of the chains that a chain is made of to be flakes, because it has passed."""
        before = chain.before
        while before is not None:
            for gate, failures in self._failures_of.pop(before, Counter()).items():
                self._flakes.refuted(gate, failures=failures)
            before = before.before

    def _failures(self, chain: CandidateChain) -> Collection[str]:
        """Return the gates that ran on a chain and failed, and never passed."""
        answers = self._of.get(chain, {})
        return [gate for gate, each in answers.items() if not each.passed and not each.is_blocked]

    def to_ask(self, wanted: WantedRun, asked: Collection[str]) -> tuple[str, ...]:
        """Return the gates of a run in the order in which they are asked, without those that have passed.

        Args:
            wanted: The run.
            asked: The gates that its workstreams and their commits ask.
        """
        match wanted.purpose:
            case Purpose.CONFIRM:
                return self._not_passed(wanted.chain)
            case Purpose.BASE:
                return self._doubted(wanted.chain)
            case _:
                return self._order.ordered({*asked} - self._passed_on(wanted.chain))

    def judgement(self, suspect: CandidateChain, *, label: str, base: str) -> Judgement:
        """Return what follows from the answers about a chain and the one before it, for its last workstream.

        Args:
            suspect: The chain.
            label: Name of the workstream's merged result for people.
            base: The commit of the chain before it.
        """
        return self._case(suspect, label=label, base=base).judgement()

    def doubted(self, suspect: CandidateChain) -> Collection[str]:
        """Return the gates that failed on a chain, and are to pass on the one before it."""
        return self._case(suspect).doubted()

    def is_base_open(self, suspect: CandidateChain, *, since: float) -> bool:
        """Return whether a gate that failed on a chain has not answered on the one before since a moment.

        A pass of that before counts where the gate has passed on a longer chain since.
        """
        base = suspect.before
        if base is None:
            return bool(self.doubted(suspect))
        ended, vouched = self._ended.get(base, {}), self._vouched.get(base, {})
        passed = {gate for gate, answer in self._newest.get(base, {}).items() if answer.passed}
        newest = {
            gate: max(end, vouched.get(gate, end) if gate in passed else end) for gate, end in ended.items()
        }
        return any(gate not in newest or newest[gate] <= since for gate in self.doubted(suspect))

    def blames(self, suspect: CandidateChain) -> bool:
        """Return whether a chain fails for another reason than that the one before it does."""
        return self._case(suspect).judgement().opinion is Opinion.FAILED

    def _case(self, suspect: CandidateChain, *, label: str = "", base: str = "") -> Case:
        before = self._newest.get(suspect.before, {}) if suspect.before is not None else {}
        answers = self._of.get(suspect, {})
        return Case(
            label=label,
            base=base,
            answers=[answers[gate] for gate in self._plan.sorted_gates(answers)],
            red_on_base=self._red_on_base,
            on_base=before,
        )

    def evidence(
        self,
        chain: CandidateChain,
        tree: str,
        workstreams: Sequence[WorkstreamId],
        *,
        is_shared: bool = False,
    ) -> list[GateEvidence]:
        """Return the executions that speak for or against some workstreams.

        Args:
            chain: The chain that was judged.
            tree: Its tree.
            workstreams: The workstreams that it decides about.
            is_shared: Whether the executions speak for other workstreams, too.
        """
        inside = self._inside.get(chain, {})
        of_commits = {answer.gate_id for answer in inside.values()}
        own = [each for each in self._of.get(chain, {}).values() if each.gate_id not in of_commits]
        found = [(tree, answer, workstream) for workstream in workstreams for answer in own]
        found += [(of, answer, workstreams[-1]) for (of, _), answer in inside.items()]
        return [
            GateEvidence(
                workstream=workstream,
                gate=answer.gate,
                tree=of,
                gate_id=answer.gate_id,
                is_reused=answer.is_known or is_shared,
            )
            for of, answer, workstream in found
            if answer.gate_id is not None
        ]

    def forget_others(self, root: CandidateChain) -> None:
        """Forget the answers about chains that do not begin at a root."""
        for answers in self._all:
            for chain in not_under(root, answers):
                del answers[chain]

    def forget_last(self, item: str) -> None:
        """Forget the answers about chains that end with an item, which has left."""
        for chain in [chain for chain in self._of if chain.item == item]:
            for answers in self._all:
                answers.pop(chain, None)

    @property
    def _all(self) -> Sequence[dict[CandidateChain, Any]]:
        return self._of, self._newest, self._ended, self._vouched, self._failures_of, self._inside

    def keep(self, chain: CandidateChain, gates: Collection[str]) -> None:
        """Forget what other gates said of a chain."""
        for answers in (self._of, self._newest):
            answers[chain] = {gate: each for gate, each in answers[chain].items() if gate in gates}
        self._ended[chain] = {gate: end for gate, end in self._ended[chain].items() if gate in gates}

    def failed_on(self, chain: CandidateChain) -> Collection[str]:
        """Return the gates that failed on a chain, and never passed."""
        return [gate for gate, answer in self._of.get(chain, {}).items() if not answer.passed]

    def all_passed(self, chain: CandidateChain, gates: Collection[str]) -> bool:
        """Return whether each of some gates has passed on a chain; one that was not asked has not."""
        return self._passed_on(chain).issuperset(gates)

    def _passed_on(self, chain: CandidateChain) -> set[str]:
        return {gate for gate, answer in self._of.get(chain, {}).items() if answer.passed}

    def chains(self) -> Collection[CandidateChain]:
        """Return the chains with answers."""
        return self._of.keys()

    def _not_passed(self, chain: CandidateChain) -> tuple[str, ...]:
        return self._order.ordered(self.failed_on(chain))

    def _doubted(self, base: CandidateChain) -> tuple[str, ...]:
        """Return the gates that failed on chains right behind a base, and that are to pass on it."""
        suspects = [chain for chain in self._of if chain.before is base and chain.has_failed]
        return self._order.ordered(gate for chain in suspects for gate in self._case(chain).doubted())
