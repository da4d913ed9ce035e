"""`land --dry-run` and `plan check` tell what conflicts, before anything runs, and leave nothing behind."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from support.command_line import Call, called_in, json_of
from support.factories import GitRepo

Files = Mapping[str, str | bytes | None]
RULES = '[gates.good]\nrun = "true"\n'
LINES = "".join(f"line {n}\n" for n in range(1, 30))


def changed(line: int, to: str) -> str:
    """Return the lines with one of them changed."""
    return LINES.replace(f"line {line}\n", f"{to}\n")


@pytest.fixture
def base(repo: GitRepo) -> GitRepo:
    """Give a repository with a gate of its own."""
    repo.commit({"maingate.toml": RULES, "a.txt": LINES, "b.txt": "b\n", "bin": b"\0one"})
    return repo


@pytest.fixture
def call(base: GitRepo, hermetic_environment: Path) -> Call:
    """Give a way to call Maingate in the repository."""
    return called_in(base.path, hermetic_environment)


def branch(repo: GitRepo, name: str, *commits: Files, start: str = "main") -> None:
    """Make a branch of commits and come back to main."""
    repo.git("checkout", "-q", "-b", name, start)
    for files in commits:
        repo.commit(files, name)
    repo.git("checkout", "-q", "main")


def told(done: subprocess.CompletedProcess[str], code: int) -> dict[str, Any]:
    """Return the trial in the JSON of a command that ended with an exit code."""
    return dict(json_of(done, code)["trial"])


def states(trial: Mapping[str, Any]) -> dict[str, str]:
    """Return the state of each item."""
    return {item["name"]: item["state"] for item in trial["items"]}


def everything(repo: GitRepo) -> tuple[set[str], str, str]:
    """Return all objects, refs and work trees of a repository."""
    objects = repo.git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)")
    return set(objects.split()), repo.git("show-ref"), repo.git("worktree", "list")


def test_a_dry_run_tells_each_conflict_and_leaves_nothing(base: GitRepo, call: Call) -> None:
    """One with the target is a problem, one with what is ahead a note; no object, ref or tree is left."""
    branch(base, "ahead", {"a.txt": changed(3, "ahead")}, {"c.txt": "c\n"})
    branch(base, "held", {"a.txt": changed(3, "held")})
    branch(base, "beside", {"a.txt": changed(25, "beside")})
    branch(base, "late", {"b.txt": "late\n"})
    base.commit({"b.txt": "main\n"}, "moved on")
    names = ["ahead", "held", "beside", "late"]
    before = everything(base)
    done = call("land", *names, "--dry-run", "--json")
    trial = told(done, 1)
    assert states(trial) == {"ahead": "clear", "held": "held", "beside": "clear", "late": "refused"}
    assert trial["conflicts"] == [
        {"item": "held", "with": "ahead", "kind": "ahead", "paths": ["a.txt"]},
        {"item": "late", "with": "refs/heads/main", "kind": "target", "paths": ["b.txt"]},
    ]
    assert trial["target"] == {"ref": "refs/heads/main", "commit": base.head()}
    assert everything(base) == before
    shown = call("land", *names, "--dry-run").stdout
    assert "held conflicts with ahead in a.txt" in shown
    assert "late conflicts with main in b.txt" in shown
    assert shown.rstrip().endswith("Nothing was created. Run it without --dry-run to start.")
    assert told(call("land", *names[:3], "--dry-run", "--json"), 0)["ok"]


def test_landing_ends_as_its_dry_run_told(base: GitRepo, call: Call) -> None:
    """What is clear lands; what is held finds the conflict when the other has landed."""
    branch(base, "one", {"a.txt": changed(3, "one")})
    branch(base, "two", {"a.txt": changed(3, "two")})
    branch(base, "renamed", {"a.txt": None, "moved.txt": LINES})
    branch(base, "apart", {"bin": b"\0two"}, {"a.txt": changed(25, "apart")})
    names = ["one", "two", "apart", "renamed"]
    trial = told(call("land", *names, "--dry-run", "--json"), 0)
    assert states(trial) == {"one": "clear", "two": "held", "apart": "clear", "renamed": "clear"}
    report = json.loads(call("land", *names, "--json").stdout)
    assert {each["name"]: each["state"] for each in report["workstreams"]} == {
        "one": "completed",
        "two": "failed",
        "apart": "completed",
        "renamed": "completed",
    }


def test_a_stacked_branch_is_tried_on_what_it_needs(base: GitRepo, call: Call) -> None:
    """Its first commits are those of the other; it conflicts with what neither was made on."""
    branch(base, "below", {"a.txt": changed(3, "below")})
    branch(base, "above", {"a.txt": changed(3, "above")}, start="below")
    base.commit({"b.txt": "moved on\n"})
    trial = told(call("land", "above", "below", "--needs", "below", "--dry-run", "--json"), 0)
    assert states(trial) == {"below": "clear", "above": "clear"}


def test_branches_that_share_commits_are_tried_as_they_land(base: GitRepo, call: Call) -> None:
    """One begun on the other goes on with its change; two begun on a third conflict only by their own."""
    branch(base, "below", {"a.txt": changed(3, "below")})
    branch(base, "stacked", {"a.txt": changed(3, "stacked")}, start="below")
    branch(base, "rewrites", {"a.txt": changed(3, "rewrites")}, start="below")
    names = ["below", "stacked", "rewrites"]
    trial = told(call("land", *names, "--dry-run", "--json"), 0)
    assert states(trial) == {"below": "clear", "stacked": "clear", "rewrites": "held"}
    assert [(each["item"], each["with"]) for each in trial["conflicts"]] == [("rewrites", "stacked")]
    report = json.loads(call("land", *names, "--json").stdout)
    assert {each["name"]: each["state"] for each in report["workstreams"]} == {
        "below": "completed",
        "stacked": "completed",
        "rewrites": "failed",
    }


def test_histories_of_any_shape_are_tried(base: GitRepo, call: Call) -> None:
    """Criss-cross merges, unrelated histories, empty commits, work that is there already."""
    branch(base, "cross", {"c.txt": "cross\n"})
    base.commit({"b.txt": "main\n"}, "main")
    base.git("branch", "main-before")
    base.git("merge", "-q", "--no-ff", "-m", "cross into main", "cross")
    base.git("checkout", "-q", "cross")
    base.git("merge", "-q", "--no-ff", "-m", "main into cross", "main-before")
    base.commit({"a.txt": changed(3, "cross")}, "cross again")
    base.git("checkout", "-q", "--orphan", "alien")
    base.git("rm", "-q", "-rf", ".")
    base.commit({"alien.txt": "x\n"}, "alien")
    base.git("checkout", "-q", "--orphan", "clash")
    base.git("rm", "-q", "-rf", ".")
    base.commit({"b.txt": "other\n"}, "clash")
    base.git("checkout", "-q", "main")
    branch(base, "empty", {})
    branch(base, "picked", {"d.txt": "d\n"}, {"e.txt": "e\n"})
    base.git("cherry-pick", "picked~")
    trial = told(call("land", "cross", "alien", "clash", "empty", "picked", "--dry-run", "--json"), 1)
    assert states(trial) == {"cross": "clear", "alien": "clear", "clash": "refused", "picked": "clear"}
    assert [(each["item"], each["with"], each["paths"]) for each in trial["conflicts"]] == [
        ("clash", "refs/heads/main", ["b.txt"])
    ]


PLAN = """\
maingate: 1
target: main
gates: {good: {run: "true"}}
tools: {agent: {run: ["true"]}}
workstreams:
  first: {tasks: {a: {patch: first.patch}}}
  second: {tasks: {a: {patch: second.patch}}}
  stale: {critical: false, tasks: {a: {patch: stale.patch}}}
  partly: {tasks: {a: {patch: stale.patch, critical: false}, b: {patch: other.patch}}}
  there: {tasks: {a: {patch: there.patch}}}
  made: {tasks: {a: {patch: made.patch}, b: {tool: agent, prompt: go on}}}
  after: {needs: [made], tasks: {a: {patch: other.patch}}}
  onto: {needs: [first], tasks: {a: {patch: onto.patch}}}
