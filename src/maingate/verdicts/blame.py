"""Blame for a gate that did not pass: the change that was tested, its base, or neither.

Pure: answers of gates go in, a judgement comes out. Before a change is blamed, the same gate must have passed
on the tree that the change was put on; ``Case.open_question`` names the gate that is still to be asked there.
The answer is a fact like any other: in a workstream's lane that tree is settled, in a train it is a guess.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Self

from maingate.reasons import NOT_RUN, Reason, ReasonCode
from maingate.wording import listed


class Opinion(Enum):
    """The conclusion that a set of gates came to about a tree."""

    PASSED = "passed"
    FAILED = "failed"
    UNDECIDED = "undecided"
    """No patch is to blame: the base is red, or a gate could not be run."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The opinion, the names of the gates, and the reason where the opinion is not ``PASSED``."""

    opinion: Opinion
    gates: tuple[str, ...] = ()
    reason: Reason | None = None


@dataclass(frozen=True, kw_only=True)
class GateAnswer:
    """The result of one gate on one tree.

    Args:
        passed: Whether it passed.
        gate_id: The execution that found it out; None when it was blocked and never ran.
        fault: The cause for which there is no verdict; None when there is one.
        is_known: Whether it was taken over from an earlier execution.
        is_blocked: Whether it was not run because a gate that it needs did not pass.
        is_flaky: Whether it passed only when it was run again.
        is_sure: Whether a failure was confirmed as the settings demand.
        code: The code of a failure.
        message: A sentence about a failure, or a remark on a pass.
        excerpt: The end of its output.
        lacks: Of a failure, the words of the gate's command that name no file of the tree.
    """

    gate: str
    passed: bool
    gate_id: str | None = None
    fault: str | None = None
    is_known: bool = False
    is_blocked: bool = False
    is_flaky: bool = False
    is_sure: bool = True
    exit_code: int | None = None
    code: ReasonCode = ReasonCode.GATE_FAILED
    message: str = ""
    excerpt: str = ""
    lacks: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Case:
    """All answers about one tree, and as far as they are known, those about its base.

    Args:
        label: Name of the tested change for people, such as ``parser/drop-regex``.
        base: The commit that the change was put on.
        answers: The gates' answers, each gate after those it needs.
        red_on_base: Gates that fail on the base on purpose: a change is to mend them.
        on_base: Answers about the base, by gate.
    """

    label: str
    base: str
    answers: Sequence[GateAnswer]
    red_on_base: frozenset[str] = frozenset()
    on_base: Mapping[str, GateAnswer] = field(default_factory=dict)

    def doubted(self) -> list[str]:
        """Return the gates that failed, and are to pass on the base before the change is blamed."""
        return [answer.gate for answer in self._failures() if self._depends_on_base(answer)]

    @property
    def base_label(self) -> str:
        """Name of the base for people."""
        return f"the base of {self.label}"

    def open_question(self) -> str | None:
        """Return the gate that must be asked about the base before a judgement; None when none must be.

        A timeout is asked about, too: a gate that hangs without the change blames none, which costs the same
        time once more.
        """
        for answer in self._failures():
            if self._excuse(answer) is not None:
                return None
            if self._depends_on_base(answer) and answer.gate not in self.on_base:
                return answer.gate
        return None

    def with_base(self, answer: GateAnswer) -> Self:
        """Return the case with one more answer about the base."""
        return replace(self, on_base={**self.on_base, answer.gate: answer})

    def judgement(self) -> Judgement:
        """Return the judgement, once there is no open question."""
        gates = tuple(answer.gate for answer in self.answers)
        if all(answer.passed for answer in self.answers):
            return Judgement(opinion=Opinion.PASSED, gates=gates)
        failures = self._failures()
        for answer in failures:
            if excuse := self._excuse(answer):
                return Judgement(opinion=Opinion.UNDECIDED, gates=gates, reason=excuse)
        return Judgement(opinion=Opinion.FAILED, gates=gates, reason=_blame(self.label, failures))

    def _failures(self) -> list[GateAnswer]:
        return [answer for answer in self.answers if not answer.passed and not answer.is_blocked]

    def _depends_on_base(self, failure: GateAnswer) -> bool:
        if failure.fault == ReasonCode.PREPARE_FAILED:
            return True  # what may be red must be prepared all the same
        if self._brings_file_of(failure):
            return False
        return failure.fault not in NOT_RUN and failure.gate not in self.red_on_base

    def _brings_file_of(self, failure: GateAnswer) -> bool:
        """Return whether the change brings a file that a gate names, without which that fails on the base."""
        base = self.on_base.get(failure.gate)
        if base is None or base.fault is not None or base.code is ReasonCode.GATE_TIMEOUT:
            return False  # a gate that hangs does not for lack of a file
        return bool(base.lacks - failure.lacks)

    def _excuse(self, failure: GateAnswer) -> Reason | None:
        """Return why a failure is not the fault of the change; None when it is, or may be."""
        if failure.fault in NOT_RUN:
            return _not_run(failure, self.label)
        base = self.on_base.get(failure.gate) if self._depends_on_base(failure) else None
        if base is None or base.passed:
            return None
        if base.fault in NOT_RUN:
            return _not_run(base, self.base_label)
        if base.fault == ReasonCode.PREPARE_FAILED:
            return _unprepared(base, self.label, self.base)
        return _red_base(base, self.label, self.base)


def _blame(label: str, failures: Sequence[GateAnswer]) -> Reason:
    first, names = failures[0], [answer.gate for answer in failures]
    return Reason(
        code=first.code,
        message=f"{label} does not pass {listed(names)}: {first.message}",
        detail=_detail(first) | {"gates": names},
    )


def _red_base(base: GateAnswer, label: str, commit: str) -> Reason:
    return Reason(
        code=ReasonCode.BASE_RED,
        message=f"gate {base.gate} fails without {label} too, so no patch is blamed: {base.message} "
        "(set `red_on_base: true` for a gate that a patch is to fix)",
        detail=_detail(base) | {"base": commit},
    )


def _unprepared(base: GateAnswer, label: str, commit: str) -> Reason:
    return Reason(
        code=ReasonCode.PREPARE_FAILED,
        message=f"`prepare` fails without {label} too, so no patch is blamed: {base.message}",
        detail=_detail(base) | {"base": commit},
    )


def _not_run(answer: GateAnswer, label: str) -> Reason:
    return Reason(
        code=ReasonCode(str(answer.fault)),
        message=f"gate {answer.gate} could not be run on {label}: {answer.message}",
        detail=_detail(answer),
    )


def _detail(answer: GateAnswer) -> dict[str, object]:
    return {
        "gate": answer.gate,
        "gate_id": answer.gate_id,
        "exit_code": answer.exit_code,
        "fault": answer.fault,
        "output": answer.excerpt,
    }
