"""`maingate land` on real repositories, as a process of its own: branches, ranges, patches, their ends."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from maingate.cli.command_tree import app
from support.command_line import maingate
from support.factories import GitRepo

Land = Callable[..., subprocess.CompletedProcess[str]]
RULES = '[gates.good]\nrun = "! grep -rq bad . --include=*.txt"\n'


@pytest.fixture
def base(repo: GitRepo) -> GitRepo:
    """Give a repository with a gate of its own, on a branch of an agent."""
    repo.commit({"maingate.toml": RULES, "a.txt": "1\n2\n3\n4\n5\n", "b.txt": "b\n"})
    repo.git("switch", "-q", "-c", "agent")
    return repo


@pytest.fixture
def land(base: GitRepo, hermetic_environment: Path) -> Land:
    """Give a way to land, in the repository or in another folder."""

    def call(*args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return maingate("land", *args, cwd=cwd or base.path, home=hermetic_environment)

    return call


def landed(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the JSON of a landing that succeeded."""
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_the_branch_that_is_checked_out_lands_and_lands_once(base: GitRepo, land: Land) -> None:
    """Each commit is a task; what is not committed is told and stays; again there is nothing left to do."""
    base.commit({"new.txt": "new\n"}, "add new\n\nbody")
    base.commit({"b.txt": "c\n"}, "change b")
    base.commit({}, "empty")
    base.write({"draft.txt": "draft\n"})
    first = landed(land("--json"))
    assert [task["name"] for task in first["tasks"]] == ["agent/0001-add-new", "agent/0002-change-b"]
    assert (first["items"][0]["uncommitted"], first["next_action"]["code"]) == (["draft.txt"], "none")
    assert first["items"][0]["left_out"] == []
    assert base.git("log", "--format=%s", "main", "--first-parent") == "Merge agent into main\nchange"
    assert base.git("show", "main:new.txt") == "new"
    again = landed(land("--json"))
    assert (again["run_id"], again["state"], again["items"][0]["note"]) == (
        None,
        "succeeded",
        "already_applied",
    )
    assert "nothing left to do" in land().stdout
    assert land("--on-applied", "refuse").returncode == 1


def test_a_branch_may_be_named_as_git_has_it(base: GitRepo, land: Land) -> None:
    """`heads/NAME` is NAME wherever a branch is named; another shortening is refused with that name."""
    base.commit({"new.txt": "new\n"}, "add new")
    base.git("tag", "v1")
    assert "no branch" in land("heads/agent", "--into", "heads/mian").stderr
    assert "v1 is a tag" in land("heads/agent", "--into", "tags/v1").stderr
    told = landed(land("heads/agent", "--into", "heads/main", "--json"))
    assert told["target"]["ref"] == "refs/heads/main"
    assert told["items"][0]["branch"] == "refs/heads/agent"
    assert [task["name"] for task in told["tasks"]] == ["agent/0001-add-new"]


def test_a_refusal_has_the_reason_the_last_lines_of_the_gate_and_the_next_step(
    base: GitRepo, land: Land
) -> None:
    """What is right lands all the same; the gates of the branch itself do not count."""
    base.commit({"maingate.toml": '[gates.good]\nrun = "true"\n', "x.txt": "bad\n"})
    base.git("switch", "-q", "-c", "right", "main")
    base.commit({"y.txt": "y\n"})
    base.git("switch", "-q", "-c", "wrong", "main")
    base.commit({"x.txt": "bad\n"})
    done = land("wrong", "right", "--gate", "says=echo this is why; ! test -e x.txt")
    assert (done.returncode, base.git("show", "main:y.txt")) == (1, "y")
    for said in ("gate_failed", "maingate patch show wrong/0001-change"):
        assert said in done.stdout
    base.git("switch", "-q", "-c", "quiet", "main")
    base.commit({"x.txt": "other\n"})
    assert "this is why" in land("--gate", "says=echo this is why; ! test -e x.txt").stdout
    told = json.loads(land("wrong", "--json").stdout)
    assert told["next_action"] == {
        "code": "fix_gate",
        "about": "wrong/0001-change",
        "command": "maingate patch show wrong/0001-change",
    }


