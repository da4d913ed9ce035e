"""`maingate prove` on real landings, and the notes that say the same."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.command_line import Call, called_in
from support.factories import GitRepo

RULES = '[gates.unit]\nrun = "! grep -rq bad . --include=*.txt"\n'
NOTES = "refs/notes/maingate"


@pytest.fixture
def base(repo: GitRepo) -> GitRepo:
    """Give a repository with a gate, and a branch of two commits."""
    repo.commit({"maingate.toml": RULES, "a.txt": "1\n", "b.txt": "b\n"})
    repo.git("switch", "-q", "-c", "agent")
    repo.commit({"a.txt": "1\n2\n"}, "one")
    repo.commit({"c.txt": "c\n"}, "two")
    repo.git("switch", "-q", "main")
    return repo


@pytest.fixture
def call(base: GitRepo, hermetic_environment: Path) -> Call:
    """Give a way to call Maingate in the repository."""
    return called_in(base.path, hermetic_environment)


def proof(call: Call, commit: str, code: int) -> dict[str, Any]:
    """Return the proof of a commit, printed by a command that ended with an exit code."""
    done = call("prove", commit, "--json")
    assert done.returncode == code, (done.stdout, done.stderr)
    return dict(json.loads(done.stdout))


def names(executions: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return the names and states of executions."""
    return [(each["name"], each["state"]) for each in executions]


def test_a_position_is_proven_by_the_gates_that_ran_on_it(base: GitRepo, call: Call) -> None:
    """With the execution, its log, the workstream and the move."""
    before = base.head()
    assert call("land", "agent").returncode == 0
    told = proof(call, "main", 0)
    assert (told["landed"], told["proof"], told["missing"]) == (True, "commit", [])
    assert told["position"] | {"at": ""} == {
        "ref": "refs/heads/main",
        "old": before,
        "new": base.head(),
        "tree": base.tree(),
        "kind": "landing",
        "at": "",
    }
    assert [item["workstream"]["name"] for item in told["items"]] == ["agent"]
    assert names(told["gates"]) == [("unit", "PASSED")]
    assert Path(told["gates"][0]["log"]).is_file()
    shown = call("prove").stdout
    assert "proven (commit)" in shown
    assert told["gates"][0]["id"] in shown


def test_a_commit_inside_is_proven_by_the_position_that_brought_it(base: GitRepo, call: Call) -> None:
    """It is named by the record, or only in the history; the gates did not run on its own tree."""
    base.commit({"maingate.toml": f"{RULES}on = ['landing']\n"}, "gates on landings alone")
    assert call("land", "agent").returncode == 0
    newest = proof(call, "main^2", 0)
    assert (newest["proof"], newest["patch"]["task"]) == ("ref", "agent/0002-two")
    told = proof(call, "main^2~1", 0)
    assert (told["proof"], told["position"]["new"]) == ("ref", base.head())
    assert told["patch"]["task"] == "agent/0001-one"
    assert (names(told["gates"]), told["own_gates"]) == ([("unit", "PASSED")], [])
    shown = call("prove", "main^2~1").stdout
    assert "proven (ref)" in shown
    assert f"brought by the position {base.head()[:10]} of main, which was tested as it is" in shown


def test_a_commit_that_maingate_did_not_land_is_not_proven(base: GitRepo, call: Call) -> None:
    """Before any run, before the first landing, between landings, beside the branch, and one that is none."""
    root = base.head()
    assert "was not landed by Maingate" in call("prove", root).stdout
    assert not (base.path / ".git" / "maingate").exists()
    assert call("land", "agent").returncode == 0
    own = base.commit({"own.txt": "by hand\n"}, "by hand")
    base.git("switch", "-q", "-c", "next")
    base.commit({"d.txt": "d\n"}, "three")
    base.git("switch", "-q", "main")
    assert call("land", "next").returncode == 0
    for commit in (root, own, base.commit({"e.txt": "e\n"}, "on top")):
        assert proof(call, commit, 1)["landed"] is False
    assert proof(call, "main~3", 0)["landed"] is True
    assert call("prove", "no-such").returncode == 2


