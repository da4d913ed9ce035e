"""SWE-bench predictions as plans: every shape of file, one plan per instance, and what is wrong with them."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from maingate.errors import UsageError
from maingate.importers.swebench.options import SwebenchOptions
from maingate.importers.swebench.plans import ImportedPlans, import_swebench
from maingate.plan.loader import load_plan
from support.factories import GitRepo
from support.imported import problems_of

BASE = "a" * 40
MODEL = b"diff --git a/f.py b/f.py\n--- a/f.py\n+++ b/f.py\n@@ -1 +1 @@\n-x = 1\n+x = 2\n"
TESTS = b"diff --git a/test f.py b/test f.py\n--- a/test f.py\t\n+++ b/test f.py\t\n@@ -1 +1 @@\n-x\n+y\n"
BRACES = "an object in braces was expected"
NULL = "add it; null means that there is none"


def prediction(identifier: str, patch: object = MODEL.decode(), **fields: Any) -> dict[str, Any]:
    """Return a prediction."""
    return {"instance_id": identifier, "model_name_or_path": "m", "model_patch": patch, **fields}


def instance(identifier: str, **fields: Any) -> dict[str, Any]:
    """Return an instance."""
    return {
        "instance_id": identifier,
        "repo": "o/r",
        "base_commit": BASE,
        "test_patch": TESTS.decode(),
        "FAIL_TO_PASS": ["test f.py::test_x[a 'b']"],
        "PASS_TO_PASS": '["t.py::test_y"]',
        **fields,
    }


def lines(values: Sequence[object]) -> str:
    """Return JSON Lines."""
    return "".join(f"{json.dumps(value)}\n" for value in values)


class Files:
    """A folder with predictions and instances in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, data: object) -> Path:
        """Write a file; text is written as it is."""
        path = self.folder / name
        path.write_text(data if isinstance(data, str) else json.dumps(data, indent=1), encoding="utf-8")
        return path

    def run(self, predictions: object, instances: object = None, **options: Any) -> ImportedPlans:
        """Import."""
        source = self.write("preds.json", predictions)
        where = None if instances is None else self.write("instances.json", instances)
        out = self.folder / ("plan.yaml" if instances is None else "plans")
        return import_swebench(source, out=out, options=SwebenchOptions(instances=where, **options))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Give a folder for predictions."""
    return Files(tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        lines([prediction("o__r-1"), prediction("o__r-2", None)]),
        [prediction("o__r-1"), prediction("o__r-2", "")],
        {"o__r-1": prediction("o__r-1"), "o__r-2": {"model_patch": "\n", "model_name_or_path": "m"}},
        {"o__r-1": {"model_patch": MODEL.decode()}, "o__r-2": {"model_patch": None}},
    ],
)
def test_predictions_alone_are_one_plan(data: object, files: Files) -> None:
    """JSON Lines, a list or a mapping: each prediction is a workstream, empty ones are left out."""
    made = files.run(data, gates={"unit": "true"}, target="dev")
    loaded = load_plan(made.path)
    assert (loaded.plan.target, list(loaded.plan.workstreams)) == ("dev", ["o__r-1"])
    assert loaded.patch_path("o__r-1", "prediction").read_bytes() == MODEL
    assert loaded.plan.workstreams["o__r-1"].title == "o__r-1"
    assert made.skipped == ("o__r-2 (the prediction is empty)",)


def test_a_line_alone_is_a_prediction(files: Files) -> None:
    """A file of one line is read as what it is."""
    made = files.run(json.dumps(prediction("o__r-1")))
    assert list(load_plan(made.path).plan.workstreams) == ["o__r-1"]


def test_each_instance_is_a_plan_of_its_own(files: Files) -> None:
    """Tests first and judged by nothing; the prediction may not touch them and has to pass all."""
    given = [instance("o__r-1"), instance("o__r-2", base_commit="b" * 40), instance("o__r-3")]
    made = files.run(
        lines([prediction("o__r-1"), prediction("o__r-2"), prediction("o__r-3", "")]), lines(given)
    )
    assert [path.name for path in made.plans] == ["o__r-1.yaml", "o__r-2.yaml"]
    loaded = load_plan(made.plans[1])
    plan = loaded.plan
    assert (plan.name, plan.target) == ("o__r-2", "swebench/o__r-2")
    assert {name: gate.run for name, gate in plan.gates.items()} == {
        "fail-to-pass": "python -m pytest " + shlex.quote("test f.py::test_x[a 'b']"),
        "pass-to-pass": "python -m pytest t.py::test_y",
    }
    stream = plan.workstreams["o__r-2"]
    assert (stream.title, stream.task_order()) == ("o__r-2", ["tests", "prediction"])
    assert plan.task_gates("o__r-2", "tests") == []
    assert plan.task_gates("o__r-2", "prediction") == ["fail-to-pass", "pass-to-pass"]
    assert stream.tasks["prediction"].policy.forbid == ("/test f.py",)
    assert loaded.patch_path("o__r-2", "tests").read_bytes() == TESTS
    assert f"git branch swebench/o__r-2 {'b' * 40}" in made.plans[1].read_text()
    assert made.skipped == ("o__r-3 (the prediction is empty)",)


def test_many_tests_are_parted_into_gates(files: Files) -> None:
    """No command line is longer than the kernel takes; no test is lost."""
    tests = [f"tests/test_{number:05}.py::test_{'x' * 80}" for number in range(3000)]
    made = files.run([prediction("i")], [instance("i", PASS_TO_PASS=tests)])
    gates = load_plan(made.plans[0]).plan.gates
    commands = [str(gate.run) for name, gate in gates.items() if name.startswith("pass-to-pass-")]
    assert len(commands) > 1
    assert max(map(len, commands)) < 128 * 1024
    assert [test for command in commands for test in shlex.split(command)[3:]] == tests


def test_the_test_command_is_a_template(files: Files) -> None:
    """The ids go where the template says."""
    made = files.run([prediction("i")], [instance("i")], test_command="sh run {tests} --fast")
    assert load_plan(made.plans[0]).plan.gates["pass-to-pass"].run == "sh run t.py::test_y --fast"
    with pytest.raises(UsageError, match=r"has no \{tests\}, which is replaced"):
        files.run([prediction("i")], [instance("i")], test_command="pytest")


def test_only_one_repository_is_taken(files: Files) -> None:
    """Instances of others are passed over, and told."""
    given = [instance("a"), instance("b", repo="o/other")]
    made = files.run([prediction("a"), prediction("b")], given, only="o/r")
    assert [path.stem for path in made.plans] == ["a"]
    assert made.notes[0] == "predictions of other repositories, ignored: 1"


def test_of_several_models_one_is_named(files: Files) -> None:
    """Predictions of several models for one instance cannot be told apart otherwise."""
    data = [prediction("a"), prediction("a", model_name_or_path="n")]
    assert problems_of(lambda: files.run(data)) == [
        "preds.json: has predictions of several models (choose one with --model: 'm', 'n')"
    ]
    assert len(files.run(data, model="n").plans) == 1


def test_all_problems_of_both_files_are_told_at_once(files: Files) -> None:
    """Broken lines, wrong types, ids twice, unknown instances: each with file and line."""
    predictions = [
        json.dumps(prediction("a")),
        '{"instance_id": "b", "model_patch": 5, "model_name_or_path": "m"}',
        "{broken",
        '{"instance_id": "b", "model_name_or_path": "m"}',
        '{"model_patch": "", "model_name_or_path": "m"}',
    ]
    instances = [
        json.dumps(instance("a")),
        json.dumps(instance("c", base_commit="main", FAIL_TO_PASS="tests", PASS_TO_PASS=["-x"])),
        json.dumps(instance("d", base_commit="", FAIL_TO_PASS=[], PASS_TO_PASS="[]")),
        json.dumps(instance("a", test_patch=1, FAIL_TO_PASS=[1])),
    ]
    assert problems_of(lambda: files.run("\n".join(predictions), "\n".join(instances))) == [
        "instances.json:2: c: 'main' is not a commit id",
        "instances.json:2: c: 'FAIL_TO_PASS' is text, but not a JSON list of test ids",
        "instances.json:2: c: 'PASS_TO_PASS' has '-x', which is not a test id",
        "instances.json:3: d: 'base_commit' is empty (add it)",
        "instances.json:3: d: has no tests (name some in FAIL_TO_PASS or PASS_TO_PASS)",
        "instances.json:4: a: 'FAIL_TO_PASS' must be a list of text, not of the number 1",
        "instances.json:4: a: 'test_patch' must be text, not the number 1",
        "instances.json:4: the instance 'a' is there twice (first on line 1)",
        "preds.json:2: prediction of b: 'model_patch' must be text, not the number 5",
        f"preds.json:2: unknown instance 'b' in {files.folder / 'instances.json'} (known: a, c, d)",
        "preds.json:3: is not JSON: a key in double quotes was expected here",
        f"preds.json:4: prediction of b: 'model_patch' is missing ({NULL})",
        "preds.json:4: the prediction of 'b' is there twice (first on line 2)",
        f"preds.json:4: unknown instance 'b' in {files.folder / 'instances.json'} (known: a, c, d)",
        "preds.json:5: prediction 4: 'instance_id' is missing (add it)",
    ]
    assert sorted(path.name for path in files.folder.iterdir()) == ["instances.json", "preds.json"]


def test_several_models_hide_no_other_problem(files: Files) -> None:
    """Whose predictions to take is asked with all the rest; a field that is not there is nobody's name."""
    predictions = [
        json.dumps(prediction("a")),
        json.dumps(prediction("a", model_name_or_path="n")),
        '{"instance_id": "b", "model_patch": ""}',
        json.dumps(prediction("a", 5, model_name_or_path=7)),
        "5",
        "garbage",
        '{"model_patch": 5, "model_name_or_path": " "}',
    ]
    where = files.folder / "instances.json"
    assert problems_of(lambda: files.run("\n".join(predictions), lines([instance("a")]))) == [
        "preds.json: has predictions of several models (choose one with --model: 'm', 'n')",
        "preds.json:3: prediction of b: 'model_name_or_path' is missing (add it)",
        f"preds.json:3: unknown instance 'b' in {where} (known: a)",
        "preds.json:4: prediction of a: 'model_patch' must be text, not the number 5",
        "preds.json:4: prediction of a: 'model_name_or_path' must be text, not the number 7",
        f"preds.json:5: prediction 5 must be keys with values, not the number 5 ({BRACES})",
        "preds.json:6: is not JSON: a value was expected here",
        "preds.json:7: prediction 6: 'instance_id' is missing (add it)",
        "preds.json:7: prediction 6: 'model_patch' must be text, not the number 5",
        "preds.json:7: prediction 6: 'model_name_or_path' is empty (add it)",
    ]


