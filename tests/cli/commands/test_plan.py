"""``maingate plan``: check, schema and import, as a person and as a program call them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from maingate.cli.commands.plan import app
from maingate.cli.commands.run import _in_bounds
from maingate.errors import PlanError, UsageError
from maingate.plan.loader import load_plan
from maingate.settings.model import MOST_WORKERS
from support.factories import GitRepo

Plan = Callable[..., Result]


@pytest.fixture
def plan(repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Give a function that runs ``maingate plan …`` in a repository; errors go on to the caller."""
    repo.commit({"a": "1\n"}, "base")
    monkeypatch.chdir(repo.path)

    def run(*args: str) -> Result:
        return CliRunner().invoke(app, args, catch_exceptions=False)

    return run


GOOD = """\
maingate: 1
name: two steps
target: dev
gates: {lint: {run: "true", on: [task]}, unit: {run: "true", needs: [lint]}}
workstreams:
  second: {needs: [first], tasks: {c: {patch: a.patch}}}
  first: {gates: [], tasks: {b: {patch: a.patch, needs: [a]}, a: {patch: a.patch, gates: []}}}
"""


def write(repo: GitRepo, text: str) -> None:
    """Write plan.yaml and the patch it mentions."""
    repo.write({"plan.yaml": text, "a.patch": "x"})


def test_check_tells_of_a_gate_that_never_runs(plan: Plan, repo: GitRepo) -> None:
    """A gate on nothing that nothing lists is told of; one that another needs does run."""
    write(repo, GOOD.replace("{lint:", '{idle: {run: "true", on: []}, lint:'))
    last = plan("check", "plan.yaml").stdout.splitlines()[-1]
    assert last == "  idle will never run: they are `on` nothing, and no workstream or task lists them"
    write(repo, GOOD.replace("on: [task]", "on: []"))
    assert "never run" not in plan("check", "plan.yaml").stdout


def test_check_tells_what_a_plan_will_do(plan: Plan, repo: GitRepo) -> None:
    """A plan in order is summed up: how much, where to, in which order, with which gates."""
    write(repo, GOOD)
    assert plan("check", "plan.yaml").stdout.splitlines() == [
        "ok: plan.yaml: two steps",
        "  2 workstreams, 3 tasks, 2 gates, 0 tools; lands on dev (merge)",
        "  1. first: 2 tasks; gates to land: none",
        "  2. second: 1 task, after first; gates to land: lint, unit",
    ]


def test_check_as_json_has_the_order_and_the_gates(plan: Plan, repo: GitRepo) -> None:
    """Programs get the same as one object: workstreams and tasks in order, each with its gates."""
    write(repo, GOOD)
    told: dict[str, Any] = json.loads(plan("check", "plan.yaml", "--json").stdout)
    assert (told["ok"], told["problems"], told["plan"]["target"]) == (True, [], "dev")
    assert told["plan"]["workstreams"] == [
        {
            "name": "first",
            "needs": [],
            "gates": [],
            "tasks": [
                {"name": "a", "kind": "patch", "gates": []},
                {"name": "b", "kind": "patch", "gates": ["lint", "unit"]},
            ],
        },
        {
            "name": "second",
            "needs": ["first"],
            "gates": ["lint", "unit"],
            "tasks": [{"name": "c", "kind": "patch", "gates": ["lint", "unit"]}],
        },
    ]


def test_check_tells_which_tasks_will_not_work_side_by_side(plan: Plan, repo: GitRepo) -> None:
    """Those whose scopes overlap, unless one needs the other."""
    (repo.path / "plan.yaml").write_text(
        """\
maingate: 1
tools: {x: {run: [x, "{prompt}"]}}
workstreams:
  w:
    tasks:
      a: {tool: x, prompt: p, scope: ["src/**"]}
      b: {tool: x, prompt: p, scope: ["src/b/**"]}
      c: {tool: x, prompt: p, scope: ["/docs/**"]}
      d: {tool: x, prompt: p, scope: ["/docs/d"], needs: [c]}
"""
    )
    said = plan("check", "plan.yaml").output
    assert "one after the other, as their scopes overlap" in said
    assert [line.strip() for line in said.splitlines() if " and " in line] == ["w/a and w/b"]
    assert json.loads(plan("check", "plan.yaml", "--json").output)["plan"]["serial"] == [["w/a", "w/b"]]


