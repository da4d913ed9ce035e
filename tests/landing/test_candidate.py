"""Candidates change no path that no patch has changed, unless policy permits that."""

import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest

from maingate.commits import Candidate
from maingate.git.repository import Repository
from maingate.landing.candidate import build, moved
from maingate.landing.strayed import JudgeStrayed, Strayed
from maingate.patches.text.quoting import show_path
from maingate.plan.choices import LandingStyle
from maingate.reasons import Reason, ReasonCode
from support.factories import GitRepo
from support.landing_inputs import input_of, tip_of

TEXT = "".join(f"# line {number}\n" for number in range(40))


EDITED = TEXT.replace("line 7\n", "line seven\n")


def refuses(strayed: Strayed) -> Reason:
    """Refuse all that a merge changes elsewhere."""
    paths = [show_path(path) for path in strayed.paths]
    return Reason(code=ReasonCode.POLICY_VIOLATION, message="it strays", detail={"paths": paths})


def built(
    repo: GitRepo, commits: Sequence[str], onto: str, style: LandingStyle, judge: JudgeStrayed = refuses
) -> Candidate | Reason:
    """Build the candidate of a workstream of some commits in a row, on another commit."""
    with Repository.open(repo.path) as repository:
        landing = input_of(repository, commits)
        return build(
            repository,
            landing,
            style=style,
            onto=tip_of(repository, onto),
            target="refs/heads/main",
            at=datetime(2026, 1, 1, tzinfo=UTC),
            judge=judge,
        )


@pytest.mark.parametrize("style", LandingStyle)
@pytest.mark.parametrize("is_rewritten", [False, True], ids=["moved", "rewritten"])
def test_an_edit_follows_its_file_only_where_policy_lets_it(
    repo: GitRepo, style: LandingStyle, is_rewritten: bool
) -> None:
    """A policy has looked at `pub/f`; the file was moved to `secret/f` meanwhile, which may be forbidden."""
    first = repo.commit({"first": ""})
    base = repo.commit({"pub/f": TEXT})
    edit = repo.commit({"pub/f": EDITED})
    repo.git("reset", "-q", "--hard", first if is_rewritten else base)
    ahead = repo.commit({"secret/f": TEXT} if is_rewritten else {"pub/f": None, "secret/f": TEXT})
    refused = built(repo, [edit], ahead, style)
    assert isinstance(refused, Reason)
    assert (str(refused.code), refused.detail["paths"]) == ("policy_violation", ["secret/f"])
    permitted = built(repo, [edit], ahead, style, lambda _: None)
    assert isinstance(permitted, Candidate)
    assert repo.git("show", f"{permitted.tip.commit}:secret/f") == EDITED.strip()


def test_a_commit_that_is_made_again_does_not_follow_a_file_though_the_next_one_undoes_it(
    repo: GitRepo,
) -> None:
    """Each commit of a workstream lands as it is: one that goes astray is there, whatever comes after it."""
    base = repo.commit({"pub/f": TEXT, "other": ""})
    edits = [repo.commit({"pub/f": EDITED}), repo.commit({"pub/f": TEXT, "other": "new"})]
    repo.git("reset", "-q", "--hard", base)
    ahead = repo.commit({"pub/f": None, "secret/f": TEXT})
    refused = built(repo, edits, ahead, LandingStyle.REBASE)
    assert isinstance(refused, Reason)
    assert refused.detail["paths"] == ["secret/f"]


@pytest.mark.parametrize("style", LandingStyle)
def test_an_edit_beside_what_is_ahead_lands(repo: GitRepo, style: LandingStyle) -> None:
    """A file that stays where it is takes the edit, whatever else has moved."""
    base = repo.commit({"pub/f": TEXT, "pub/g": "g\n"})
    edit = repo.commit({"pub/f": EDITED})
    repo.git("reset", "-q", "--hard", base)
    ahead = repo.commit({"pub/f": f"{TEXT}more\n", "pub/g": None, "secret/g": "g\n"})
    candidate = built(repo, [edit], ahead, style)
    assert isinstance(candidate, Candidate)
    assert repo.git("show", f"{candidate.tip.commit}:pub/f") == f"{EDITED}more"


