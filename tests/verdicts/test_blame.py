"""The table of blame: which answers, of gates on a tree and on its base, blame whom."""

from typing import Any

import pytest

from maingate.reasons import FAULTS, NOT_RUN, ReasonCode
from maingate.verdicts.blame import Case, GateAnswer, Judgement, Opinion

RED_HINT = "(set `red_on_base: true` for a gate that a patch is to fix)"


def good(gate: str) -> GateAnswer:
    """Make the answer of a gate that passed."""
    return GateAnswer(gate=gate, passed=True, gate_id=f"gate_{gate}", exit_code=0)


def bad(gate: str, **fields: Any) -> GateAnswer:
    """Make the answer of a gate that did not pass."""
    said: dict[str, Any] = {"gate_id": f"gate_{gate}", "exit_code": 1, "message": "it is red", "excerpt": "E"}
    return GateAnswer(gate=gate, passed=False, **(said | fields))


def blocked(gate: str) -> GateAnswer:
    """Make the answer of a gate that was not run, because one that it needs did not pass."""
    return GateAnswer(gate=gate, passed=False, is_blocked=True)


def judged(
    *answers: GateAnswer, base: dict[str, GateAnswer] | None = None, mends: str = ""
) -> tuple[Judgement, list[str]]:
    """Judge a case as a caller does; return the judgement and which gates it asked about the base."""
    case = Case(label="w/a", base="b" * 40, answers=answers, red_on_base=frozenset(mends.split()))
    asked = []
    while (gate := case.open_question()) is not None:
        asked.append(gate)
        case = case.with_base((base or {})[gate])
    return case.judgement(), asked


def detail(gate: str, **more: object) -> dict[str, object]:
    """Make the detail of a reason that names a gate."""
    return {"gate": gate, "gate_id": f"gate_{gate}", "exit_code": 1, "fault": None, "output": "E"} | more


def test_what_passes_every_gate_passes() -> None:
    """And its base is not asked; a tree without gates passes, too."""
    assert judged(good("a"), good("b")) == (Judgement(opinion=Opinion.PASSED, gates=("a", "b")), [])
    assert judged() == (Judgement(opinion=Opinion.PASSED), [])


def test_what_fails_on_a_good_base_is_to_blame() -> None:
    """The reason is the first gate's, and names all that failed; what was not run is not among them."""
    judgement, asked = judged(
        bad("a"), blocked("b"), good("c"), bad("d", message="other"), base={"a": good("a"), "d": good("d")}
    )
    assert asked == ["a", "d"]
    assert (judgement.opinion, judgement.gates) == (Opinion.FAILED, ("a", "b", "c", "d"))
    assert judgement.reason is not None
    assert judgement.reason.code is ReasonCode.GATE_FAILED
    assert judgement.reason.message == "w/a does not pass a, d: it is red"
    assert judgement.reason.detail == detail("a", gates=["a", "d"])


def test_a_timeout_on_a_good_base_keeps_its_code() -> None:
    """The base is asked about a gate that took too long as about any other."""
    slow = bad("a", code=ReasonCode.GATE_TIMEOUT, message="it took too long")
    judgement, asked = judged(slow, base={"a": good("a")})
    assert asked == ["a"]
    assert judgement.reason is not None
    assert (judgement.opinion, judgement.reason.code) == (Opinion.FAILED, ReasonCode.GATE_TIMEOUT)


def test_what_fails_on_its_base_too_is_not_to_blame() -> None:
    """One such gate is enough, whatever others say; no other is asked about then."""
    judgement, asked = judged(bad("a"), bad("b"), base={"a": bad("a", message="red before")})
    assert asked == ["a"]
    assert judgement.opinion is Opinion.UNDECIDED
    assert judgement.reason is not None
    assert judgement.reason.code is ReasonCode.BASE_RED
    assert judgement.reason.message == (
        f"gate a fails without w/a too, so no patch is blamed: red before {RED_HINT}"
    )
    assert judgement.reason.detail == detail("a", base="b" * 40)


def test_a_later_gate_that_is_red_on_the_base_excuses_an_earlier_one() -> None:
    """A tree that cannot be judged whole is not judged."""
    judgement, asked = judged(bad("a"), bad("b"), base={"a": good("a"), "b": bad("b")})
    assert (judgement.opinion, asked) == (Opinion.UNDECIDED, ["a", "b"])


def test_a_gate_that_is_red_on_purpose_is_not_asked_about() -> None:
    """A patch is there to mend it: one that leaves it red is to blame."""
    judgement, asked = judged(bad("a"), mends="a b")
    assert (judgement.opinion, asked) == (Opinion.FAILED, [])