def test_a_series_whose_first_commit_is_on_the_target_lands_the_rest(base: GitRepo, land: Land) -> None:
    """Picked or squashed there, it is judged as landing would judge it; a conflict asks for a rebase."""
    base.commit({"new.txt": "new\n"}, "one")
    base.commit({"b.txt": "two\n"}, "two")
    base.git("branch", "other")
    base.git("switch", "-q", "main")
    base.git("cherry-pick", "-x", "agent~1")
    done = landed(land("agent", "--json"))
    assert [task["name"] for task in done["tasks"]] == ["agent/0001-one", "agent/0002-two"]
    assert done["items"][0]["note"] == "already_applied"
    assert "agent" in base.git("branch", "--merged", "main").split()
    base.git("switch", "-q", "other")
    base.commit({"b.txt": "three\n"}, "three")
    base.git("switch", "-q", "main")
    base.commit({"b.txt": "four\n"})
    told = json.loads(land("other", "--json").stdout)
    assert (told["state"], told["next_action"]["code"]) == ("failed", "rebase")


def test_a_branch_that_has_merged_its_target_lands_as_one_patch(base: GitRepo, land: Land) -> None:
    """Its merge commits hold changes of the target; a merge of another branch is a patch of its own."""
    base.git("switch", "-q", "-c", "side")
    base.commit({"side.txt": "s\n"})
    base.git("switch", "-q", "agent")
    base.commit({"a.txt": "1\n2\n3\n4\nfive\n"})
    base.git("merge", "-q", "--no-ff", "-m", "side work", "side")
    plain = landed(land("--json", "--dry-run"))
    assert len(plain["workstreams"][0]["tasks"]) == 2
    base.git("switch", "-q", "main")
    base.commit({"a.txt": "one\n2\n3\n4\n5\n"})
    base.git("switch", "-q", "agent")
    base.git("merge", "-q", "-m", "catch up", "main")
    base.commit({"b.txt": "late\n"}, "late")
    done = landed(land("--json", "--landing", "squash"))
    assert (done["items"][0]["merged"], len(done["tasks"])) == (True, 1)
    assert base.git("show", "main:a.txt") == "one\n2\n3\n4\nfive"
    assert base.git("show", "main:b.txt", "main:side.txt") == "late\ns"
    assert base.git("diff", "main", "agent") == ""


def test_several_pieces_land_in_one_run(base: GitRepo, land: Land, tmp_path: Path) -> None:
    """A glob, a range and a file; what others need goes first; odd names become names of workstreams."""
    base.commit({"one.txt": "1\n"}, "one")
    base.git("branch", "-m", "fix/One-Ünd+2")
    base.git("switch", "-q", "-c", "fix/two", "main")
    base.commit({"two.txt": "2\n"}, "two")
    base.git("switch", "-q", "main")
    (tmp_path / "three.patch").write_bytes(base.diff_of({"three.txt": "3\n"}))
    done = landed(land("fix/*", str(tmp_path / "three.patch"), "--needs", "fix/two", "--json"))
    assert sorted(stream["name"] for stream in done["workstreams"]) == ["fix-one-und-2", "fix-two", "three"]
    assert base.git("show", "main:one.txt", "main:two.txt", "main:three.txt") == "1\n2\n3"
    order = base.git("log", "--first-parent", "--format=%s", "main").splitlines()
    assert order[-2] == "Merge fix-two into main"


def test_a_linked_worktree_lands_its_branch_into_the_main_line(
    base: GitRepo, land: Land, tmp_path: Path
) -> None:
    """Its commits alone, whatever the main work tree has checked out; with `--no-wait` `resume` lands it."""
    tree = tmp_path / "linked"
    base.git("worktree", "add", "-q", "-b", "linked", str(tree), "main")
    other = GitRepo(tree)
    other.commit({"l.txt": "l\n"})
    waiting = landed(land("--no-wait", "--json", cwd=tree))
    assert (waiting["state"], waiting["next_action"]["code"]) == ("pending", "resume")
    command = waiting["next_action"]["command"].split()[1:]
    assert maingate(*command, cwd=tree, home=tree.parent / "home").returncode == 0
    assert base.git("show", "main:l.txt") == "l"
    assert base.git("branch", "--show-current") == "agent"


def test_a_repository_without_gates_asks_for_one(base: GitRepo, land: Land) -> None:
    """And with a required one, none can be left out."""
    base.commit({"n.txt": "n\n"})
    assert "main requires good" in land("--no-gate").stderr
    base.git("switch", "-q", "main")
    base.commit({"maingate.toml": None})
    base.git("switch", "-q", "-c", "other")
    base.commit({"n.txt": "n\n"})
    refused = land()
    assert refused.returncode == 2
    assert all(each in refused.stderr for each in ("--gate NAME=COMMAND", "maingate.toml", "--no-gate"))
    assert land("--no-gate").returncode == 0