def test_a_model_that_nobody_named_is_told_with_all_the_rest(files: Files) -> None:
    """With the one that may be meant."""
    data = [prediction("a", model_name_or_path="gpt-5"), prediction("b", 5, model_name_or_path="gpt-5")]
    assert problems_of(lambda: files.run(data, model="gpt-4")) == [
        "preds.json: has no predictions of 'gpt-4' (did you mean 'gpt-5'?)",
        "preds.json:10: prediction of b: 'model_patch' must be text, not the number 5",
    ]


@pytest.mark.parametrize(
    ("instances", "said"),
    [
        ("", ["instances.json: is empty"]),
        ("{", ["instances.json:1: is not JSON: a key in double quotes was expected here"]),
        ([], ["instances.json: has no instances"]),
        (
            [{"base_commit": "main"}],
            [
                "instances.json:2: instance 1: 'instance_id' is missing (add it)",
                "instances.json:2: instance 1: has no tests (name some in FAIL_TO_PASS or PASS_TO_PASS)",
                "instances.json:3: instance 1: 'main' is not a commit id",
            ],
        ),
    ],
)
def test_a_file_that_is_broken_hides_nothing_of_the_other(
    instances: object, said: list[str], files: Files
) -> None:
    """What is wrong with both is told; that no instance is there is told once."""
    predictions = [prediction("a", 5)]
    wrong = "preds.json:5: prediction of a: 'model_patch' must be text, not the number 5"
    assert problems_of(lambda: files.run(predictions, instances)) == [*said, wrong]
    assert problems_of(lambda: files.run("", instances)) == [*said, "preds.json: is empty"]


