"""What is made of the target changes none of Maingate's own settings that no patch has named."""

import pytest

from maingate.commits import Candidate, Tip
from maingate.git.merge import merge_trees
from maingate.git.repository import Repository
from maingate.landing.candidate import change_of_settings
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
