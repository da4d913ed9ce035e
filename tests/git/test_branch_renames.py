"""Renames of branches by their reflogs."""

from datetime import timedelta

from maingate.git.branch_renames import name_now, renames_of_branches
from support.factories import GitRepo


def test_a_branch_is_followed_from_a_moment_on(repo: GitRepo) -> None:
    """Through several renames; not by one from before the name was seen, and not to a branch that is gone."""
    repo.commit({"a": "1"})
    for old, new in (("a/x", "b"), ("b", "c/y"), ("other", "lost")):
        if repo.git("branch", "--list", old) == "":
            repo.git("branch", old)
        repo.git("branch", "-m", old, new)
    repo.git("branch", "-D", "lost")
    renames = renames_of_branches(repo.path / ".git")
    assert [(each.old, each.new) for each in renames] == [
        ("refs/heads/a/x", "refs/heads/b"),
        ("refs/heads/b", "refs/heads/c/y"),
    ]
    there, at = {"refs/heads/main", "refs/heads/c/y"}, renames[0].at
    assert name_now("refs/heads/a/x", at, renames, there) == "refs/heads/c/y"
    assert name_now("refs/heads/main", at, renames, there) == "refs/heads/main"
    assert name_now("refs/heads/a/x", at + timedelta(seconds=2), renames[:1], there) is None
    assert name_now("refs/heads/other", at, renames, there) is None


def test_a_repository_without_reflogs_knows_no_renames(repo: GitRepo) -> None:
    """As in a bare one."""
    repo.git("config", "core.logAllRefUpdates", "false")
    repo.git("branch", "one", repo.commit({"a": "1"}))
    repo.git("branch", "-m", "one", "two")
    assert renames_of_branches(repo.path / ".git") == []
