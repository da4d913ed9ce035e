"""The commits of a branch that land as they are: ids, signatures and merges, whatever happens meanwhile."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from support.command_line import Call, called_in
from support.crashing import KILLED
from support.factories import GitRepo
from support.landing import write_plan

RULES = '[gates.good]\nrun = "! grep -rq bad . --include=*.txt"\n'
LINES = "1\n2\n3\n4\n5\n"
SIGNATURE = "gpgsig -----BEGIN SSH SIGNATURE-----\n U1NIU0lH\n -----END SSH SIGNATURE-----\n"


@pytest.fixture
def base(repo: GitRepo) -> GitRepo:
    """Give a repository with a gate of its own, on a branch of an agent."""
    repo.commit({"maingate.toml": RULES, "a.txt": LINES, "b.txt": "b\n"}, "base")
    repo.git("switch", "-q", "-c", "agent")
    return repo


@pytest.fixture
def call(base: GitRepo, hermetic_environment: Path) -> Call:
    """Give the command line in the repository."""
    return called_in(base.path, hermetic_environment)


def landed(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the JSON of a landing that succeeded."""
    assert done.returncode == 0, done.stderr or done.stdout
    return dict(json.loads(done.stdout))


def signed(repo: GitRepo, files: Mapping[str, str | None], message: str) -> str:
    """Commit files with a signature."""
    made = repo.git("cat-file", "commit", repo.commit(files, message))
    head, _, rest = made.partition("\n\n")
    commit = repo.git(
        "hash-object", "-t", "commit", "-w", "--stdin", stdin=f"{head}\n{SIGNATURE}\n{rest}\n".encode()
    )
    repo.git("reset", "-q", "--hard", commit)
    return commit


def is_known(repo: GitRepo, branch: str = "agent") -> bool:
    """Return whether git counts a branch as merged into main."""
    return branch in repo.git("branch", "--merged", "main").replace("*", "").split()


def test_ids_signatures_and_merges_are_kept(base: GitRepo, call: Call) -> None:
    """Git knows the branch, also one that ends with a commit that changes nothing; the merge has trailers."""
    signed(base, {"new.txt": "new\n"}, "add new")
    base.commit({}, "nothing yet")
    base.git("switch", "-q", "-c", "side", "main")
    base.commit({"side.txt": "s\n"}, "side")
    base.git("switch", "-q", "agent")
    base.git("merge", "-q", "--no-ff", "-m", "side work", "side")
    base.commit({}, "run the checks")
    tip = base.head()
    done = landed(call("land", "--json"))
    assert [task["patch"]["commit"] for task in done["tasks"]] == [base.head("agent~3"), tip]
    assert base.git("rev-parse", "main^2") == tip
    assert "gpgsig" in base.git("cat-file", "commit", "main^2~3")
    assert f"Maingate-Run: {done['run_id']}" in base.git("log", "-1", "--format=%B", "main")
    base.git("switch", "-q", "main")
    base.git("branch", "-d", "agent", "side")
    assert call("audit", "verify").returncode == 0


def test_other_landings_make_commits_anew(base: GitRepo, call: Call) -> None:
    """So does one whose commits were made by Maingate for another landing."""
    base.commit({"new.txt": "new\n"}, "add new")
    base.git("branch", "again")
    base.git("branch", "third")
    landed(call("land", "--landing", "squash", "--json"))
    assert not is_known(base)
    base.git("switch", "-q", "again")
    base.commit({"b.txt": "2\n"}, "two")
    landed(call("land", "--landing", "rebase", "--json"))
    assert base.git("log", "--format=%s", "-2", "main") == "two\nadd new"
    assert not is_known(base, "again")
    base.git("switch", "-q", "-C", "copy", "main")
    base.commit({"c.txt": "c\n"}, "third\n\nMaingate-Patch: patch_00000000000000000000000000")
    landed(call("land", "--json"))
    assert not is_known(base, "copy")
    assert call("audit", "verify").returncode == 0


