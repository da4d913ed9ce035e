"""The inbox after `maingate land` has refused work: another attempt of the same work takes its place."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from maingate.bootstrap import Maingate
from maingate.queries.inbox.open_matters import inbox
from support.command_line import maingate
from support.factories import GitRepo

if TYPE_CHECKING:
    import subprocess

RULES = '[gates.good]\nrun = "! ls | grep -q bad"\n'


@dataclass(frozen=True, kw_only=True)
class Work:
    """A repository whose gate refuses commits with a file `bad-…`."""

    repo: GitRepo
    home: Path

    def call(self, *words: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
        """Run a command."""
        return maingate(*words, cwd=cwd or self.repo.path, home=self.home)

    def land(self, *words: str, ends: int, cwd: Path | None = None) -> None:
        """Land work, which ends with an exit code."""
        done = self.call("land", *words, cwd=cwd)
        assert done.returncode == ends, done.stdout + done.stderr

    def bad(self, branch: str) -> None:
        """Make a branch that the gate refuses, and switch to it."""
        self.repo.git("switch", "-q", "-c", branch, "main")
        self.repo.commit({f"bad-{branch}": "x\n", f"{branch}.txt": "x\n"}, f"work of {branch}")

    def mend(self, branch: str) -> None:
        """Correct the commit of a branch, so that it is another one."""
        self.repo.git("switch", "-q", branch)
        self.repo.git("rm", "-q", f"bad-{branch}")
        self.repo.git("commit", "-q", "--amend", "--no-edit")

    def items(self) -> list[dict[str, Any]]:
        """Return the items in the public JSON form."""
        with Maingate.open(self.repo.path) as opened:
            return [item.as_json() for item in inbox(opened.context)]

    def names(self) -> list[str]:
        """Return the names of the subjects of the items."""
        return sorted(item["about"]["name"] for item in self.items())


@pytest.fixture
def work(repo: GitRepo, hermetic_environment: Path) -> Work:
    """Give a repository with a gate of its own."""
    repo.commit({"maingate.toml": RULES, "a.txt": "1\n"})
    return Work(repo=repo, home=hermetic_environment)


def test_a_branch_that_is_corrected_and_landed_is_no_item(work: Work, tmp_path: Path) -> None:
    """Refused again, by its range and from a linked work tree, there is one item, which says what to do."""
    work.bad("agent")
    work.land(ends=1)
    (first,) = work.items()
    work.repo.git("switch", "-q", "main")
    linked = tmp_path / "linked"
    work.repo.git("worktree", "add", "-q", str(linked), "agent")
    work.land("main..HEAD", ends=1, cwd=linked)
    (second,) = work.items()
    assert first["about"]["id"] != second["about"]["id"]
    assert second["command"] == "maingate land agent --into main"
    assert second["why"].endswith("; branch agent: make the gate pass, commit, and land it again")
    assert json.loads(work.call("inbox", "--json").stdout) == [second]
    work.repo.git("worktree", "remove", "--force", str(linked))
    work.mend("agent")
    done = work.call(*shlex.split(second["command"])[1:])
    assert (done.returncode, work.items()) == (0, [])
    work.repo.git("switch", "-q", "main")
    work.repo.git("branch", "-q", "-D", "agent")
    assert work.items() == []


def test_a_renamed_branch_is_the_same_work(work: Work) -> None:
    """The command has its new name; refused or landed by that, the refusal before is superseded."""
    work.bad("agent")
    work.land(ends=1)
    work.repo.git("branch", "-m", "agent", "once")
    work.repo.git("branch", "-m", "once", "better")
    (first,) = work.items()
    assert first["command"] == "maingate land better --into main"
    work.land(ends=1)
    (second,) = work.items()
    assert second["about"]["id"] != first["about"]["id"]
    work.repo.git("rm", "-q", "bad-agent")
    work.repo.git("commit", "-q", "--amend", "--no-edit")
    work.land(ends=0)
    assert work.items() == []


def test_a_branch_that_is_gone_leaves_the_patch_to_decide_about(work: Work) -> None:
    """A new branch of another name is other work."""
    work.bad("agent")
    work.land(ends=1)
    work.repo.git("switch", "-q", "main")
    work.repo.git("branch", "-q", "-D", "agent")
    work.repo.git("branch", "agent-2")
    (item,) = work.items()
    assert item["command"] == f"maingate patch recover {item['about']['id']}"


def test_each_of_several_branches_is_work_of_its_own(work: Work) -> None:
    """What still is refused stays, and so does a refusal on another target."""
    work.repo.git("branch", "other")
    for name in ("one", "two"):
        work.bad(name)
    work.land("one", "--into", "other", ends=1)
    work.land("[ot]*", "--into", "main", "--on-applied", "skip", ends=1)
    assert work.names() == ["one/0001-work-of-one"] * 2 + ["two/0001-work-of-two"]
    work.mend("one")
    work.land("one", "two", ends=1)
    assert [item["command"] for item in work.items()] == [
        "maingate land one --into other",
        "maingate land two --into main",
    ]
    work.repo.git("switch", "-q", "other")
    work.repo.git("merge", "-q", "one")
    assert work.names() == ["two/0001-work-of-two"]


def test_a_later_attempt_that_was_cancelled_supersedes_nothing(work: Work) -> None:
    """While it is under way, the work is not refused."""
    work.bad("agent")
    work.land(ends=1)
    work.land("--no-wait", ends=0)
    (item,) = work.items()
    assert item["code"] == "stopped"
    assert work.call("cancel", "land agent", "--operator", "ada").returncode in {0, 3}
    assert [item["code"] for item in work.items()] == ["quarantined"]


def test_a_gate_of_the_command_that_fails_on_the_target_too_may_be_wrong_itself(work: Work) -> None:
    """Nothing tells whether it can pass there; the item says both, and its command has the gate."""
    work.repo.git("switch", "-q", "-c", "agent")
    work.repo.commit({"new.txt": "x\n"})
    work.land("--gate", "new=grep -qr --include=*.txt y", ends=1)
    (item,) = [each for each in work.items() if each["code"] == "base_red"]
    assert "; mend main, or the gate if it tests what the patch brings, then try it again" in item["why"]
    assert item["command"] == "maingate land agent --into main --gate 'new=grep -qr --include=*.txt y'"


@pytest.mark.parametrize("landing", ["merge", "squash"])
def test_a_gate_that_runs_a_file_of_the_branch_refuses_the_branch_and_not_the_target(
    work: Work, landing: str
) -> None:
    """Without the branch there is no such file, so that the gate fails on the target, too."""
    work.repo.git("switch", "-q", "-c", "agent")
    work.repo.commit({"new.sh": "echo this is new; exit 1\n"}, "new")
    gate = ("--gate", "new=sh new.sh", "--landing", landing)
    work.land(*gate, ends=1)
    (item,) = work.items()
    assert (item["code"], item["about"]["name"]) == ("quarantined", "agent/0001-new")
    assert item["command"] == "maingate land agent --into main --gate 'new=sh new.sh'"
    work.repo.write({"new.sh": "exit 0\n"})
    work.repo.git("commit", "-q", "-a", "--amend", "--no-edit")
    work.land(*gate, ends=0)
    assert work.items() == []
