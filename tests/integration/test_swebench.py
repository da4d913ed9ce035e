"""SWE-bench end to end: import real git, real runs of the plans, and the result JSON of their reports."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from maingate.bootstrap import Maingate
from maingate.errors import PlanError, UsageError
from maingate.importers.swebench.options import SwebenchOptions
from maingate.importers.swebench.plans import import_swebench
from maingate.importers.swebench.results import write_results
from maingate.plan.loader import load_plan
from support.factories import GitRepo

_PYTEST = f"PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 {sys.executable} -m pytest"
"""Without the plugins of this environment, whose imports are most of its time."""
TEST = "def test_old():\n    import calc\n    assert calc.one() == 1\n"
NEW_TEST = TEST + "\n\ndef test_new():\n    import calc\n    assert calc.two() == 2\n"
RIGHT = "def one():\n    return 1\n\n\ndef two():\n    return 2\n"
WRONG = "def one():\n    return 1\n\n\ndef two():\n    return 3\n"


def _run(plan: Path) -> Any:
    loaded = load_plan(plan)
    with Maingate.for_plan(loaded) as maingate:
        run_id = maingate.admission.admit(loaded)
        maingate.execution.execute(run_id, workers=2)
        return maingate.report(run_id)


@pytest.fixture
def world(repo: GitRepo, tmp_path: Path) -> tuple[GitRepo, Path, Path]:
    """Give a repository, and files of predictions and instances for it."""
    base = repo.commit({"calc.py": "def one():\n    return 1\n", "test_calc.py": TEST})
    tests = repo.diff_of({"test_calc.py": NEW_TEST}).decode()
    patches = {
        "resolved": repo.diff_of({"calc.py": RIGHT}).decode(),
        "wrong": repo.diff_of({"calc.py": WRONG}).decode(),
        "cheat": repo.diff_of({"test_calc.py": TEST + "# nothing to see\n"}).decode(),
        "broken": "--- a/none.py\n+++ b/none.py\n@@ -1 +1 @@\n-a\n+b\n",
        "empty": None,
    }
    predictions, instances = tmp_path / "preds.jsonl", tmp_path / "instances.jsonl"
    predictions.write_text(
        "".join(
            json.dumps({"instance_id": name, "model_patch": patch, "model_name_or_path": "m"}) + "\n"
            for name, patch in patches.items()
        )
    )
    instances.write_text(
        "".join(
            json.dumps(
                {
                    "instance_id": name,
                    "repo": "o/r",
                    "base_commit": base,
                    "test_patch": tests,
                    "FAIL_TO_PASS": ["test_calc.py::test_new"],
                    "PASS_TO_PASS": '["test_calc.py::test_old"]',
                }
            )
            + "\n"
            for name in [*patches, "never-tried"]
        )
    )
    return repo, predictions, instances


def test_predictions_are_judged_by_the_instances_tests(
    world: tuple[GitRepo, Path, Path], tmp_path: Path
) -> None:
    """What passes is resolved; what fails, cheats, does not apply or is empty is told apart."""
    repo, predictions, instances = world
    made = import_swebench(
        predictions,
        out=tmp_path / "plans",
        options=SwebenchOptions(
            instances=instances,
            repo=repo.path,
            makes_branches=True,
            test_command=f"{_PYTEST} -q -p no:cacheprovider {{tests}}",
        ),
    )
    reports = tmp_path / "reports"
    reports.mkdir()
    for plan in made.plans:
        report = _run(plan)
        (reports / f"{plan.stem}.json").write_text(json.dumps(report))
    result = write_results(
        [reports], out=tmp_path / "results.json", predictions=predictions, instances=instances
    )
    assert json.loads((tmp_path / "results.json").read_text()) == result
    assert {name: one["status"] for name, one in result["instances"].items()} == {
        "resolved": "resolved",
        "wrong": "unresolved",
        "cheat": "unresolved",
        "broken": "error",
        "empty": "empty",
    }
    codes = {name: one["reason"]["code"] for name, one in result["instances"].items() if one["reason"]}
    assert codes["cheat"] == "policy_violation"
    assert (result["total_instances"], result["submitted_instances"]) == (6, 5)
    assert (result["resolved_ids"], result["unresolved_ids"]) == (["resolved"], ["cheat", "wrong"])
    assert (result["empty_patch_ids"], result["error_ids"]) == (["empty"], ["broken"])
    assert result["completed_ids"] == ["cheat", "resolved", "wrong"]
    assert result["incomplete_ids"] == ["never-tried"]
    assert repo.git("show", "swebench/resolved:calc.py") + "\n" == RIGHT
    assert repo.git("show", "swebench/resolved:test_calc.py") + "\n" == NEW_TEST
    assert repo.head("swebench/wrong") == repo.head("main")


def _report(state: str, code: str | None = None, title: str | None = "i-1") -> dict[str, Any]:
    reason = None if code is None else {"code": code, "message": "why", "detail": {}}
    return {
        "run_id": "run_1",
        "workstreams": [{"name": "w", "title": title, "state": state, "reason": None}],
        "tasks": [
            {"name": "w/tests", "reason": None, "patch": None},
            {"name": "w/prediction", "reason": None, "patch": {"state": "quarantined", "reason": reason}},
        ],
    }


@pytest.mark.parametrize(
    ("report", "status"),
    [
        (_report("completed"), "resolved"),
        (_report("failed", "gate_failed"), "unresolved"),
        (_report("failed", "base_red"), "unresolved"),
        (_report("failed", "scope_violation"), "unresolved"),
        (_report("failed", "gate_timeout"), "error"),
        (_report("failed", "conflict"), "error"),
        (_report("failed", "worker_lost"), "error"),
        (_report("failed", "empty_patch"), "empty"),
        (_report("failed"), "error"),
        (_report("executing"), "incomplete"),
    ],
)
def test_every_end_has_a_status(report: dict[str, Any], status: str, tmp_path: Path) -> None:
    """Judged, not to be judged, nothing to judge, not judged yet."""
    (tmp_path / "run.json").write_text(json.dumps(report))
    result = write_results([tmp_path / "run.json"], out=None)
    assert result["instances"]["i-1"]["status"] == status


def test_what_is_no_report_is_told(tmp_path: Path) -> None:
    """Other JSON, wrong types, broken JSON and empty folders; all problems at once, nothing is written."""
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "b.json").write_text('{"run_id": "r", "workstreams": [{"name": 5}, 1]}')
    (tmp_path / "c.json").write_text("{")
    with pytest.raises(PlanError) as refused:
        write_results([tmp_path], out=tmp_path / "out" / "results.json")
    assert [(Path(one.file).name, one.message) for one in refused.value.problems] == [
        ("a.json", "the report: this is not a report of a run"),
        ("b.json", "a workstream: 'name' must be text, not the number 5"),
        ("b.json", "a workstream must be keys with values, not the number 1"),
        ("c.json", "is not JSON: a key in double quotes was expected here"),
    ]
    assert not (tmp_path / "out").exists()
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match=r"has no \*\.json files"):
        write_results([tmp_path / "none"], out=None)