def detached(repo: GitRepo) -> None:
    """Leave no branch checked out."""
    repo.git("switch", "-q", "--detach")


def rebasing(repo: GitRepo) -> None:
    """Stop amid a rebase."""
    repo.commit({"b.txt": "mine\n"})
    repo.git("switch", "-q", "main")
    repo.commit({"b.txt": "theirs\n"})
    repo.git("switch", "-q", "agent")
    with pytest.raises(AssertionError):
        repo.git("rebase", "-q", "main")


@pytest.mark.parametrize(
    ("arrange", "args", "said"),
    [
        (lambda repo: repo.git("switch", "-q", "main"), (), "main is the target itself"),
        (detached, (), "HEAD is detached"),
        (rebasing, (), "a rebase is under way here"),
        (rebasing, ("agent",), "a rebase of agent is under way in"),
        (lambda repo: repo.git("switch", "-q", "--orphan", "empty"), (), "empty has no commits yet"),
        (lambda repo: repo.git("tag", "v1"), ("v1",), "'v1' is a tag, not a branch; "),
        (lambda repo: repo.git("tag", "agent"), ("agnet",), "did you mean 'agent'"),
        (lambda repo: repo.write({"agent": "x"}), ("agent",), "both a branch and a file"),
        (lambda _: None, ("nosuch*",), "no branch matches 'nosuch*'"),
        (lambda _: None, ("main",), "main is the target itself"),
        (lambda _: None, ("--", "-x"), "'-x' is no branch, range or file"),
        (lambda _: None, ("a b~^:",), "is no branch, range or file"),
        (lambda _: None, ("agent", "--into", "nosuch"), "has no branch nosuch"),
        (lambda _: None, ("agent", "--needs", "other"), "--needs other: it must land with the same command"),
        (lambda repo: repo.git("branch", "master"), ("agent",), "which branch to land on cannot be told"),
    ],
)
def test_what_cannot_land_is_refused_before_anything_starts(
    base: GitRepo, land: Land, arrange: Callable[[GitRepo], object], args: tuple[str, ...], said: str
) -> None:
    """In one sentence that says what to do."""
    arrange(base)
    done = land(*args)
    assert (done.returncode, said in " ".join(done.stderr.split())) == (2, True), done.stderr + done.stdout


def test_a_tag_of_the_same_name_is_not_mistaken_for_the_branch(base: GitRepo, land: Land) -> None:
    """Branches are looked up by their full names."""
    base.git("tag", "agent")
    base.commit({"t.txt": "t\n"})
    assert land("agent").returncode == 0
    assert base.git("show", "main:t.txt") == "t"


def test_a_branch_with_an_odd_name_and_binary_files(base: GitRepo, land: Land) -> None:
    """Its name may be no UTF-8; a policy that speaks of binary files is kept, and else they are allowed."""
    base.commit({"zero": b"\0\1\2"})
    base.git("update-ref", os.fsdecode(b"refs/heads/b\xff"), "HEAD")
    assert landed(land(os.fsdecode(b"b\xff"), "--json"))["workstreams"][0]["title"] == "b\\xff"
    base.git("switch", "-q", "main")
    base.commit({"maingate.toml": RULES + "[policy]\nbinary = false\n"})
    base.git("switch", "-q", "-c", "more")
    base.commit({"one": b"\0\1"})
    assert json.loads(land("--json").stdout)["next_action"]["code"] == "fix_patch"


def test_histories_that_cross_land_the_rest_of_a_branch(base: GitRepo, land: Land) -> None:
    """Each side has merged the other, so that there are two merge bases; the content is that of a merge."""
    base.commit({"a.txt": "one\n2\n3\n4\n5\n"})
    base.git("switch", "-q", "main")
    base.commit({"b.txt": "main\n"})
    base.git("tag", "before")
    base.git("merge", "-q", "-m", "agent into main", "agent")
    base.git("switch", "-q", "agent")
    base.git("merge", "-q", "-m", "main into agent", "before")
    base.commit({"a.txt": "one\n2\nthree\n4\n5\n"})
    base.git("switch", "-q", "main")
    base.commit({"a.txt": "one\n2\n3\n4\nfive\n"})
    assert len(base.git("merge-base", "--all", "main", "agent").split()) == 2
    assert landed(land("agent", "--json"))["items"][0]["merged"]
    assert base.git("show", "main:a.txt") == "one\n2\nthree\n4\nfive"


