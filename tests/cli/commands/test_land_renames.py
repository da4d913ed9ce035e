"""A branch whose files were renamed on the target lands as git merges it, where policy permits that."""

from pathlib import Path

import pytest

from support.command_line import Call, called_in, json_of
from support.factories import GitRepo

RULES = '[gates.good]\nrun = "true"\n[policy]\nforbid = ["secret/**"]\n'
LINES = "".join(f"line {n}\n" for n in range(1, 30))
EDITED = LINES.replace("line 7\n", "line seven\n")


@pytest.fixture
def base(repo: GitRepo) -> GitRepo:
    """Give a repository with a gate and a policy of its own, and a branch that edits a file."""
    repo.commit({"maingate.toml": RULES, "a.txt": LINES, "b.txt": "b\n"}, "base")
    repo.git("switch", "-q", "-c", "edit")
    repo.commit({"a.txt": EDITED}, "edit")
    repo.git("switch", "-q", "main")
    return repo


@pytest.fixture
def call(base: GitRepo, hermetic_environment: Path) -> Call:
    """Give the command line in the repository."""
    return called_in(base.path, hermetic_environment)


def test_an_edit_lands_where_its_file_is_and_is_proved_and_taken_back_there(
    base: GitRepo, call: Call
) -> None:
    """The dry run says so, the branch has git's own tree, its proof holds, and a rollback finds the file."""
    before = base.commit({"a.txt": None, "dir/moved.txt": LINES}, "move")
    base.git("switch", "-q", "-c", "by-git")
    base.git("merge", "-q", "-m", "merge", "edit")
    base.git("switch", "-q", "main")
    assert json_of(call("land", "edit", "--dry-run", "--json"), 0)["trial"]["items"][0]["state"] == "clear"
    run = json_of(call("land", "edit", "--json"), 0)
    assert base.tree("main") == base.tree("by-git")
    assert base.git("rev-parse", "main^1", "main^2").split() == [before, base.head("edit")]
    assert call("prove", "main").returncode == 0
    assert call("audit", "verify").returncode == 0
    assert call("rollback", run["run_id"], "--reason", "x").returncode == 0
    assert base.tree("main") == base.tree(before)


COMMENTED = RULES + LINES.replace("line", "# line")


@pytest.mark.parametrize(
    ("name", "moved_to", "rule"),
    [("a.txt", "secret/a.txt", "forbid"), ("rules.toml", "maingate.toml", "allow_settings_changes")],
    ids=["forbidden", "settings"],
)
def test_an_edit_that_would_come_to_where_policy_forbids_is_refused_with_its_reason(
    base: GitRepo, call: Call, name: str, moved_to: str, rule: str
) -> None:
    """The dry run and the landing give the same reason, which names the path; the branch stays."""
    base.commit({"rules.toml": COMMENTED, "maingate.toml": None if moved_to == "maingate.toml" else RULES})
    base.git("switch", "-q", "-C", "edit")
    text = (base.path / name).read_text()
    base.commit({name: text.replace("line 7\n", "line seven\n")}, "edit")
    base.git("switch", "-q", "main")
    before = base.commit({name: None, moved_to: text}, "move")
    (tried,) = json_of(call("land", "edit", "--dry-run", "--json"), 1)["trial"]["items"]
    (refused,) = json_of(call("land", "edit", "--json"), 1)["workstreams"]
    assert tried["state"] == "refused"
    for reason in (tried["reason"], refused["reason"]):
        assert (reason["code"], reason["detail"]["rule"]) == ("policy_violation", rule)
        assert moved_to in reason["message"]
    assert base.head("main") == before


def test_options_by_which_maingate_cannot_merge_are_refused_before_anything_is_done(
    base: GitRepo, call: Call
) -> None:
    """The setting is named, by the dry run as by the landing; without it the run goes on."""
    before = base.commit({"a.txt": LINES + "more\n"}, "main")
    base.git("config", "branch.main.mergeOptions", "-s ours")
    for words in (["--dry-run"], []):
        done = call("land", "edit", *words)
        assert done.returncode != 0
        assert "branch.main.mergeOptions has `-s ours`" in " ".join(done.stderr.split())
    assert base.head("main") == before
    base.git("config", "branch.main.mergeOptions", "-X ours")
    done = call("land", "edit")
    assert done.returncode == 0, done.stderr
    assert base.git("show", "main:a.txt") == EDITED + "more"


def test_a_branch_follows_a_rename_by_one_ahead_of_it(base: GitRepo, call: Call) -> None:
    """Both land together, by the commits that they were made as; the dry run finds no conflict."""
    base.git("switch", "-q", "-c", "move")
    base.commit({"a.txt": None, "moved.txt": LINES}, "move")
    base.git("switch", "-q", "main")
    trial = json_of(call("land", "move", "edit", "--dry-run", "--json"), 0)["trial"]
    assert ([item["state"] for item in trial["items"]], trial["conflicts"]) == (["clear", "clear"], [])
    json_of(call("land", "move", "edit", "--json"), 0)
    assert base.git("show", "main:moved.txt") == EDITED.strip()