def test_a_gate_whose_file_the_change_brings_does_not_excuse_it() -> None:
    """The gate cannot pass on the base, so that its failure there says nothing; other gates still count."""
    failed, on_base = bad("a", lacks=frozenset({"sh"})), bad("a", lacks=frozenset({"sh", "tests/new.sh"}))
    judgement, asked = judged(failed, base={"a": on_base})
    assert (judgement.opinion, asked) == (Opinion.FAILED, ["a"])
    assert judgement.reason is not None
    assert judgement.reason.code is ReasonCode.GATE_FAILED
    known = Case(label="w/a", base="b" * 40, answers=[failed], on_base={"a": on_base})
    assert known.doubted() == []
    both, asked = judged(failed, bad("b"), base={"a": on_base, "b": bad("b")})
    assert (both.opinion, asked) == (Opinion.UNDECIDED, ["a", "b"])
    removed, _ = judged(on_base, base={"a": failed})
    assert removed.opinion is Opinion.UNDECIDED
    hanging = bad("a", code=ReasonCode.GATE_TIMEOUT, lacks=frozenset({"tests/new.sh"}))
    assert judged(bad("a"), base={"a": hanging})[0].opinion is Opinion.UNDECIDED  # not for lack of a file
    unprepared = bad("a", fault=ReasonCode.PREPARE_FAILED, lacks=frozenset({"tests/new.sh"}))
    assert judged(bad("a"), base={"a": unprepared})[0].opinion is Opinion.UNDECIDED


@pytest.mark.parametrize("fault", sorted(NOT_RUN))
@pytest.mark.parametrize("mends", ["", "a"])
def test_a_gate_that_was_not_run_blames_nobody(fault: str, mends: str) -> None:
    """The base is not asked, for nothing was found out about the tree."""
    judgement, asked = judged(bad("a", fault=fault, exit_code=None), bad("b"), mends=mends)
    assert (judgement.opinion, asked) == (Opinion.UNDECIDED, [])
    assert judgement.reason is not None
    assert judgement.reason.code == fault
    assert judgement.reason.message == "gate a could not be run on w/a: it is red"
    assert judgement.reason.detail == detail("a", fault=fault, exit_code=None)


@pytest.mark.parametrize("fault", sorted(NOT_RUN))
def test_a_gate_that_could_not_be_run_on_the_base_blames_nobody(fault: str) -> None:
    """The fault is said of the base."""
    judgement, _ = judged(bad("a"), base={"a": bad("a", fault=fault)})
    assert judgement.opinion is Opinion.UNDECIDED
    assert judgement.reason is not None
    assert judgement.reason.code == fault
    assert judgement.reason.message == "gate a could not be run on the base of w/a: it is red"


@pytest.mark.parametrize("fault", ["missing_program", "signal", "out_of_memory"])
def test_other_faults_are_failures_that_the_base_is_asked_about(fault: str) -> None:
    """A patch may well be what removed the program, or makes its gate die."""
    assert judged(bad("a", fault=fault), base={"a": good("a")})[0].opinion is Opinion.FAILED
    excused = judged(bad("a", fault=fault), base={"a": bad("a", fault=fault)})[0]
    assert excused.reason is not None
    assert (excused.opinion, excused.reason.code) == (Opinion.UNDECIDED, ReasonCode.BASE_RED)


@pytest.mark.parametrize("mends", ["", "a"])
def test_a_tree_that_cannot_be_prepared_without_the_patch_either_blames_nobody(mends: str) -> None:
    """It is no red gate: `red_on_base` would not help. A patch that broke `prepare` is to blame."""
    broken = bad("a", fault="prepare_failed", message="preparing failed: no network")
    assert judged(broken, base={"a": good("a")}, mends=mends)[0].opinion is Opinion.FAILED
    judgement, asked = judged(broken, base={"a": broken}, mends=mends)
    assert (judgement.opinion, asked) == (Opinion.UNDECIDED, ["a"])
    assert judgement.reason is not None
    assert judgement.reason.code is ReasonCode.PREPARE_FAILED
    assert judgement.reason.message == (
        "`prepare` fails without w/a too, so no patch is blamed: preparing failed: no network"
    )
    assert judgement.reason.detail == detail("a", fault="prepare_failed", base="b" * 40)


def test_what_is_not_run_is_a_fault_or_was_cancelled() -> None:
    """Codes that excuse a patch here blame none elsewhere either."""
    assert NOT_RUN - {ReasonCode.CANCELLED} <= FAULTS