def test_a_verdict_of_another_run_is_told_as_reused(base: GitRepo, call: Call) -> None:
    """The execution is that of the first run."""
    before = base.head()
    assert call("land", "agent").returncode == 0
    first = proof(call, "main", 0)["gates"][0]
    base.git("reset", "-q", "--hard", before)
    assert call("land", "agent").returncode == 0
    again = proof(call, "main", 0)["gates"][0]
    assert (again["id"], again["reused"]) == (first["id"], True)
    assert "(reused)" in call("prove").stdout


def test_what_landed_without_a_gate_is_not_proven(base: GitRepo, call: Call) -> None:
    """It was landed, but nothing was asked."""
    base.commit({"maingate.toml": ""}, "no gates")
    assert call("land", "agent", "--no-gate").returncode == 0
    told = proof(call, "main", 1)
    assert (told["landed"], told["proof"], told["gates"]) == (True, "none", [])
    assert "it landed without gates" in call("prove").stdout


def test_a_rollback_is_proven_by_the_gates_that_ran_for_it(call: Call) -> None:
    """Its commit is a position of the branch, too."""
    assert call("land", "agent").returncode == 0
    assert call("rollback", "agent", "--reason", "not wanted").returncode == 0
    told = proof(call, "main", 0)
    assert (told["position"]["kind"], names(told["gates"])) == ("rollback", [("unit", "PASSED")])
    assert "rolled back on main" in call("prove").stdout


def test_notes_say_the_same_and_are_written_after_a_failure(base: GitRepo, call: Call) -> None:
    """A locked ref is not in the way of a landing; the next process writes what is missing."""
    base.commit({"maingate.toml": f"notes = true\n{RULES}"}, "notes")
    lock = base.path / ".git" / f"{NOTES}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    done = call("land", "agent")
    assert done.returncode == 0, done.stderr
    first = base.head()
    assert base.git("for-each-ref", NOTES) == ""
    lock.unlink()
    base.git("switch", "-q", "-c", "next")
    base.commit({"d.txt": "d\n"}, "three")
    base.git("switch", "-q", "main")
    assert call("land", "next").returncode == 0
    for commit in (first, base.head()):
        told = proof(call, commit, 0)
        (item,), (gate,) = told["items"], told["gates"]
        assert base.git("notes", f"--ref={NOTES}", "show", commit).splitlines() == [
            "Maingate-Proof: commit",
            f"Maingate-Run: {item['run_id']}",
            f"Maingate-Workstream: {item['workstream']['id']} {item['workstream']['name']}",
            f"Maingate-Gate: unit PASSED {gate['id']}",
        ]
    assert "Maingate-Gate: unit PASSED" in base.git("log", "-1", f"--notes={NOTES}")


def test_notes_of_others_stay_and_lost_ones_come_again(base: GitRepo, call: Call) -> None:
    """A person's notes under the same ref are kept; those of earlier landings are written again."""
    base.commit({"maingate.toml": f"notes = true\n{RULES}"}, "notes")
    assert call("land", "agent").returncode == 0
    first = base.head()
    base.git("update-ref", "-d", NOTES)
    base.git("notes", f"--ref={NOTES}", "add", "-m", "by hand", f"{first}~1")
    base.git("switch", "-q", "-c", "next")
    base.commit({"d.txt": "d\n"}, "three")
    base.git("switch", "-q", "main")
    assert call("land", "next").returncode == 0
    assert base.git("notes", f"--ref={NOTES}", "show", f"{first}~1") == "by hand"
    assert "Maingate-Proof" in base.git("notes", f"--ref={NOTES}", "show", first)


def test_without_the_setting_there_are_no_notes(base: GitRepo, call: Call) -> None:
    """The ref is made only where it is wanted."""
    assert call("land", "agent").returncode == 0
    assert base.git("for-each-ref", "refs/notes") == ""
