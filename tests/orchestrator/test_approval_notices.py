"""People are told once of each patch that waits for them, and when none does any more."""

from maingate.ids import PatchId
from maingate.orchestrator.approval_notices import ApprovalNotices

ONE, TWO = PatchId("patch_1"), PatchId("patch_2")


def notices(said: list[str]) -> ApprovalNotices:
    """Make notices about patches that need two approvals each."""
    return ApprovalNotices(wanted=lambda patch: (f"w/{patch[-1]}", 2), notice=said.append)


def test_each_patch_is_told_of_once() -> None:
    """The inbox is read five times a second; people are told when something is new."""
    said: list[str] = []
    told = notices(said)
    told.update([ONE], {})
    told.update([ONE], {ONE: 1})
    assert said == ["w/1 waits for 2 more approvals: `maingate patch approve w/1`"]


def test_several_patches_are_one_sentence() -> None:
    """A plan with a hundred patches does not print a hundred lines."""
    said: list[str] = []
    notices(said).update([ONE, TWO], {ONE: 1})
    [sentence] = said
    assert sentence.startswith("w/1 waits for 1 ")
    assert sentence.endswith("(and 1 more like it: `maingate status --all`)")


def test_a_patch_that_has_its_approvals_is_not_told_of() -> None:
    """The core has not heard of the last approval yet; people have given it."""
    said: list[str] = []
    notices(said).update([ONE], {ONE: 2})
    assert said == []


def test_the_end_of_waiting_is_told_once() -> None:
    """Somebody who left the run to approve patches sees that there are none left."""
    said: list[str] = []
    told = notices(said)
    told.update([], {})
    told.update([ONE], {})
    told.update([], {})
    told.update([], {})
    assert said[1:] == ["nothing waits for approval any more"]
