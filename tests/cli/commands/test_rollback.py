"""`maingate rollback`: the names that it takes, and the trial that changes nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.command_line import maingate
from support.factories import GitRepo
from support.landing import land, one_each

if TYPE_CHECKING:
    import subprocess

Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def call(repo: GitRepo, hermetic_environment: Path) -> Call:
    """Give a way to run a command in a repository with a file of three lines."""
    repo.commit({"a.txt": "1\n2\n3\n"})

    def called(*words: str) -> "subprocess.CompletedProcess[str]":
        return maingate(*words, cwd=repo.path, home=hermetic_environment)

    return called


def test_a_name_of_a_run_and_its_workstream_is_not_ambiguous_where_both_mean_the_same(
    repo: GitRepo, call: Call
) -> None:
    """Once something else of the run is on the target, it is; the ids are named."""
    made = {"same": repo.diff_of({"b.txt": "b\n"}), "other": repo.diff_of({"c.txt": "c\n"})}
    land(repo, {"same": made["same"]}, name="same")
    done = call("rollback", "same", "--reason", "not wanted")
    assert (done.returncode, done.stdout.partition(":")[0]) == (0, "run same is rolled back"), done.stderr
    assert "already rolled back" in call("rollback", "same", "--reason", "not wanted").stderr
    land(repo, made, name="same", workstreams=one_each(made))
    refused = call("rollback", "same", "--reason", "not wanted")
    said = " ".join(refused.stderr.split())
    assert (refused.returncode, "run same (run_" in said, "workstream same (ws_" in said) == (2, True, True)
    assert repo.git("show", "main:c.txt") == "c"


def test_a_trial_shows_what_would_be_reverted_and_changes_nothing(repo: GitRepo, call: Call) -> None:
    """It needs no reason; a rollback does. Neither a ref, an object nor a row is written."""
    streams = one_each({"p": b""}, gates=[])
    streams["p"]["on_rollback"] = ["true"]
    change = repo.diff_of({"a.txt": "1\n2\nthree\n"})
    land(repo, {"p": change}, workstreams=streams, gates={"unit": {"run": "true"}})
    written = ("for-each-ref",), ("cat-file", "--batch-all-objects", "--batch-check=%(objectname)")
    before = [repo.git(*each) for each in written]
    events = call("events", "--json").stdout
    done = call("rollback", "p", "--dry-run")
    (patch,) = json.loads(call("patch", "list", "--json").stdout)
    assert done.stdout.splitlines() == [
        f"workstream p would be rolled back from main at {repo.head('main')[:10]} (1 patch).",
        f"  p/t  {patch['id']}",
        "Nothing was changed; these gates would have to pass: unit.",
        "then the on_rollback commands of p run (1)",
    ]
    told = json.loads(call("rollback", "p", "--dry-run", "--json").stdout)
    assert (told["state"], told["gates"], told["target"]["new"]) == ("pending", ["unit"], repo.head("main"))
    assert [repo.git(*each) for each in written] == before
    assert call("events", "--json").stdout == events
    without = call("rollback", "p")
    assert (without.returncode, "--reason TEXT" in without.stderr) == (2, True)
    repo.commit({"a.txt": "1\n2\nIII\n"}, "later")
    conflict = call("rollback", "p", "--dry-run")
    assert (conflict.returncode, "conflict: p cannot be reverted" in conflict.stdout) == (1, True)
    assert call("events", "--json").stdout == events
