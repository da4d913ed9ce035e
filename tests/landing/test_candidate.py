"""Candidates change no path that no patch has changed, and none of Maingate's own settings."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from maingate.commits import Candidate, LandingInput, Tip
from maingate.git.merge import merge_trees
from maingate.git.repository import Repository
from maingate.ids import PatchId, RunId, WorkstreamId
from maingate.landing.candidate import build, change_of_settings
from maingate.plan.choices import LandingStyle
from maingate.reasons import Reason
from support.factories import GitRepo

TEXT = "".join(f"# line {number}\n" for number in range(40))


@pytest.mark.parametrize(("name", "is_refused"), [("maingate.toml", True), ("settings.toml", False)])
def test_a_merge_that_follows_a_rename_into_the_settings_is_refused(
    repo: GitRepo, name: str, is_refused: bool
) -> None:
    """A patch of a file that becomes `maingate.toml` meanwhile changes settings without naming them."""
    base = repo.commit({"other.toml": TEXT})
    theirs = repo.commit({"other.toml": f"{TEXT}workers = 7\n"})
    repo.git("reset", "-q", "--hard", base)
    repo.git("mv", "other.toml", name)
    ours = repo.commit({})
    with Repository.open(repo.path) as repository:
        trees = {commit: repository.tree_of(commit) for commit in (base, ours, theirs)}
        merged = merge_trees(repository, base=trees[base], ours=trees[ours], theirs=trees[theirs])
        assert isinstance(merged, str)
        assert b"workers" in (repository.blob_at(merged, name.encode()) or pytest.fail("no blob")).data
        candidate = Candidate(
            onto=Tip(commit=ours, tree=trees[ours]), tip=Tip(commit=theirs, tree=merged), commits={}
        )
        refusal = change_of_settings(repository, candidate)
    assert (refusal is not None) is is_refused
    if refusal is not None:
        assert (str(refusal.code), refusal.detail["path"]) == ("policy_violation", "maingate.toml")


EDITED = TEXT.replace("line 7\n", "line seven\n")


def built(repo: GitRepo, commits: Sequence[str], onto: str, style: LandingStyle) -> Candidate | Reason:
    """Build the candidate of a workstream of some commits in a row, on another commit."""
    with Repository.open(repo.path) as repository:

        def tip(commit: str) -> Tip:
            return Tip(commit=commit, tree=repository.tree_of(commit))

        landing = LandingInput(
            workstream=WorkstreamId("ws_1"),
            name="edit",
            title="",
            base=tip(repo.git("rev-parse", f"{commits[0]}^")),
            settled=tip(commits[-1]),
            commits=[(PatchId(f"patch_{number}"), commit) for number, commit in enumerate(commits)],
            gates=(),
            intents=(),
            open_intent=None,
        )
        return build(
            repository,
            landing,
            run_id=RunId("run_1"),
            style=style,
            onto=tip(onto),
            target="refs/heads/main",
            at=datetime(2026, 1, 1, tzinfo=UTC),
        )


@pytest.mark.parametrize("style", LandingStyle)
@pytest.mark.parametrize("is_rewritten", [False, True], ids=["moved", "rewritten"])
def test_an_edit_does_not_follow_its_file_to_where_no_patch_has_named_it(
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
    assert (str(refused.code), refused.detail["paths"]) == ("conflict", ["secret/f"])


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


def test_a_commit_that_the_target_has_already_is_left_out_of_those_made_again(repo: GitRepo) -> None:
    """It stands for the commit before it, whose paths it did not change: nothing went astray."""
    base = repo.commit({"a": "", "b": ""})
    edits = [repo.commit({"a": "new"}), repo.commit({"b": "new"})]
    repo.git("reset", "-q", "--hard", base)
    ahead = repo.commit({"b": "new"})
    candidate = built(repo, edits, ahead, LandingStyle.REBASE)
    assert isinstance(candidate, Candidate)
    assert set(candidate.commits.values()) == {candidate.tip.commit}
