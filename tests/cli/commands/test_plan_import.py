"""``maingate plan import`` of other tools' lists and predictions, as a person and as a program call it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from maingate.cli.commands.plan import app
from maingate.errors import PlanError, UsageError
from support.factories import GitRepo
from support.imported import sound_plan

Plan = Callable[..., Result]
PATCH = "--- a/a\n+++ b/a\n@@ -1 +1 @@\n-1\n+2\n"


@pytest.fixture
def plan(repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Give a function that runs ``maingate plan …`` in a repository with files of every format."""
    repo.commit({"a": "1\n"}, "base")
    repo.write(
        {
            "tasks.json": json.dumps(
                {"x": {"tasks": [{"id": 1, "title": "one"}, {"id": 2, "status": "done"}]}}
            ),
            "issues.jsonl": '{"id": "b-1", "title": "one"}\n',
            "prd.json": '{"userStories": [{"id": "US-1", "title": "one"}]}',
            "tasks.md": "- [ ] T001 one\n",
            "preds.jsonl": json.dumps({"instance_id": "i-1", "model_patch": PATCH}) + "\n",
            "instances.json": json.dumps(
                [{"instance_id": "i-1", "base_commit": repo.head(), "FAIL_TO_PASS": ["t"]}]
            ),
            "run.json": json.dumps(
                {"run_id": "r", "workstreams": [{"name": "i-1", "title": "i-1", "state": "completed"}]}
            ),
        }
    )
    monkeypatch.chdir(repo.path)

    def run(*args: str) -> Result:
        return CliRunner().invoke(app, ["import", *args], catch_exceptions=False)

    return run


@pytest.mark.parametrize(
    ("args", "name"),
    [
        (("taskmaster", "tasks.json", "--tag", "x"), "1"),
        (("beads", "issues.jsonl"), "b-1-one"),
        (("prd", "prd.json"), "us-1-one"),
        (("markdown", "tasks.md"), "tasks"),
    ],
)
def test_lists_become_plans(plan: Plan, args: tuple[str, ...], name: str) -> None:
    """Each format has its command, with the tool, the gates and the rest as asked for."""
    told = plan(
        *(*args, "-o", "new/p.yaml", "--tool", "codex", "--gate", "unit=true", "--name", "n"),
        *("--target", "dev", "--overlap", "allow", "--landing", "squash"),
    )
    assert told.stdout.splitlines()[0] == "wrote new/p.yaml: 1 workstream, 1 task"
    assert told.stdout.splitlines()[-1] == "next: maingate plan check new/p.yaml"
    made = sound_plan(Path("new/p.yaml"))
    assert (made.name, made.target, list(made.workstreams)) == ("n", "dev", [name])
    assert (made.overlap, made.landing) == ("allow", "squash")
    assert made.tools["codex"].preset == "codex"
    assert made.gates["unit"].run == "true"


@pytest.mark.parametrize(
    "args",
    [
        ("taskmaster", "tasks.json", "--tag", "x"),
        ("beads", "issues.jsonl"),
        ("prd", "prd.json"),
        ("markdown", "tasks.md"),
        ("swebench", "preds.jsonl"),
        ("series", "."),
    ],
)
def test_a_plan_on_json_is_json(plan: Plan, args: tuple[str, ...]) -> None:
    """Every importer writes what ``plan check`` reads under that name."""
    Path("one.patch").write_text(PATCH)
    plan(*args, "-o", "new.json")
    assert json.loads(Path("new.json").read_text())["maingate"] == 1
    assert sound_plan(Path("new.json")).workstreams


def test_what_was_left_out_and_what_to_know_is_told(plan: Plan) -> None:
    """People get it as lines, programs as one object."""
    told = plan("taskmaster", "tasks.json", "-o", "a.yaml").stdout.splitlines()
    assert told[1] == "  left out: 2 (done)"
    assert told[2].startswith("  note: the plan has no gates")
    told = json.loads(plan("taskmaster", "tasks.json", "-o", "b.yaml", "--json").stdout)
    assert (told["file"], told["patches"], told["skipped"]) == ("b.yaml", None, ["2 (done)"])


