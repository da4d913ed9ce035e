"""Working trees are found wherever they are, and asked with the person's configuration."""

from pathlib import Path

import pytest

from maingate.git.repository import Repository
from maingate.landing.checkouts.working_trees import all_checkouts, checkouts_of, why_away
from support.factories import GitRepo

MAIN = "refs/heads/main"
SIDE = "refs/heads/side"


@pytest.fixture(name="opened")
def _opened(repo: GitRepo) -> Repository:
    repo.commit({"a.txt": "1\n"}, "first")
    return Repository.open(repo.path)


def tops(opened: Repository, ref: str) -> list[Path]:
    """List where a branch is checked out."""
    return [each.top for each in checkouts_of(opened, ref)]


def test_the_main_working_tree_is_found(repo: GitRepo, opened: Repository) -> None:
    """A branch that is checked out there is; another is not; with HEAD detached none is."""
    repo.git("branch", "other")
    assert tops(opened, MAIN) == [repo.path]
    assert tops(opened, "refs/heads/other") == []
    repo.git("checkout", "-q", "--detach")
    assert tops(opened, MAIN) == []


def test_a_working_tree_elsewhere_is_found_there(repo: GitRepo, opened: Repository, tmp_path: Path) -> None:
    """With `core.worktree` the files are where that says, and git is asked about them there."""
    del opened
    elsewhere = tmp_path / "files"
    elsewhere.mkdir()
    (elsewhere / "a.txt").write_text("1\n")
    repo.git("config", "core.worktree", str(elsewhere))
    checkout = checkouts_of(Repository.open(repo.path / ".git"), MAIN)[0]
    assert checkout.top == elsewhere
    assert checkout.git("diff", "--name-only").stdout == b""


def test_a_working_tree_on_another_name_of_a_branch_has_it_checked_out(
    repo: GitRepo, opened: Repository
) -> None:
    """HEAD may name a symbolic ref, such as the old name of a renamed branch: what that leads to counts.

    A ref that is broken, of whichever working tree, stands for itself and is no reason to stop.
    """
    repo.git("branch", "-m", "main", "trunk")
    repo.git("symbolic-ref", MAIN, "refs/heads/trunk")
    repo.git("symbolic-ref", "HEAD", MAIN)
    assert tops(opened, "refs/heads/trunk") == [repo.path]
    (repo.path / ".git" / MAIN).write_text("ref: refs/heads/main\n")
    assert tops(opened, "refs/heads/trunk") == []


def test_linked_working_trees_are_found(repo: GitRepo, opened: Repository, tmp_path: Path) -> None:
    """A branch checked out in a linked working tree is found there, from wherever it is looked for."""
    linked = tmp_path / "linked"
    repo.git("worktree", "add", "-q", "-b", "side", str(linked))
    assert tops(opened, SIDE) == [linked]
    assert tops(Repository.open(linked), MAIN) == [repo.path]
    assert [each.is_there for each in all_checkouts(opened)] == [True, True]


@pytest.mark.parametrize("put", ["nothing", "an empty folder", "another repository"])
def test_one_that_is_away_still_has_its_branch(
    repo: GitRepo, opened: Repository, tmp_path: Path, put: str
) -> None:
    """A disk that is not mounted leaves nothing, or a folder of that name; its branch is checked out yet."""
    linked = tmp_path / "linked"
    repo.git("worktree", "add", "-q", "-b", "side", str(linked))
    linked.rename(tmp_path / "away")
    if put != "nothing":
        linked.mkdir()
    if put == "another repository":
        repo.git("init", "-q", str(linked))
    (found,) = checkouts_of(opened, SIDE)
    assert not found.is_there
    assert "git worktree prune" in why_away(found, SIDE)
    (found.git_dir / "locked").touch()
    (found,) = checkouts_of(opened, SIDE)
    assert found.is_locked
    assert f"git worktree unlock {linked}" in why_away(found, SIDE)


def test_a_bare_repository_has_no_working_tree_of_its_own(
    repo: GitRepo, opened: Repository, tmp_path: Path
) -> None:
    """Its HEAD names a branch, yet nothing is checked out; a linked working tree of it counts."""
    del opened
    repo.git("clone", "-q", "--bare", str(repo.path), str(tmp_path / "bare.git"))
    bare = Repository.open(tmp_path / "bare.git")
    assert tops(bare, MAIN) == []
    linked = tmp_path / "linked"
    repo.git("--git-dir", str(tmp_path / "bare.git"), "worktree", "add", "-q", str(linked), "main")
    (checkout,) = checkouts_of(bare, MAIN)
    assert checkout.top == linked
    assert checkout.git("status", "--porcelain").stdout == b""


@pytest.mark.parametrize("put", ["nothing", "a folder"])
def test_a_working_tree_without_a_head_stops_no_other(
    repo: GitRepo, opened: Repository, tmp_path: Path, put: str
) -> None:
    """A work tree that was half made or half removed has no branch checked out, as git, too, has it."""
    linked = tmp_path / "linked"
    repo.git("worktree", "add", "-q", "-b", "side", str(linked))
    head = repo.path / ".git/worktrees/linked/HEAD"
    head.unlink()
    if put == "a folder":
        head.mkdir()
    assert "(detached HEAD)" in repo.git("worktree", "list")
    assert (tops(opened, MAIN), tops(opened, SIDE)) == ([repo.path], [])


def test_a_branch_being_rebased_counts_as_checked_out(repo: GitRepo, opened: Repository) -> None:
    """During a rebase HEAD is detached, but the branch will be moved at its end: hands off."""
    repo.git("branch", "base")
    repo.commit({"a.txt": "ours\n"})
    repo.git("checkout", "-q", "base")
    repo.commit({"a.txt": "theirs\n"})
    repo.git("checkout", "-q", "main")
    with pytest.raises(AssertionError, match="rebase"):
        repo.git("rebase", "-q", "base")
    assert tops(opened, MAIN) == [repo.path]
