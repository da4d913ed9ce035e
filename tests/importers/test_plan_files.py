"""What an imported plan says besides its patches, and what it never writes over."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maingate.errors import UsageError
from maingate.importers.plan_files import slug
from maingate.importers.series.series import ImportedPlan
from maingate.plan.choices import LandingStyle
from maingate.plan.loader import load_plan
from maingate.plan.names import fault_of_name
from support.factories import GitRepo
from support.imported import tasks_of

Import = Callable[..., ImportedPlan]


@pytest.fixture
def five(repo: GitRepo) -> str:
    """Give the range of five commits."""
    for number in range(6):
        repo.commit({"a": f"{number}\n"}, f"change {number}")
    return "HEAD~5..HEAD"


def test_the_options_are_in_the_plan(five: str, do_import: Import) -> None:
    """Name, target, landing and gates are as asked for."""
    made = do_import(
        five,
        name="replay",
        target="dev",
        landing=LandingStyle.REBASE,
        gates={"unit": "true", "lint": "true -x"},
    )
    plan = load_plan(made.path).plan
    assert (plan.name, plan.target, plan.landing) == ("replay", "dev", LandingStyle.REBASE)
    assert {name: gate.run for name, gate in plan.gates.items()} == {"unit": "true", "lint": "true -x"}


def test_a_plan_on_json_is_json(five: str, do_import: Import, repo: GitRepo) -> None:
    """It loads as what its name says; what would be a comment is a note."""
    made = do_import(five, out="plan.json", gates={"g": "true"})
    assert json.loads(made.path.read_text())["gates"] == {"g": {"run": "true"}}
    assert len(tasks_of(made)) == 5
    assert f"last: {repo.head()}" in made.notes


def test_gates_may_run_on_the_last_tasks_only(five: str, do_import: Import) -> None:
    """The tasks before the last N run no gates; the merged result is gated all the same."""
    plan = load_plan(do_import(five, gates={"g": "true"}, gate_last=2).path).plan
    assert [plan.task_gates("series", task) for task in plan.workstreams["series"].tasks] == [
        [],
        [],
        [],
        ["g"],
        ["g"],
    ]
    assert plan.landing_gates("series") == ["g"]


def test_a_series_may_be_parted_into_workstreams(five: str, do_import: Import) -> None:
    """Each workstream needs the one before, and one without gated tasks has no gates at all."""
    made = do_import(five, gates={"g": "true"}, gate_last=2, workstream_size=2)
    plan = load_plan(made.path).plan
    assert made.workstreams == 3
    assert {name: (list(part.needs), len(part.tasks)) for name, part in plan.workstreams.items()} == {
        "part-1": ([], 2),
        "part-2": (["part-1"], 2),
        "part-3": (["part-2"], 1),
    }
    assert [plan.landing_gates(name) for name in plan.workstream_order()] == [[], ["g"], ["g"]]


def test_nothing_is_written_over(five: str, do_import: Import) -> None:
    """A plan or a folder of patches that is there stops the import before anything is written."""
    made = do_import(five)
    before = made.path.read_bytes()
    with pytest.raises(UsageError, match="already exists and is not overwritten"):
        do_import(five)
    made.path.unlink()
    with pytest.raises(UsageError, match=r"plan\.patches already exists"):
        do_import(five)
    assert not made.path.exists()
    assert before


def test_a_refused_import_leaves_nothing_behind(five: str, do_import: Import, tmp_path: Path) -> None:
    """When the import fails half-way, neither plan nor patches are there."""
    with pytest.raises(UsageError, match="would be invalid"):
        do_import(five, gates={"no name": "true"})
    with pytest.raises(UsageError, match="no patches to import"):
        do_import("HEAD..HEAD")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"workstream_size": 0}, "--workstream-size must be at least 1"),
        ({"gate_last": -1, "gates": {"g": "true"}}, "--gate-last must be at least 0"),
        ({"gate_last": 2}, "add --gate NAME=COMMAND"),
    ],
)
def test_options_that_make_no_sense_are_told(
    five: str, do_import: Import, options: dict[str, object], said: str
) -> None:
    """Each wrong option says what to give instead."""
    with pytest.raises(UsageError, match=said):
        do_import(five, **options)


def test_tasks_are_named_by_number_and_subject(repo: GitRepo, do_import: Import) -> None:
    """Equal subjects and subjects without letters still give names of their own."""
    repo.commit({"a": "0"})
    for number, subject in enumerate(
        ("Same: thing", "Same: thing", "日本", "../../etc/passwd.lock", "x" * 200), start=1
    ):
        repo.commit({"a": str(number)}, subject)
    names = [name for name, _ in tasks_of(do_import("HEAD~5..HEAD"))]
    assert names == ["0001-same-thing", "0002-same-thing", "0003", "0004-etc-passwd-lock", f"0005-{'x' * 48}"]


@given(st.text())
def test_every_slug_can_be_a_part_of_a_name(text: str) -> None:
    """Whatever a subject says, its slug fits into a name."""
    assert fault_of_name(f"0001-{slug(text)}".rstrip("-")) is None