def test_check_refuses_with_all_problems(plan: Plan, repo: GitRepo) -> None:
    """Problems are one error for the outermost edge to tell; as JSON they are listed with exit code 2."""
    write(repo, "maingate: 1\nnaem: x\nworkstreams: {w: {tasks: {t: {patch: none}}}}\n")
    with pytest.raises(PlanError) as refused:
        plan("check", "plan.yaml")
    assert len(refused.value.problems) == 2
    told = plan("check", "plan.yaml", "--json")
    assert told.exit_code == 2
    assert json.loads(told.stdout) == {
        "ok": False,
        "file": "plan.yaml",
        "problems": [
            {"file": "plan.yaml", "line": 2, "message": "unknown key 'naem'", "hint": "did you mean 'name'?"},
            {
                "file": "plan.yaml",
                "line": 3,
                "message": "workstreams.w.tasks.t: the file 'none' does not exist",
                "hint": f"paths are relative to the plan: {repo.path / 'none'} was looked for",
            },
        ],
    }


@pytest.mark.parametrize("workers", ["0", str(MOST_WORKERS + 1), "1" + "0" * 23])
def test_the_flag_for_workers_has_the_bounds_of_the_setting(workers: str) -> None:
    """A number that the settings would refuse is refused on the command line before the plan is read."""
    with pytest.raises(
        typer.BadParameter, match=f"invalid --workers {workers}: choose a number from 1 to {MOST_WORKERS}"
    ):
        _in_bounds(int(workers))


def test_schema_is_json(plan: Plan) -> None:
    """The schema is one JSON document that names its dialect."""
    assert json.loads(plan("schema").stdout)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert plan("schema", "--json").stdout == plan("schema").stdout


def test_import_writes_a_plan_that_is_in_order(plan: Plan, repo: GitRepo) -> None:
    """A range becomes a plan with its gates, and what was left out is told."""
    repo.commit({"a": "2\n"}, "two")
    repo.commit({}, "nothing")
    repo.commit({"a": "3\n"}, "three")
    told = plan(
        *("import", "series", "HEAD~3..HEAD", "-o", "replay.yaml", "--name", "replay", "--landing", "rebase"),
        *("--gate", "unit=test -e a", "--gate", "lint=true", "--gate-last", "1", "--workstream-size", "1"),
    )
    assert told.stdout.splitlines() == [
        "wrote replay.yaml: 2 workstreams, 2 tasks",
        f"  left out (no changes): {repo.head('HEAD~1')}: nothing",
        "next: maingate plan check replay.yaml",
    ]
    made = load_plan(repo.path / "replay.yaml").plan
    assert [made.task_gates(name, next(iter(made.workstreams[name].tasks))) for name in made.workstreams] == [
        [],
        ["unit", "lint"],
    ]


def test_import_as_json_tells_the_same(plan: Plan, repo: GitRepo) -> None:
    """Programs get what was written and what was left out."""
    repo.commit({"a": "2\n"}, "two")
    assert json.loads(plan("import", "series", "HEAD~1..HEAD", "--json").stdout) == {
        "file": "plan.yaml",
        "patches": "plan.patches",
        "tasks": 1,
        "workstreams": 1,
        "skipped": [],
        "notes": [],
    }


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--gate", "unit"), "invalid --gate 'unit': write NAME=COMMAND"),
        (("--gate", "=true"), "invalid --gate '=true': write NAME=COMMAND"),
        (("--gate", "a=true", "--gate", "a=false"), "--gate 'a' is given twice"),
        (("--landing", "fast"), "invalid --landing 'fast': choose merge, squash or rebase"),
        (("--repo", "nowhere"), "nowhere is not a folder"),
    ],
)
def test_import_refuses_wrong_options(plan: Plan, args: tuple[str, ...], said: str) -> None:
    """Each wrong option says what to give instead, and nothing is written."""
    with pytest.raises(UsageError, match=said):
        plan("import", "series", "HEAD~0..HEAD", *args)
    assert not Path("plan.yaml").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("notes.txt",), "no diff found in notes.txt"),
        (("main...feature",), "use two dots: main..feature"),
        (("a..b", "--repo", ".."), "is not in a git repository; name the range's repository: --repo"),
    ],
)
def test_import_refuses_what_is_no_series(
    plan: Plan, repo: GitRepo, args: tuple[str, ...], said: str
) -> None:
    """What has no patches in it is told with what to give instead, and nothing is written."""
    repo.write({"notes.txt": "Nothing but words.\n"})
    with pytest.raises(UsageError) as refused:
        plan("import", "series", *args)
    assert said in str(refused.value)
    assert not Path("plan.yaml").exists()