def test_a_branch_that_is_far_behind_is_judged_on_the_target(base: GitRepo, call: Call) -> None:
    """Its gates need what the target got since; both patches are judged with the merge."""
    base.commit({"new.txt": "new\n"}, "one")
    base.commit({"a.txt": LINES + "6\n"}, "two")
    base.git("switch", "-q", "main")
    rules = RULES.replace("! grep", "test -f late.txt && ! grep")
    base.commit({"late.txt": "late\n", "a.txt": "0\n" + LINES, "maingate.toml": rules}, "late")
    done = landed(call("land", "agent", "--json"))
    assert (done["gates"]["run"], done["gates"]["failed"], is_known(base)) == (1, 0, True)
    assert base.git("show", "main:a.txt") == "0\n" + LINES + "6"


def test_a_branch_with_merges_of_its_target_keeps_them(base: GitRepo, call: Call) -> None:
    """A patch is taken back by itself; of a merge of the target only its own part, as the rest was there."""
    base.commit({"new.txt": "new\n"}, "one")
    base.git("switch", "-q", "main")
    base.commit({"late.txt": "late\n"}, "late")
    base.git("switch", "-q", "agent")
    base.git("merge", "-q", "-m", "catch up", "main")
    base.commit({"b.txt": "two\n"}, "two")
    base.git("switch", "-q", "main")
    base.commit({"later.txt": "later\n"}, "later")
    done = landed(call("land", "agent", "--json"))
    assert (done["items"][0]["merged"], len(done["tasks"]), is_known(base)) == (False, 3, True)
    assert call("rollback", "agent/0002-catch-up", "--reason", "no").returncode == 0
    assert base.git("show", "main:late.txt") == "late"
    assert call("rollback", "agent/0001-one", "--reason", "no").returncode == 0
    assert call("rollback", "agent", "--reason", "no").returncode == 0
    assert base.git("ls-tree", "--name-only", "main").split() == [
        "a.txt",
        "b.txt",
        "late.txt",
        "later.txt",
        "maingate.toml",
    ]
    assert base.git("show", "main:b.txt") == "b"


@pytest.mark.parametrize(
    "files", [{f"{n}.txt": "x\n" for n in range(3)}, {"maingate.toml": RULES + "[policy]\nmax_files = 9\n"}]
)
def test_a_merge_of_the_target_that_policy_would_stop_is_not_judged(
    base: GitRepo, call: Call, files: Mapping[str, str]
) -> None:
    """It holds work of others, which is on the target already: the branch is one patch then."""
    base.git("switch", "-q", "main")
    base.commit({"maingate.toml": RULES + "[policy]\nmax_files = 2\n"}, "rules")
    base.git("switch", "-q", "-C", "agent")
    base.commit({"new.txt": "new\n"}, "one")
    base.git("switch", "-q", "main")
    base.commit(files, "others")
    base.git("switch", "-q", "agent")
    base.git("merge", "-q", "-m", "catch up", "main")
    done = landed(call("land", "--json"))
    assert (done["items"][0]["merged"], len(done["tasks"])) == (True, 1)