@pytest.mark.parametrize("style", LandingStyle)
def test_what_the_target_has_already_is_there_whichever_way_it_was_made(
    repo: GitRepo, style: LandingStyle
) -> None:
    """A series that comes to what is ahead in two steps; the first of them alone conflicts with that."""
    base = repo.commit({"f": TEXT})
    commits = [repo.commit({"f": TEXT.replace("line 7\n", "line six\n")}), repo.commit({"f": EDITED})]
    repo.git("reset", "-q", "--hard", base)
    ahead = repo.commit({"f": EDITED, "other": ""})
    refused = built(repo, commits, ahead, style)
    assert isinstance(refused, Reason)
    assert refused.code is ReasonCode.ALREADY_APPLIED


@pytest.mark.parametrize("style", LandingStyle)
def test_a_series_that_conflicts_with_what_is_ahead_is_not_there(repo: GitRepo, style: LandingStyle) -> None:
    """The target has one of its two changes, and another in place of the second."""
    base = repo.commit({"f": TEXT, "g": "g\n"})
    commits = [repo.commit({"f": EDITED}), repo.commit({"g": "one\n"})]
    repo.git("reset", "-q", "--hard", base)
    refused = built(repo, commits, repo.commit({"f": EDITED, "g": "two\n"}), style)
    assert isinstance(refused, Reason)
    assert refused.code is ReasonCode.CONFLICT


def test_a_commit_that_the_target_has_already_is_left_out_of_those_made_again(repo: GitRepo) -> None:
    """It stands for the commit before it, whose paths it did not change: nothing went astray."""
    base = repo.commit({"a": "", "b": ""})
    edits = [repo.commit({"a": "new"}), repo.commit({"b": "new"})]
    repo.git("reset", "-q", "--hard", base)
    ahead = repo.commit({"b": "new"})
    candidate = built(repo, edits, ahead, LandingStyle.REBASE)
    assert isinstance(candidate, Candidate)
    assert set(candidate.commits.values()) == {candidate.tip.commit}


Files = Mapping[str, str | bytes | None]
FOLDER: Files = {f"pub/{name}": f"{name}\n{TEXT}" for name in "xyz"}
MOVED: Files = {
    **{f"pub/{name}": None for name in "xyz"},
    **{f"new/{name}": f"{name}\n{TEXT}" for name in "xyz"},
}
EDIT: Files = {"pub/x": f"x\n{EDITED}"}
MOVES: list[tuple[str, Files, Files, set[str]]] = [
    ("file", {"pub/x": None, "new/x": f"x\n{TEXT}"}, EDIT, {"new/x"}),
    ("file-and-edit", {"pub/x": None, "new/x": f"x\n{TEXT}more\n"}, EDIT, {"new/x"}),
    ("folder", MOVED, EDIT, {"new/x"}),
    ("folder-with-an-addition", MOVED, {"pub/w": "w\n"}, {"new/w"}),
    ("folder-of-the-workstream", {"pub/w": "w\n"}, MOVED, {"pub/w", "new/w"}),
    ("case", {"pub/x": None, "pub/X": f"x\n{TEXT}"}, EDIT, {"pub/X"}),
    ("settings", {"pub/x": None, "maingate.toml": f"x\n{TEXT}"}, EDIT, {"maingate.toml"}),
    ("both-to-one", {"pub/x": None, "new/x": f"x\n{TEXT}"}, {"pub/x": None, "new/x": f"x\n{EDITED}"}, set()),
    ("both-to-two", {"pub/x": None, "new/x": f"x\n{TEXT}"}, {"pub/x": None, "old/x": f"x\n{EDITED}"}, set()),
    ("beside", {"pub/x": None, "new/x": f"x\n{TEXT}"}, {"pub/y": f"y\n{EDITED}"}, set()),
]


@pytest.mark.parametrize("folders", ["", "true", "false"])
@pytest.mark.parametrize(
    ("ahead", "own", "strayed"), [each[1:] for each in MOVES], ids=[each[0] for each in MOVES]
)
def test_a_merge_of_what_has_moved_is_that_of_git(
    repo: GitRepo, ahead: Files, own: Files, strayed: set[str], folders: str
) -> None:
    """Policy is asked about the paths that git changes and no patch names; else the tree is git's."""
    if folders:
        repo.git("config", "merge.directoryRenames", folders)
    base = repo.commit(FOLDER)
    commit = repo.commit(own)
    repo.git("reset", "-q", "--hard", base)
    onto = repo.commit(ahead)
    asked: set[str] = set()

    def judge(found: Strayed) -> None:
        asked.update(map(show_path, found.paths))

    candidate = built(repo, [commit], onto, LandingStyle.MERGE, judge)
    if git_merges(repo, commit):
        assert isinstance(candidate, Candidate)
        assert candidate.tip.tree == repo.tree()
        assert asked == {path for path in strayed if folders == "true" or "/w" not in path}
    else:
        assert isinstance(candidate, Reason)
        assert (str(candidate.code), asked) == ("conflict", set())