def test_a_diff_on_standard_input_is_a_piece_of_work(base: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words instead of a diff, in a mail too, are refused: nothing of them has landed."""
    monkeypatch.chdir(base.path)
    arguments = ["land", "-", "--dry-run", "--json"]
    done = CliRunner().invoke(app, arguments, input=base.diff_of({"in.txt": "in\n"}))
    assert (done.exit_code, json.loads(done.stdout)["items"][0]["patches"]) == (0, 1)
    for words in ("no diff at all\n", "From: A <a@b.org>\nSubject: [PATCH] lost\n\nThe diff is lost.\n"):
        refused = CliRunner().invoke(app, arguments, input=words)
        assert (refused.exit_code, "no diff found in standard input" in refused.stderr) == (2, True)
    mail = base.path / "lost.patch"
    mail.write_text(words)
    refused = CliRunner().invoke(app, ["land", str(mail)])
    assert (refused.exit_code, "no diff found in" in refused.stderr) == (2, True)


def test_the_title_is_the_message_of_a_diff_without_one(
    base: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mail keeps its own message, and so does a commit."""
    monkeypatch.chdir(base.path)
    diff = base.diff_of({"in.txt": "in\n"})
    mail = b"From: A <a@b.org>\nSubject: [PATCH] of the mail\n\n---\n" + base.diff_of({"mail.txt": "in\n"})
    for given in (diff, mail):
        done = CliRunner().invoke(app, ["land", "-", "--title", "of the title"], input=given)
        assert done.exit_code == 0, done.output
    base.commit({"own.txt": "own\n"}, "of the commit")
    assert CliRunner().invoke(app, ["land", "agent", "--title", "of the title"]).exit_code == 0
    said = base.git("log", "--format=%s", "--no-merges", "main").splitlines()
    assert sorted(each for each in said if each != "change") == [
        "of the commit",
        "of the mail",
        "of the title",
    ]


def test_the_command_that_rebases_names_the_branch(base: GitRepo, land: Land, tmp_path: Path) -> None:
    """It is right wherever it is typed, and brings the work to land; patches are made again."""
    base.git("switch", "-q", "-c", "work/it's", "main")
    base.commit({"a.txt": "mine\n", "b.txt": "b\nmine\n"})
    (tmp_path / "its.patch").write_text(base.git("diff", "main", "HEAD") + "\n")
    base.git("switch", "-q", "main")
    base.commit({"a.txt": "1\n2\n3\n4\nfive\n"})
    for work in ("work/*", "main..work/it's", str(tmp_path / "its.patch")):
        done = land(work)
        command = re.search(r"^ +(git rebase .*?)(?:  |$)", done.stdout, re.MULTILINE)
        assert (done.returncode, command is None) == (1, work != "work/*"), done.stdout
        assert ("make it again on the target" in done.stdout) == (command is None)
        if command is not None:
            rebase = command[1]
    subprocess.run([*shlex.split(rebase), "-X", "theirs", "-q"], cwd=base.path, check=True)
    assert base.git("branch", "--show-current") == "work/it's"
    assert land().returncode == 0
    assert base.git("show", "main:b.txt") == "b\nmine"


def test_a_bare_repository_lands_branches_that_are_named(base: GitRepo, land: Land, tmp_path: Path) -> None:
    """It has nothing checked out, and its gates are those of the target's tree."""
    base.commit({"n.txt": "bad\n"})
    base.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    bare = tmp_path / "bare.git"
    assert "a bare repository has no branch checked out" in land(cwd=bare).stderr
    assert "gate_failed" in land("agent", cwd=bare).stdout


def test_what_to_know_about_a_mail_is_told(base: GitRepo, land: Land) -> None:
    """Such as scissors, which are not cut at unless `plan import series` is asked to."""
    mail = (
        b"From: Ada <a@b.org>\nDate: Thu, 31 Dec 1959 23:59:59 +0000\nSubject: [PATCH] s\n\nhello\n-- >8 --\n"
        b"\nwhy\n---\n" + base.diff_of({"b.txt": "c\n"})
    )
    (base.path.parent / "m.eml").write_bytes(mail)
    done = land(str(base.path.parent / "m.eml"))
    assert done.returncode == 0, done.stderr
    assert "note: m.eml: the message has a scissors line; --scissors takes" in done.stdout
    assert "is before 1970, which git cannot keep" in done.stdout
    base.git("tag", "agent", "main~1")
    base.git("switch", "-q", "agent")
    base.git("reset", "-q", "--hard", "main")
    base.commit({"b.txt": "d\n"}, "d")
    assert "note: agent is the branch; tags/agent is another" in land("main..agent").stdout