"""


@pytest.fixture
def plan(base: GitRepo, tmp_path: Path) -> Path:
    """Give a plan with patches of every fate."""
    patches = {
        "first": base.diff_of({"a.txt": changed(3, "first")}),
        "second": base.diff_of({"a.txt": changed(3, "second")}),
        "stale": base.diff_of({"b.txt": "stale\n"}),
        "other": base.diff_of({"other.txt": "x\n"}),
        "there": base.diff_of({"c.txt": "c\n"}),
        "made": base.diff_of({"a.txt": changed(3, "made")}),
    }
    head = base.head()
    base.commit({"a.txt": changed(3, "first")})
    patches["onto"] = base.diff_of({"a.txt": changed(3, "onto")})
    base.git("reset", "-q", "--hard", head)
    base.commit({"b.txt": "main\n", "c.txt": "c\n"}, "moved on")
    for name, diff in patches.items():
        (tmp_path / f"{name}.patch").write_bytes(diff)
    (tmp_path / "plan.yaml").write_text(PLAN)
    return tmp_path / "plan.yaml"


def test_plan_check_tries_ready_patches(base: GitRepo, call: Call, plan: Path) -> None:
    """What a tool is still to make cannot be tried; what is not critical is passed over."""
    before = everything(base)
    trial = told(call("plan", "check", str(plan), "--json"), 0)
    assert states(trial) == {
        "first": "clear",
        "second": "held",
        "stale": "refused",
        "partly": "clear",
        "there": "already_applied",
        "made": "held",
        "after": "held",
        "onto": "clear",
    }
    assert [(each["item"], each["with"]) for each in trial["conflicts"]] == [
        ("second", "first"),
        ("stale", "refs/heads/main"),
        ("made", "first"),
        ("made", "second"),
    ]
    (passed,) = [
        reason for item in trial["items"] if item["name"] == "partly" for reason in item["passed_over"]
    ]
    assert passed["code"] == "conflict"
    assert everything(base) == before
    assert not (base.path / ".git" / "maingate").exists()
    shown = call("plan", "check", str(plan)).stdout
    assert "stale conflicts with main in b.txt" in shown
    assert "made conflicts with first in a.txt" in shown


def test_plan_check_refuses_a_plan_whose_critical_workstream_could_not_land(call: Call, plan: Path) -> None:
    """The plan is valid, so it is not exit code 2."""
    plan.write_text(
        plan.read_text().replace("critical: false, tasks: {a: {patch: stale", "tasks: {a: {patch: stale")
    )
    done = call("plan", "check", str(plan), "--json")
    assert not told(done, 1)["ok"]
    assert json.loads(done.stdout)["ok"] is False
    assert call("plan", "check", str(plan)).stdout.startswith("valid, but not all of it could land")


def test_plan_check_without_a_target_checks_the_rest(call: Call, plan: Path) -> None:
    """A branch that is not there yet, or no repository, is no reason to check nothing."""
    plan.write_text(plan.read_text().replace("target: main", "target: release"))
    done = call("plan", "check", str(plan), "--json")
    assert (done.returncode, json.loads(done.stdout)["trial"]) == (0, None)


def test_a_patch_that_may_take_the_line_endings_of_its_files_does_so_when_tried(
    base: GitRepo, call: Call, tmp_path: Path
) -> None:
    """As when it lands, by the `whitespace` of the plan."""
    diff = base.diff_of({"a.txt": changed(3, "new")})
    base.commit({"a.txt": LINES.replace("\n", "\r\n")}, "other line endings")
    (tmp_path / "a.patch").write_bytes(diff)
    plain = "maingate: 1\ntarget: main\nworkstreams: {w: {tasks: {t: {patch: a.patch}}}}\n"
    (tmp_path / "plan.yaml").write_text(plain)
    assert states(told(call("plan", "check", str(tmp_path / "plan.yaml"), "--json"), 1)) == {"w": "refused"}
    (tmp_path / "plan.yaml").write_text(f"{plain}whitespace: fix-eol\n")
    assert states(told(call("plan", "check", str(tmp_path / "plan.yaml"), "--json"), 0)) == {"w": "clear"}
