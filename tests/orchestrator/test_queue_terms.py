"""The terms of two runs: equal where each would be proved and landed the same, else the parts that differ."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from maingate.git.repository import Repository
from maingate.orchestrator.queue_terms import QueueTerms
from maingate.orchestrator.shell.job_maker import JobMaker
from maingate.plan.model import Plan
from maingate.settings import Settings
from maingate.state.landing_terms import LandingTerms, TermsDifference, TermsPart
from support.factories import GitRepo

PLAN: Mapping[str, Any] = {
    "maingate": 1,
    "gates": {"unit": {"run": "true"}, "lint": {"run": "true", "needs": ["unit"]}},
    "workstreams": {"w": {"tasks": {"t": {"noop": True}}}},
}
ENVIRONMENT = {"PATH": os.environ["PATH"], "LANG": "C"}


@pytest.fixture
def repository(repo: GitRepo) -> Iterator[Repository]:
    """Give a repository with a commit."""
    repo.commit({"a": "1"})
    with Repository.open(repo.path) as opened:
        yield opened


def terms(
    repository: Repository,
    plan: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> QueueTerms:
    """Return the terms of a run."""
    made = Plan.model_validate({**PLAN, **(plan or {})})
    chosen = Settings.model_validate(settings or {})
    versions: Mapping[str, list[str]] = {name: [] for name in made.gates}
    jobs = JobMaker(
        made, chosen, repository, {**ENVIRONMENT, **(environment or {})}, environ={}, versions=versions
    )
    return QueueTerms(made, chosen, jobs.keys)


def gates(**changed: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan whose gates are others."""
    return {"gates": {**PLAN["gates"], **changed}}


ALIKE = ["lint", "unit"]


def difference(part: TermsPart, gate: str | None = None) -> TermsDifference:
    """Return a difference."""
    return TermsDifference(part=part, gate=gate)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({}, []),
        ({"plan": gates(more={"run": "true"})}, []),
        ({"plan": gates(unit={"run": "false"})}, [difference(TermsPart.GATE, "unit")]),
        ({"plan": {"gates": {"unit": {"run": "true"}}}}, [difference(TermsPart.MISSING_GATE, "lint")]),
        (
            {"environment": {"LANG": "de_DE.UTF-8"}},
            [difference(TermsPart.SURROUNDINGS, "lint"), difference(TermsPart.SURROUNDINGS, "unit")],
        ),
        (
            {"plan": {"prepare": ["true"], "proof": "commit"}},
            [
                difference(TermsPart.PROOF),
                difference(TermsPart.SURROUNDINGS, "lint"),
                difference(TermsPart.SURROUNDINGS, "unit"),
            ],
        ),
        ({"settings": {"policy": {"max_files": 3}}}, [difference(TermsPart.POLICY)]),
        ({"settings": {"sign": "required"}}, [difference(TermsPart.SIGN)]),
        ({"settings": {"committer": "Ada <ada@example.org>"}}, [difference(TermsPart.COMMITTER)]),
    ],
)
def test_each_part_in_which_runs_differ_is_named(
    repository: Repository, other: dict[str, Any], expected: list[TermsDifference]
) -> None:
    """A gate that only the holder has changes nothing for the workstreams of the other run."""
    kept = terms(repository).of(ALIKE).as_text()
    assert list(terms(repository, **other).unlike(kept, ALIKE)) == expected
    assert [TermsDifference.from_json(each.as_json()) for each in expected] == expected


def test_gates_that_a_workstream_need_not_pass_do_not_count(repository: Repository) -> None:
    """Only those that it is to be proved by."""
    kept = terms(repository).of(["unit"]).as_text()
    other = terms(repository, gates(lint={"run": "false"}))
    assert list(other.unlike(kept, ["unit"])) == []


@pytest.mark.parametrize(
    "kept", ["", "5f" * 32, "12", "null", "[]", '{"ground": {}}', '{"ground": {"new": "a"}, "gates": {}}']
)
def test_terms_of_another_version_are_not_alike(repository: Repository, kept: str) -> None:
    """A row that an older or a newer program wrote is landed by its own process."""
    assert LandingTerms.from_text(kept) is None
    assert list(terms(repository).unlike(kept, ALIKE)) == [difference(TermsPart.PROGRAM)]


def test_each_difference_is_a_sentence_with_its_gate() -> None:
    """No part is without words, and none says what a value is: settings may be secret."""
    said = {part: difference(part, "unit").sentence for part in TermsPart}
    assert len(set(said.values())) == len(TermsPart)
    of_gates = {TermsPart.GATE, TermsPart.SURROUNDINGS, TermsPart.MISSING_GATE}
    assert {part for part, sentence in said.items() if "unit" in sentence} == of_gates
