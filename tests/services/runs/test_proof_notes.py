"""Commits that a proof does not reach are told before a run begins."""

from typing import Any

import pytest

from maingate.plan.model import Plan
from maingate.services.runs.proof_notes import note_on_proof


def note(tasks: int, **plan: Any) -> str | None:
    """Return the note about a plan with one workstream of some patches and a step without one."""
    made = {f"t{number}": {"patch": "x"} for number in range(tasks)} | {"point": {"noop": True}}
    return note_on_proof(Plan.model_validate({"maingate": 1, "workstreams": {"w": {"tasks": made}}, **plan}))


def test_commits_that_are_made_anew_are_told() -> None:
    """With the workstream and the way out."""
    said = note(2, proof="commit", landing="rebase")
    assert said is not None
    assert "several commits of w each" in said
    assert "`landing: merge`" in said


@pytest.mark.parametrize(
    ("tasks", "proof", "landing"),
    [(1, "commit", "rebase"), (2, "commit", "merge"), (2, "commit", "squash"), (2, "ref", "rebase")],
)
def test_nothing_is_said_where_the_proof_reaches_all(tasks: int, proof: str, landing: str) -> None:
    """A single commit is the position itself, and merged ones land as they were tested."""
    assert note(tasks, proof=proof, landing=landing) is None