def test_instances_of_several_repositories_are_told_with_all_the_rest(files: Files, repo: GitRepo) -> None:
    """Plans for one repository cannot be those of others; who names none may be of any."""
    given = [instance("a"), instance("b", repo="o/other"), instance("c", repo="", FAIL_TO_PASS=[1])]
    predictions = [prediction("a"), prediction("b"), prediction("c")]
    several, wrong = problems_of(lambda: files.run(predictions, given, repo=repo.path))
    assert several == (
        "instances.json: has instances of several repositories (choose one with --only: o/r, o/other)"
    )
    assert "'FAIL_TO_PASS' must be a list of text, not of the number 1" in wrong


@pytest.mark.parametrize(
    ("predictions", "options", "said"),
    [
        ([], {}, "has no predictions"),
        ([prediction("a", "")], {}, "there is nothing to judge"),
        ({"a": prediction("b")}, {}, "'instance_id' is 'b', but its key is 'a'"),
        ([prediction("a")], {"model": "x"}, "has no predictions of 'x'"),
        ([prediction("a")], {"makes_branches": True}, "add --instances and --repo"),
        ({"a": prediction("a"), "b": 5}, {}, "prediction 2 must be keys with values, not the number 5"),
        ([prediction("a")], {"repo": Path("nowhere")}, "nowhere is not a folder"),
        ([prediction("a")], {"repo": Path("/")}, "/ is not in a git repository; name one with --repo"),
    ],
)
def test_what_cannot_be_imported_is_told(
    predictions: object, options: dict[str, Any], said: str, files: Files
) -> None:
    """Each with what to give instead; nothing is written."""
    with pytest.raises(UsageError, match=said):
        files.run(predictions, **options)
    assert not (files.folder / "plan.yaml").exists()