def test_simulate_shows_both_orders_and_names_what_is_assumed(plan: Plan, repo: GitRepo) -> None:
    """The present order is beside the train's, and no figure passes for a measured one."""
    write(repo, GOOD)
    said = plan("simulate", "plan.yaml", "-w", "2", "--failure-rate", "0").stdout
    lines = [line.rstrip() for line in said.splitlines()]
    assert lines[:8] == [
        "simulated, nothing ran: plan.yaml: 2 workstreams, 3 tasks",
        "  no record of gate lint yet: 60 s assumed",
        "  no record of gate unit yet: 60 s assumed",
        "  failures: 0.0% of workstreams (--failure-rate)",
        "  critical path: 6m00s: first → second",
        "  work: 6m00s; at once 1.0, at most 1",
        "",
        "workers  one at a time  gate runs  time with the train  gate runs",
    ]
    assert lines[8].split() == ["2", "6m00s", "6", "6m00s", "6"]
    assert "Runs use the train, which proves several workstreams together" in said


def test_simulate_as_json_is_the_same_object(plan: Plan, repo: GitRepo) -> None:
    """Programs get the numbers of each order by number of workers."""
    write(repo, GOOD)
    told = json.loads(plan("simulate", "plan.yaml", "-w", "2", "-w", "1", "--json").stdout)
    assert [(each["workers"], each["order"]) for each in told["estimates"]] == [
        (workers, order) for workers in (1, 2) for order in ("one_at_a_time", "train")
    ]
    assert told["failure_rate"] == {"rate": 0.05, "source": "assumed", "failed": 0, "ended": 0}


def test_simulate_refuses_a_plan_with_problems_and_rates_that_are_none(plan: Plan, repo: GitRepo) -> None:
    """As `check` does, and before anything is read."""
    write(repo, "maingate: 1\nnaem: x\nworkstreams: {w: {tasks: {t: {patch: a.patch}}}}\n")
    with pytest.raises(PlanError):
        plan("simulate", "plan.yaml")
    assert plan("simulate", "plan.yaml", "--failure-rate", "1.5").exit_code == 2
    assert plan("simulate", "plan.yaml", "-w", "0").exit_code == 2


UNTESTED = "maingate: 1\nworkstreams: {w: {tasks: {a: {patch: a.patch}}}}\n"
PATCH = "--- a/a\n+++ b/a\n@@ -1 +1 @@\n-1\n+2\n"


def test_a_plan_without_gates_says_so_loudly(plan: Plan, repo: GitRepo) -> None:
    """On standard error, unless it is meant; programs have it among the notes."""
    repo.write({"plan.yaml": UNTESTED, "a.patch": PATCH})
    assert plan("check", "plan.yaml").stderr.startswith("warning: NO GATES: nothing of this plan is tested")
    assert plan("check", "plan.yaml", "--no-gate").stderr == ""
    summary = json.loads(plan("check", "plan.yaml", "--json").stdout)["plan"]
    assert summary["notes"][0].startswith("NO GATES")
    repo.write({"plan.yaml": f'{UNTESTED}gates: {{g: {{run: "true"}}}}\n'})
    assert "NO GATES" not in plan("check", "plan.yaml").output
    repo.write({"plan.yaml": 'maingate: 1\nworkstreams: {w: {tasks: {a: {command: "true"}}}}\n'})
    assert "NO GATES" not in plan("check", "plan.yaml").output


def test_the_branch_of_a_linked_work_tree_is_told(
    plan: Plan, repo: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan that names no target lands on it, which an agent's plan seldom means."""
    repo.git("worktree", "add", "-q", "-b", "agent", str(tmp_path / "linked"))
    folder = tmp_path / "plans"
    folder.mkdir()
    (folder / "plan.yaml").write_text(f'{UNTESTED}gates: {{g: {{run: "true"}}}}\n')
    (folder / "a.patch").write_text(PATCH)
    assert plan("check", str(folder / "plan.yaml")).stderr == ""
    monkeypatch.chdir(tmp_path / "linked")
    said = " ".join(plan("check", str(folder / "plan.yaml")).stderr.split())
    assert said == (
        "note: the plan names no target, so it lands on agent, the branch of this linked work tree; the main "
        "work tree is at main (`target: NAME` in the plan decides)"
    )
    (folder / "plan.yaml").write_text(f'{UNTESTED}target: agent\ngates: {{g: {{run: "true"}}}}\n')
    assert plan("check", str(folder / "plan.yaml")).stderr == ""
