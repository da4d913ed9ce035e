"""The target that an imported plan names."""

from pathlib import Path

import pytest

from maingate.importers.default_target import default_target
from support.factories import GitRepo


@pytest.fixture
def base(repo: GitRepo) -> GitRepo:
    """Give a repository with a branch besides the one that is checked out."""
    repo.commit({"f": "1\n"}, "base")
    repo.git("branch", "feature")
    repo.git("branch", "release")
    return repo


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("release..feature", "release"),
        ("refs/heads/release..feature", "release"),
        ("heads/release..feature", "release"),
        ("refs/tags/release..feature", "main"),
        ("HEAD~0..feature", "main"),
        ("main~0..main", None),
        ("main~0..heads/main", None),
        ("a.mbox", "main"),
        ("", "main"),
    ],
)
def test_a_range_lands_where_it_begins_and_the_rest_on_the_branch_here(
    base: GitRepo, source: str, target: str | None
) -> None:
    """A range that ends at that branch names none: its patches are on it already."""
    assert default_target(base.path, source) == (target, "")


def test_the_branch_of_a_linked_work_tree_is_no_default(base: GitRepo, tmp_path: Path) -> None:
    """It is most often the work itself; the main one's is named, and that is told."""
    base.git("worktree", "add", "-q", str(tmp_path / "linked"), "feature")
    told = "target: main, the branch of the main work tree; here feature is"
    assert default_target(tmp_path / "linked") == ("main", told)
    base.git("checkout", "-q", "--detach")
    assert default_target(tmp_path / "linked") == (None, "")


def test_where_there_is_no_repository_there_is_no_target(tmp_path: Path) -> None:
    """Nor in one without commits."""
    assert default_target(tmp_path) == default_target(tmp_path / "missing") == (None, "")
    assert default_target(GitRepo.create(tmp_path / "empty").path) == (None, "")