def test_predictions_become_plans_and_runs_their_results(plan: Plan) -> None:
    """Alone one plan; with instances one each; with results the result JSON."""
    assert plan("swebench", "preds.jsonl").stdout.splitlines()[0] == "wrote plan.yaml: 1 plan"
    told = plan("swebench", "preds.jsonl", "--instances", "instances.json", "--test-command", "true {tests}")
    assert told.stdout.splitlines()[-1] == "next: maingate plan check swebench/i-1.yaml"
    assert sound_plan(Path("swebench/i-1.yaml")).gates["fail-to-pass"].run == "true t"
    told = plan("swebench", "--results", "run.json")
    assert told.stdout.splitlines() == ["wrote results.json: 1 of 1 resolved"]
    told = plan("swebench", "preds.jsonl", "--results", "run.json", "-o", "r.json", "--json")
    assert json.loads(told.stdout) == json.loads(Path("r.json").read_text())
    assert json.loads(told.stdout)["resolved_ids"] == ["i-1"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("prd", "prd.json", "--tool", "magic"), "invalid --tool 'magic'"),
        (("prd", "prd.json", "--tool", "bad name=true"), "would be invalid"),
        (
            ("prd", "prd.json", "--landing", "fast"),
            "invalid --landing 'fast': choose merge, squash or rebase",
        ),
        (("prd", "prd.json", "--overlap", "maybe"), "invalid --overlap 'maybe': choose serial or allow"),
        (("prd", "prd.json", "--gate", "unit"), "invalid --gate 'unit': write NAME=COMMAND"),
        (("prd", "none.json"), "none.json cannot be read: no such file or directory"),
        (("prd", "."), "cannot be read: is a directory"),
        (("swebench",), "no source: name predictions to import"),
        (("swebench", "preds.jsonl", "--instances", "instances.json", "--target", "x"), "leave out --target"),
        (("swebench", "preds.jsonl", "--gate", "no name=true"), "would be invalid"),
        (("swebench", "preds.jsonl", "--target", "bad..ref"), "'bad..ref' cannot be the name of a branch"),
        (("prd", "prd.json", "--target", "bad..ref"), "'bad..ref' cannot be the name of a branch"),
        (("swebench", "preds.jsonl", "--repo", "/"), "/ is not in a git repository"),
        (("swebench", "preds.jsonl", "--repo", "https://example.org/r"), "is not a folder"),
    ],
)
def test_wrong_options_are_told(plan: Plan, args: tuple[str, ...], said: str) -> None:
    """Each says what to give instead, and nothing is written."""
    with pytest.raises(UsageError) as refused:
        plan(*args)
    assert said in str(refused.value)
    assert not Path("plan.yaml").exists()


def test_problems_are_one_error_for_the_edge_to_tell(plan: Plan, repo: GitRepo) -> None:
    """All of them, with their lines."""
    repo.write({"prd.json": '{"userStories": [\n{"id": 1},\n{"id": 1, "title": 2}]}'})
    with pytest.raises(PlanError) as refused:
        plan("prd", "prd.json")
    assert [problem.line for problem in refused.value.problems] == [2, 3, 3]


@pytest.mark.parametrize(
    ("command", "file", "text"),
    [
        ("taskmaster", "tasks.json", '{"tasks": [\n{"id": 1, "title": "one", "dependencies": [7]}]}'),
        ("beads", "issues.jsonl", '\n{"id": "b", "title": "one", "dependencies": [null]}'),
        ("prd", "prd.json", '{"userStories": [\n{"id": 1, "title": "one", "dependencies": [7]}]}'),
        ("markdown", "tasks.md", "\n- [ ] T001 one (depends on T007)\n"),
    ],
)
def test_dead_ends_are_refused_on_request(
    command: str, file: str, text: str, plan: Plan, repo: GitRepo
) -> None:
    """Each list that can have dependencies on what it has not takes --strict."""
    repo.write({file: text})
    with pytest.raises(PlanError) as refused:
        plan(command, file, "--strict")
    assert [problem.line for problem in refused.value.problems] == [2]
    assert "--strict refuses them" in plan(command, file).stdout


def test_a_plan_names_its_target(plan: Plan, repo: GitRepo) -> None:
    """Wherever it is run, it lands on the branch that was meant; --target is another."""
    repo.git("branch", "feature")
    plan("beads", "issues.jsonl", "-o", "a.yaml")
    plan("beads", "issues.jsonl", "-o", "b.yaml", "--target", "feature")
    repo.write({"p.diff": PATCH})
    plan("series", "p.diff", "-o", "c.yaml")
    assert [sound_plan(Path(name)).target for name in ("a.yaml", "b.yaml", "c.yaml")] == [
        "main",
        "feature",
        "main",
    ]


def test_in_a_linked_work_tree_the_target_is_told(
    plan: Plan, repo: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the main work tree's branch."""
    repo.git("worktree", "add", "-q", "-b", "agent", str(tmp_path / "linked"))
    monkeypatch.chdir(tmp_path / "linked")
    source = repo.path / "issues.jsonl"
    told = json.loads(plan("beads", str(source), "-o", str(tmp_path / "a.yaml"), "--json").stdout)
    assert told["notes"][0] == "target: main, the branch of the main work tree; here agent is"
    assert sound_plan(tmp_path / "a.yaml").target == "main"