def test_nothing_is_written_over(files: Files) -> None:
    """A plan, a folder of patches or a folder of plans that is there stops the import."""
    files.run([prediction("a")])
    with pytest.raises(UsageError, match="already exists"):
        files.run([prediction("a")])
    (files.folder / "plan.yaml").unlink()
    with pytest.raises(UsageError, match=r"plan\.patches already exists"):
        files.run([prediction("a")])
    (files.folder / "plans").mkdir()
    with pytest.raises(UsageError, match="plans already exists"):
        files.run([prediction("a")], [instance("a")])


def test_branches_are_made_where_asked_for(files: Files, repo: GitRepo) -> None:
    """Each at its base; a base that is not there is told before anything is written."""
    base = repo.commit({"f.py": "x = 1\n"})
    repo.commit({"f.py": "x = 3\n"})
    given = [instance("a", base_commit=base[:10]), instance("b", base_commit=BASE)]
    options: dict[str, Any] = {"repo": repo.path, "makes_branches": True}
    problems = problems_of(lambda: files.run([prediction("a"), prediction("b")], given, **options))
    assert problems == [f"repo: b: the base commit {BASE} is missing: fetch it"]
    assert not (files.folder / "plans").exists()
    made = files.run([prediction("a")], given, **options)
    assert repo.head("refs/heads/swebench/a") == base
    assert load_plan(made.plans[0]).root == (files.folder / "plans" / ".." / "repo")
    assert made.notes == ("branches created: 1",)