def git_merges(repo: GitRepo, commit: str) -> bool:
    """Merge a commit as a person does; return whether git could."""
    done = subprocess.run(
        ["git", "merge", "-q", "--no-ff", "-m", "x", commit], cwd=repo.path, capture_output=True, check=False
    )
    return done.returncode == 0


def test_a_mode_that_changes_with_the_name_stays(repo: GitRepo) -> None:
    """The target made the file executable where it moved it; the edit comes there and changes no mode."""
    base = repo.commit(FOLDER)
    commit = repo.commit(EDIT)
    repo.git("reset", "-q", "--hard", base)
    repo.git("mv", "pub/x", "run")
    (repo.path / "run").chmod(0o755)
    onto = repo.commit({})
    candidate = built(repo, [commit], onto, LandingStyle.MERGE, lambda _: None)
    assert isinstance(candidate, Candidate)
    assert git_merges(repo, commit)
    assert candidate.tip.tree == repo.tree()
    assert repo.git("ls-tree", candidate.tip.commit, "run").startswith("100755 ")


def test_each_patch_answers_for_what_it_changes_itself(repo: GitRepo) -> None:
    """Two patches change files that the target has moved apart: neither is asked about the other's."""
    base = repo.commit(FOLDER)
    commits = [repo.commit({f"pub/{name}": f"{name}\n{EDITED}"}) for name in "xy"]
    repo.git("reset", "-q", "--hard", base)
    onto = repo.commit({"pub/x": None, "one": f"x\n{TEXT}", "pub/y": None, "two": f"y\n{TEXT}"})
    asked: list[tuple[str, list[str]]] = []

    def judge(found: Strayed) -> None:
        asked.append((found.patch, [show_path(path) for path in found.paths]))

    assert isinstance(built(repo, commits, onto, LandingStyle.MERGE, judge), Candidate)
    assert asked == [("patch_0", ["one"]), ("patch_1", ["two"])]


def test_where_patches_cannot_be_told_apart_each_answers_for_all(repo: GitRepo) -> None:
    """The first patch conflicts with the target by itself, the second mends that: the whole merges."""
    base = repo.commit(FOLDER)
    first = repo.commit({"pub/x": f"x\n{EDITED}", "pub/y": "gone\n"})
    commits = [first, repo.commit({"pub/y": f"y\n{TEXT}"})]
    repo.git("reset", "-q", "--hard", base)
    onto = repo.commit({"pub/x": None, "one": f"x\n{TEXT}", "pub/y": f"y\n{TEXT}more\n"})
    asked: list[tuple[str, list[str]]] = []

    def judge(found: Strayed) -> None:
        asked.append((found.patch, [show_path(path) for path in found.paths]))

    assert isinstance(built(repo, commits, onto, LandingStyle.MERGE, judge), Candidate)
    assert asked == [("patch_0", ["one"]), ("patch_1", ["one"])]


@pytest.mark.parametrize("style", LandingStyle)
@pytest.mark.parametrize("is_rewritten", [False, True], ids=["moved", "rewritten"])
def test_a_candidate_that_is_moved_has_nothing_of_where_it_was(
    repo: GitRepo, style: LandingStyle, is_rewritten: bool
) -> None:
    """What is ahead gets its seal when it lands, and what was built on it is put on the sealed commit."""
    first = repo.commit({"first": ""})
    base = repo.commit({"base": ""})
    edits = [repo.commit({"a": "new"}), repo.commit({"b": "new"})]
    repo.git("reset", "-q", "--hard", first if is_rewritten else base)
    unsealed = repo.commit({"ahead": ""})
    sealed = repo.git("commit-tree", f"{unsealed}^{{tree}}", "-p", f"{unsealed}^", "-m", "sealed").strip()
    candidate = built(repo, edits, unsealed, style)
    assert isinstance(candidate, Candidate)
    with Repository.open(repo.path) as repository:
        onto = moved(repository, candidate, tip_of(repository, sealed))
    history = repo.git("rev-list", onto.tip.commit).split()
    assert sealed in history
    assert unsealed not in history
    assert {*onto.commits.values(), *(tip.commit for _, tip in onto.steps)} <= {*history}
    assert repo.git("rev-parse", f"{onto.tip.commit}^{{tree}}").strip() == candidate.tip.tree
    if style is LandingStyle.MERGE and not is_rewritten:
        assert {*edits} <= {*history}
