"""With `proof: commit` no commit comes onto the target that has not passed its gates as it is."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maingate.commits import Candidate, Tip
from maingate.orchestrator.core.core import Core
from maingate.orchestrator.core.decision import Decision
from maingate.orchestrator.core.effects import BuildChain, Effect, JudgeChain, LandCar, StopJudging
from maingate.orchestrator.core.events import CancelRequested, ChainBuilt, ChainJudged, CoreEvent
from maingate.plan.choices import Proof
from maingate.plan.model import Plan
from maingate.reasons import Reason, ReasonCode
from maingate.state.workstream import WorkstreamState
from maingate.verdicts.blame import GateAnswer
from maingate.verdicts.subject import JudgedSubject
from maingate.verdicts.tree_judgement import Question, joined
from orchestrator.core.test_landing_queue import Queue, states
from support.examples import examples

GATES = {
    "unit": {"run": "true"},
    "lint": {"run": "true", "on": ["task"]},
    "slow": {"run": "true", "on": ["landing"]},
}
ON_PATCH, ON_RESULT = ("unit", "lint"), ("unit", "slow")


@dataclass
class Rows(Queue):
    """A queue whose workstreams land as commits in a row, made again on a target that has moved.

    Args:
        red_steps: Gates that fail on a commit, by the workstream and the number of its patch.
        passed: The gates that have passed, each with the tree.
        asked: All that was asked about trees of chains.
    """

    red_steps: frozenset[tuple[str, int, str]] = frozenset()
    passed: set[tuple[str, str]] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def _chain(self, effect: BuildChain) -> CoreEvent:
        made: list[Candidate] = []
        onto = effect.onto
        for link in effect.links:
            steps, at = [], onto
            for number, (patch, _) in enumerate(link.input.commits):
                name = f"{link.input.name}.{number}"
                at = Tip(commit=f"{at.commit}|{name}", tree=f"{at.tree}|{name}")
                steps.append((patch, at))
            commits = {patch: tip.commit for patch, tip in steps}
            made.append(Candidate(onto=onto, tip=at, commits=commits, steps=tuple(steps)))
            onto = at
        return ChainBuilt(build=effect.build, candidates=tuple(made))

    def _judge(self, core: Core, effect: JudgeChain) -> CoreEvent:  # noqa: ARG002 - as the queue calls it
        parts = [
            *((each.label, each.gates, each.tip) for each in effect.inside),
            ("all", effect.gates, effect.tip),
        ]
        questions = [
            Question(subject=JudgedSubject(label=label, workstream_id=effect.asked_for), gates=gates, tip=tip)
            for label, gates, tip in parts
        ]
        answers = [self._answers(question) for question in questions]
        self.seconds += 2
        return ChainJudged(
            run=effect.run,
            answers=tuple(joined(questions, answers)),
            inside=tuple(
                (each.tip.tree, answer)
                for each, found in zip(effect.inside, answers, strict=False)
                for answer in found
            ),
            started=self.seconds - 1,
            ended=self.seconds,
        )

    def _answers(self, question: Question) -> Sequence[GateAnswer]:
        tree = question.tip.tree
        last, _, number = tree.rpartition("|")[2].partition(".")
        answers = []
        for gate in question.gates:
            passed = not number or (last, int(number), gate) not in self.red_steps
            self.asked.append((tree, gate))
            self.passed |= {(tree, gate)} if passed else set()
            answers.append(GateAnswer(gate=gate, passed=passed, message="no"))
        return answers

    def answer(self, core: Core, effect: Effect) -> CoreEvent | None:
        """Check all that lands."""
        if isinstance(effect, LandCar) and self.proof is Proof.COMMIT:
            for member in effect.members:
                for _, tip in member.candidate.steps:
                    is_last = tip.commit == member.candidate.tip.commit
                    wanted = {*ON_PATCH, *(ON_RESULT if is_last else ())}
                    assert all((tip.tree, gate) in self.passed for gate in wanted), (tip, wanted)
        return super().answer(core, effect)


def rows_of(sizes: Sequence[int], **rest: Any) -> Rows:
    """Make a queue of workstreams with as many patches as is said."""
    streams = {
        name: {"tasks": {f"t{number}": {"patch": "x"} for number in range(size)}, "critical": False}
        for name, size in zip("abcdefgh", sizes, strict=False)
    }
    plan = {"maingate": 1, "name": "p", "landing": "rebase", "gates": GATES, "workstreams": streams}
    if rest.setdefault("proof", Proof.COMMIT) is Proof.COMMIT:
        plan["proof"] = "commit"
    return Rows(Plan.from_json(plan), {}, seed=0, **rest)


@settings(max_examples=examples(60), deadline=None)
@given(st.data())
def test_no_commit_lands_that_has_not_passed_its_gates(data: st.DataObject) -> None:
    """A workstream is refused exactly if one of its commits fails a gate of its own; the others land."""
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    every = [
        (name, number, gate)
        for name, size in zip("abcde", sizes, strict=False)
        for number in range(size)
        for gate in GATES
    ]
    red = data.draw(st.frozensets(st.sampled_from(every), max_size=3))
    queue = rows_of(sizes, red_steps=red, workers=data.draw(st.integers(1, 4)))
    core = queue.play()
    size_of = dict(zip("abcde", sizes, strict=False))
    culprits = {
        name
        for name, number, gate in red
        if gate in ON_PATCH or (gate == "slow" and number == size_of[name] - 1)
    }
    assert states(core) == {name: "gate_failed" if name in culprits else "landed" for name in size_of}


def test_a_failure_says_which_commit_it_is_of() -> None:
    """A person sees the patch, not only the workstream."""
    core = rows_of([1, 3], red_steps=frozenset({("b", 1, "lint")})).play()
    failed = next(ws for ws in core.run.order if ws.name == "b")
    assert failed.reason is not None
    assert "b/t1: no" in failed.reason.message


@pytest.mark.parametrize("proof", [Proof.REF, Proof.LATER])
def test_other_proofs_ask_about_positions_alone(proof: Proof) -> None:
    """Commits inside are proven by the position that brings them."""
    queue = rows_of([2, 3], proof=proof, workers=1)
    assert states(queue.play()) == {"a": "landed", "b": "landed"}
    assert {gate for _, gate in queue.asked} == {*ON_RESULT}
    assert len({tree for tree, _ in queue.asked}) == 1


def test_a_commit_that_is_asked_again_is_the_one_that_failed() -> None:
    """What has passed is not asked again."""
    queue = rows_of([1, 2], red_steps=frozenset({("b", 0, "lint")}))
    queue.play()
    again = [(tree, gate) for tree, gate in queue.asked if queue.asked.count((tree, gate)) > 1]
    assert {gate for _, gate in again} == {"lint"}


def test_a_workstream_that_is_cancelled_amid_its_gates_stops_them_on_each_commit() -> None:
    """Its patches are dropped, and are none of what would land now."""
    judged: set[str] = set()
    stopped: set[str] = set()

    class Cancelling(Rows):
        def follow(self, decision: Decision) -> list[Effect]:
            stopped.update(each.commit for each in decision.effects if isinstance(each, StopJudging))
            return super().follow(decision)

        def answer(self, core: Core, effect: Effect) -> CoreEvent | None:
            if not isinstance(effect, JudgeChain) or judged:
                return super().answer(core, effect)
            judged.update(tip.commit for tip in (*(each.tip for each in effect.inside), effect.tip))
            return CancelRequested(
                entity=core.run.order[0].id, reason=Reason(code=ReasonCode.CANCELLED, message="enough")
            )

    a, _ = Cancelling(rows_of([3, 1]).plan, {}, seed=0, proof=Proof.COMMIT).play().run.order
    assert a.state is WorkstreamState.CANCELLED
    assert len(judged) == 3
    assert judged <= stopped


def test_a_gate_passes_on_all_commits_or_not_at_all() -> None:
    """One that was given up on a commit has no answer; a failure anywhere is one."""
    tip = Tip(commit="c", tree="t")
    questions = [
        Question(subject=JudgedSubject(label=name, workstream_id=None), gates=("x", "y", "z"), tip=tip)  # type: ignore[arg-type]
        for name in ("first", "last")
    ]
    first = [GateAnswer(gate="x", passed=True), GateAnswer(gate="y", passed=False, message="no")]
    last = [GateAnswer(gate=gate, passed=True) for gate in "xyz"]
    found = {answer.gate: answer for answer in joined(questions, [first, last])}
    assert found == {"x": last[0], "y": replace(first[1], message="first: no")}