@pytest.mark.parametrize("style", ["squash", "rebase"])
def test_other_landings_follow_a_rename_as_git_does(base: GitRepo, call: Call, style: str) -> None:
    """Both commits of the branch edit the file, which the target has moved and edited before the run."""
    base.git("switch", "-q", "edit")
    base.commit({"a.txt": EDITED.replace("line 8\n", "line eight\n"), "b.txt": "bb\n"}, "again")
    base.git("switch", "-q", "main")
    base.commit({"a.txt": None, "dir/moved.txt": LINES.replace("line 20\n", "line twenty\n")}, "move")
    base.git("switch", "-q", "-c", "by-git", "main" if style == "squash" else "edit")
    base.git(*(["merge", "-q", "--squash", "edit"] if style == "squash" else ["rebase", "-q", "main"]))
    base.git(*(["commit", "-q", "-m", "squashed"] if style == "squash" else ["status"]))
    base.git("switch", "-q", "main")
    words = ("land", "edit", "--landing", style, "--json")
    assert json_of(call(*words, "--dry-run"), 0)["trial"]["items"][0]["state"] == "clear"
    run = json_of(call(*words), 0)
    assert base.tree("main") == base.tree("by-git")
    repairs = [repair for task in run["tasks"] for repair in task["patch"]["repairs"]]
    moved = [repair for repair in repairs if repair["kind"] == "moved"]
    assert [(each["from"], each["to"]) for each in moved] == [("a.txt", "dir/moved.txt")] * 2
    assert json_of(call("land", "edit", "--landing", style, "--json"), 0)["run_id"] is None
    assert call("rollback", run["run_id"], "--reason", "x").returncode == 0
    assert call("audit", "verify").returncode == 0


@pytest.mark.parametrize("style", ["squash", "rebase"])
def test_other_landings_have_policy_judge_the_new_path(base: GitRepo, call: Call, style: str) -> None:
    """The reason names the path that the edit would have reached."""
    before = base.commit({"a.txt": None, "secret/a.txt": LINES}, "move")
    words = ("land", "edit", "--landing", style, "--json")
    (tried,) = json_of(call(*words, "--dry-run"), 1)["trial"]["items"]
    run = json_of(call(*words), 1)
    for reason in (tried["reason"], run["tasks"][0]["reason"]):
        assert (reason["code"], reason["detail"]["rule"]) == ("policy_violation", "forbid")
        assert "secret/a.txt" in reason["message"]
    assert base.head("main") == before


def test_a_file_that_is_gone_is_followed_nowhere(base: GitRepo, call: Call) -> None:
    """The target has removed it, and had a file like it before: git finds a conflict, too."""
    base.git("switch", "-q", "-C", "main", "edit~1")
    base.commit({"like.txt": LINES + "more\n"}, "like it")
    base.git("switch", "-q", "-C", "edit")
    base.commit({"a.txt": EDITED}, "edit")
    base.git("switch", "-q", "main")
    before = base.commit({"a.txt": None}, "gone")
    (task,) = json_of(call("land", "edit", "--landing", "squash", "--json"), 1)["tasks"]
    assert task["reason"]["code"] == "conflict"
    assert base.head("main") == before


@pytest.mark.parametrize("style", ["merge", "squash", "rebase"])
@pytest.mark.parametrize("renames", ["conflict", "true", "false"])
def test_a_new_file_of_a_folder_that_was_moved_is_placed_as_git_places_it(
    base: GitRepo, call: Call, style: str, renames: str
) -> None:
    """By `merge.directoryRenames` it goes along, stays, or conflicts, by the dry run as by the landing."""
    base.git("config", "merge.directoryRenames", renames)
    base.commit({"dir/a": "a\n" * 9, "dir/b": "b\n" * 9})
    base.git("switch", "-q", "-C", "edit")
    base.commit({"dir/first": "1\n"}, "first")
    base.commit({"dir/second": "2\n"}, "second")
    base.git("switch", "-q", "main")
    base.git("mv", "dir", "moved")
    before = base.commit({}, "move")
    words, code = ("land", "edit", "--landing", style, "--json"), int(renames == "conflict")
    tried = json_of(call(*words, "--dry-run"), code)["trial"]["items"][0]["state"]
    json_of(call(*words), code)
    if renames == "conflict":
        assert (tried, base.head("main")) == ("refused", before)
    else:
        folder = "moved" if renames == "true" else "dir"
        assert base.git("show", f"main:{folder}/first", f"main:{folder}/second") == "1\n2"


@pytest.mark.parametrize("style", ["merge", "squash", "rebase"])
def test_the_removal_of_a_file_that_was_moved_is_a_conflict(base: GitRepo, call: Call, style: str) -> None:
    """As for git; the move takes the path away, too, and has not done what the branch does."""
    base.git("switch", "-q", "-C", "edit")
    base.commit({"new.txt": "new\n"}, "new")
    base.commit({"a.txt": None}, "remove")
    base.git("switch", "-q", "main")
    before = base.commit({"a.txt": None, "moved.txt": EDITED}, "move")
    done = json_of(call("land", "edit", "--landing", style, "--json"), 1)
    reasons = [task["reason"]["code"] for task in done["tasks"] if task["reason"]]
    assert "conflict" in reasons
    assert base.head("main") == before