def test_policy_looks_at_each_commit(base: GitRepo, call: Call) -> None:
    """A file that comes and goes again is not in the result, and would be in the history."""
    base.git("switch", "-q", "main")
    base.commit({"maingate.toml": RULES + '[policy]\nforbid = ["secrets/**"]\n'}, "rules")
    base.git("switch", "-q", "-C", "agent")
    base.commit({"secrets/key": "k\n"}, "come")
    base.commit({"secrets/key": None, "new.txt": "new\n"}, "go")
    done = call("land", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["tasks"][0]["reason"]["code"] == "policy_violation"
    assert not is_known(base)


def test_a_history_of_its_own_lands_anew(base: GitRepo, call: Call) -> None:
    """Its first commit was made on nothing, so there is none of the target to begin on."""
    base.git("switch", "-q", "--orphan", "alone")
    base.commit({"alone.txt": "a\n"}, "alone")
    landed(call("land", "--json"))
    assert base.git("show", "main:alone.txt") == "a"
    assert not is_known(base, "alone")


def test_the_commits_of_the_admission_land_whatever_becomes_of_the_branch(base: GitRepo, call: Call) -> None:
    """It is moved, its commits are removed from everywhere else, and the target moves on."""
    base.commit({"new.txt": "new\n"}, "one")
    base.commit({"b.txt": "two\n"}, "two")
    tip = base.head()
    waiting = landed(call("land", "--no-wait", "--json"))
    base.git("reset", "-q", "--hard", "main")
    base.commit({"other.txt": "other\n"}, "other")
    base.git("reflog", "expire", "--expire=now", "--all")
    base.git("gc", "-q", "--prune=now")
    base.git("switch", "-q", "main")
    base.commit({"late.txt": "late\n"}, "late")
    done = landed(call("resume", waiting["run_id"], "--json"))
    assert (done["state"], base.git("rev-parse", "main^2")) == ("succeeded", tip)
    assert base.git("ls-tree", "--name-only", "main", "other.txt") == ""


@pytest.mark.parametrize(
    "faults",
    [
        ("transaction.after@2", "transaction.after@3", "transaction.after@2"),
        ("transaction.before@3", "gate.started@1", "transaction.inside@3"),
    ],
)
def test_it_is_the_same_after_kills(base: GitRepo, call: Call, faults: tuple[str, ...]) -> None:
    """The workstream begins on the same commit, and the same commits land."""
    base.commit({"new.txt": "new\n"}, "one")
    base.commit({"b.txt": "two\n"}, "two")
    tip = base.head()
    base.git("switch", "-q", "main")
    base.commit({"late.txt": "late\n"}, "late")
    waiting = landed(call("land", "agent", "--no-wait", "--json"))
    codes = [
        call("resume", waiting["run_id"], env={"MAINGATE_FAULTPOINT": fault}).returncode for fault in faults
    ]
    assert codes[0] == KILLED
    call("resume", waiting["run_id"])
    assert base.git("log", "--first-parent", "--format=%s", "main") == "Merge agent into main\nlate\nbase"
    assert base.git("rev-parse", "main^2") == tip
    assert call("audit", "verify").returncode == 0


def test_what_was_rolled_back_can_land_again(base: GitRepo, call: Call) -> None:
    """Its commits are in the history of the target: a merge would not bring them, so they are made anew."""
    base.commit({"new.txt": "new\n"}, "one")
    base.commit({"b.txt": "two\n"}, "two")
    base.commit({}, "empty")
    landed(call("land", "--json"))
    assert landed(call("land", "--json"))["run_id"] is None
    assert call("rollback", "agent", "--reason", "no").returncode == 0
    assert base.git("show", "main:b.txt") == "b"
    again = landed(call("land", "--json"))
    assert [task["name"] for task in again["tasks"]] == ["agent/0001-one", "agent/0002-two"]
    assert again["items"][0]["notes"] == ["it was rolled back since it landed; it lands again"]
    assert landed(call("land", "--json"))["items"][0]["notes"] == []
    assert base.git("diff", "main", "agent") == ""
    base.git("switch", "-q", "main")
    assert call("rollback", again["run_id"], "--reason", "no").returncode == 0
    base.git("switch", "-q", "agent")
    base.commit({"fix.txt": "fix\n"}, "three")
    landed(call("land", "--json"))
    assert base.git("diff", "main", "agent") == ""


def test_a_branch_on_another_lands_behind_it(base: GitRepo, call: Call) -> None:
    """Its commits hold those of the other, which it needs; one that does not hold them is made anew."""
    base.commit({"new.txt": "new\n"}, "one")
    base.git("switch", "-q", "-c", "second")
    base.commit({"new.txt": "newer\n"}, "two")
    base.git("switch", "-q", "-c", "apart", "main")
    base.commit({"apart.txt": "x\n"}, "apart")
    landed(call("land", "second", "apart", "agent", "--needs", "agent", "--json"))
    assert (is_known(base), is_known(base, "second"), is_known(base, "apart")) == (True, True, False)
    assert base.git("show", "main:new.txt", "main:apart.txt") == "newer\nx"


def of_branch(base: GitRepo, folder: Path, **task: Any) -> str:
    """Write the plan of a branch of three commits by hand; return its file."""
    base.commit({"one.txt": "1\n"}, "one")
    base.commit({"two.txt": "bad\n"}, "two")
    base.commit({"three.txt": "3\n"}, "three")
    tasks = {
        f"t{n}": {
            "patch": f"{n}.patch",
            "commit": base.head(f"agent~{3 - n}"),
            "message": f"task {n}",
            **(task if n == 2 else {}),
        }
        for n in (1, 2, 3)
    }
    diffs = {
        f"{n}.patch": base.git_bytes("diff", "--binary", "--full-index", f"agent~{4 - n}", f"agent~{3 - n}")
        for n in (1, 2, 3)
    }
    streams = {"w": {"base": base.head("agent~3"), "tasks": tasks}}
    return str(write_plan(folder, {"repo": str(base.path), "target": "main", "workstreams": streams}, diffs))


def test_commits_behind_one_that_is_refused_are_made_anew(base: GitRepo, call: Call, tmp_path: Path) -> None:
    """Those ahead of it keep their ids; what lands has neither the commit nor its change."""
    plan = of_branch(base, tmp_path / "plan", critical=False)
    done = json.loads(call("run", plan, "--json").stdout)
    states = [task["patch"]["state"] for task in done["tasks"]]
    assert (done["state"], states) == ("succeeded", ["committed", "quarantined", "committed"])
    first, third = done["tasks"][0]["patch"]["commit"], done["tasks"][2]["patch"]["commit"]
    assert (first == base.head("agent~2"), third == base.head("agent")) == (True, False)
    assert base.git("log", "--format=%s", "-2", "main^2") == "task 3\none"
    assert base.git("ls-tree", "--name-only", "main", "two.txt") == ""
    assert call("rollback", "w/t1", "--reason", "no").returncode == 0
    assert base.git("ls-tree", "--name-only", "main", "one.txt", "three.txt") == "three.txt"


@pytest.mark.parametrize(("late", "code"), [("three.txt", 1), ("late.txt", 0)])
def test_a_trial_merges_what_begins_on_a_base_of_its_own(
    base: GitRepo, call: Call, tmp_path: Path, late: str, code: int
) -> None:
    """As the landing does: its patches are not tried on the head of the target."""
    plan = of_branch(base, tmp_path / "plan")
    base.git("switch", "-q", "main")
    base.commit({late: "late\n"}, "late")
    done = call("plan", "check", plan, "--json")
    trial = json.loads(done.stdout)["trial"]
    assert (done.returncode, trial["ok"]) == (code, not code), done.stderr
    assert [each["paths"] for each in trial["conflicts"]] == [["three.txt"]] * code


def test_a_base_that_the_target_does_not_have_is_refused(base: GitRepo, call: Call, tmp_path: Path) -> None:
    """Its changes would land without a look at them."""
    plan = Path(of_branch(base, tmp_path / "plan"))
    strange = base.head("agent~1")
    plan.write_text(plan.read_text().replace(f'"base": "{base.head("main")}"', f'"base": "{strange}"'))
    done = call("run", str(plan))
    assert done.returncode == 2
    assert f"workstreams.w: {strange[:12]} is not in the history of refs/heads/main" in done.stderr


@pytest.mark.parametrize("named", ["tree", "other", "missing"])
def test_a_commit_that_is_not_that_of_the_patch_is_made_anew(
    base: GitRepo, call: Call, tmp_path: Path, named: str
) -> None:
    """Its tree would be another, it is no commit at all, or it is not there."""
    plan = Path(of_branch(base, tmp_path / "plan", critical=False))
    wrong = {"tree": base.tree("agent~2"), "other": base.head("agent~1"), "missing": "1" * 40}[named]
    plan.write_text(plan.read_text().replace(f'"commit": "{base.head("agent~2")}"', f'"commit": "{wrong}"'))
    done = json.loads(call("run", str(plan), "--json").stdout)
    assert done["state"] == "succeeded"
    assert base.git("log", "--format=%s", "-2", "main^2") == "task 3\ntask 1"
