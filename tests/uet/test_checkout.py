"""The person's checkouts: found, looked at, and moved along with their branch without losing anything."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from factories import GitRepo
from maingate.uet.checkout import (
    checked_out_at,
    dirt,
    fast_forward_blockers,
    fast_forward_checkout,
    is_dirty,
)
from maingate.uet.repository import Repository

MAIN = "refs/heads/main"


@pytest.fixture(name="opened")
def _opened(repo: GitRepo) -> Repository:
    repo.commit({"a.txt": "1\n", "b.txt": "1\n", "dir/c.txt": "1\n", ".gitignore": "*.ignored\n"}, "first")
    return Repository.open(repo.path)


def landed(repo: GitRepo, files: dict[str, str | bytes | None]) -> tuple[str, str]:
    """Make a commit elsewhere and move main to it, as a landing does; the checkout stays behind."""
    old = repo.head()
    new = repo.commit(files)
    repo.git("reset", "-q", "--hard", old)
    repo.git("update-ref", MAIN, new, old)
    return old, new


# where a branch is checked out


def test_the_main_working_tree_is_found(repo: GitRepo, opened: Repository) -> None:
    """A branch that is checked out there is; another is not; with HEAD detached none is."""
    repo.git("branch", "other")
    assert checked_out_at(opened, MAIN) == repo.path
    assert checked_out_at(opened, "refs/heads/other") is None
    repo.git("checkout", "-q", "--detach")
    assert checked_out_at(opened, MAIN) is None


def test_linked_working_trees_are_found(repo: GitRepo, opened: Repository, tmp_path: Path) -> None:
    """A branch checked out in a linked working tree is found there, until that is gone from disk."""
    linked = tmp_path / "linked"
    repo.git("worktree", "add", "-q", "-b", "side", str(linked))
    assert checked_out_at(opened, "refs/heads/side") == linked
    assert checked_out_at(Repository.open(linked), MAIN) == repo.path
    linked.rename(tmp_path / "elsewhere")
    assert checked_out_at(opened, "refs/heads/side") is None


def test_a_bare_repository_has_no_working_tree_of_its_own(
    repo: GitRepo, opened: Repository, tmp_path: Path
) -> None:
    """Its HEAD names a branch, yet nothing is checked out; a linked working tree of it counts."""
    repo.git("clone", "-q", "--bare", str(repo.path), str(tmp_path / "bare.git"))
    bare = Repository.open(tmp_path / "bare.git")
    assert checked_out_at(bare, MAIN) is None
    assert checked_out_at(opened, MAIN) == repo.path


def test_a_branch_being_rebased_counts_as_checked_out(repo: GitRepo, opened: Repository) -> None:
    """During a rebase HEAD is detached, but the branch will be moved at its end: hands off."""
    repo.git("branch", "base")
    repo.commit({"a.txt": "ours\n"})
    repo.git("checkout", "-q", "base")
    repo.commit({"a.txt": "theirs\n"})
    repo.git("checkout", "-q", "main")
    with pytest.raises(AssertionError, match="rebase"):
        repo.git("rebase", "-q", "base")
    assert checked_out_at(opened, MAIN) == repo.path
    assert "a rebase is in progress" in dirt(repo.path)


# dirty or not


@pytest.mark.usefixtures("opened")
def test_untracked_files_are_not_dirt(repo: GitRepo) -> None:
    """A clean checkout with new files beside it is clean."""
    repo.write({"untracked": "x", "x.ignored": "x"})
    (repo.path / "a.txt").touch()
    assert not is_dirty(repo.path)


@pytest.mark.usefixtures("opened")
def test_changes_are_dirt_staged_or_not(repo: GitRepo) -> None:
    """A changed file counts before and after `git add`, and so does a deleted one."""
    repo.write({"a.txt": "2\n", "b.txt": "2\n", "dir/c.txt": None})
    repo.git("add", "b.txt")
    assert dirt(repo.path) == tuple(
        f"{name} has uncommitted changes" for name in ("a.txt", "b.txt", "dir/c.txt")
    )


@pytest.mark.usefixtures("opened")
def test_long_lists_of_dirt_are_cut(repo: GitRepo) -> None:
    """People see twenty files and how many more there are."""
    repo.commit({f"f{number:02d}": "1" for number in range(25)})
    repo.write({f"f{number:02d}": "2" for number in range(25)})
    found = dirt(repo.path)
    assert len(found) == 21
    assert found[-1] == "and 5 more files have uncommitted changes"


@pytest.mark.usefixtures("opened")
def test_a_merge_in_progress_is_dirt(repo: GitRepo) -> None:
    """A merge without conflicts that is not committed yet has a clean-looking tree and is not clean."""
    repo.git("branch", "side")
    repo.commit({"a.txt": "2\n"})
    repo.git("checkout", "-q", "side")
    repo.commit({"b.txt": "2\n"})
    repo.git("merge", "-q", "--no-ff", "--no-commit", "-s", "ours", "main")
    assert dirt(repo.path) == ("a merge is in progress",)


def test_the_persons_line_endings_are_not_dirt(
    repo: GitRepo, opened: Repository, hermetic_environment: Path
) -> None:
    """With core.autocrlf in the user's own configuration a fresh checkout is clean, and moves cleanly."""
    (hermetic_environment / ".gitconfig").write_text("[core]\n\tautocrlf = true\n")
    (repo.path / "a.txt").unlink()
    repo.git("checkout", "-q", "--", "a.txt")
    assert (repo.path / "a.txt").read_bytes() == b"1\r\n"
    (repo.path / "a.txt").touch()
    assert not is_dirty(repo.path)
    old = repo.head()
    new = opened.commit(
        tree=opened.splice(repo.tree(), {b"n.txt": opened.entry_at(repo.tree(), b"a.txt")}),
        parents=[old],
        message="m",
        date=datetime(2026, 1, 2, tzinfo=UTC),
    )
    opened.update_ref(MAIN, new, old, message="land")
    assert fast_forward_checkout(opened, repo.path, old, new) == ()
    assert (repo.path / "n.txt").read_bytes() == b"1\r\n"
    assert not is_dirty(repo.path)


# moving along


def test_a_clean_checkout_moves_along(repo: GitRepo, opened: Repository) -> None:
    """Files and index are at the new commit, untracked files stay, and doing it again is harmless."""
    old, new = landed(repo, {"a.txt": "2\n", "b.txt": None, "new/d.txt": "2\n"})
    repo.write({"untracked": "mine"})
    assert is_dirty(repo.path)
    assert fast_forward_blockers(opened, repo.path, old, new) == ()
    assert fast_forward_checkout(opened, repo.path, old, new) == ()
    assert not is_dirty(repo.path)
    assert (repo.path / "untracked").read_text() == "mine"
    assert (repo.path / "a.txt").read_text() == "2\n"
    assert (repo.path / "new/d.txt").read_text() == "2\n"
    assert not (repo.path / "b.txt").exists()
    assert fast_forward_checkout(opened, repo.path, old, new) == ()
    assert fast_forward_blockers(opened, repo.path, old, new) == ()


def test_a_touched_file_does_not_block(repo: GitRepo, opened: Repository) -> None:
    """A file with a new time stamp and the old content is not a change."""
    old, new = landed(repo, {"a.txt": "2\n"})
    (repo.path / "a.txt").write_text("1\n")
    assert fast_forward_blockers(opened, repo.path, old, new) == ()
    assert fast_forward_checkout(opened, repo.path, old, new) == ()


@pytest.mark.parametrize(
    ("mine", "files", "named"),
    [
        ({"a.txt": "mine\n"}, {"a.txt": "2\n"}, "a.txt"),
        ({"new.txt": "mine\n"}, {"new.txt": "2\n"}, "new.txt"),
        ({"x.ignored": "mine\n"}, {"x.ignored": "2\n", ".gitignore": ""}, "x.ignored"),
        ({"p.ignored": "mine\n"}, {"p.ignored/below": "2\n", ".gitignore": ""}, "p.ignored"),
        ({"d/x.ignored": "mine\n"}, {"d": "now a file\n"}, "d/x.ignored"),
    ],
    ids=["changed", "untracked", "ignored", "ignored-above", "ignored-below"],
)
def test_nothing_of_the_persons_is_overwritten(
    repo: GitRepo, opened: Repository, mine: dict[str, str], files: dict[str, str], named: str
) -> None:
    """Changed, untracked and even ignored files stop the checkout from moving; all stays as it was."""
    old, new = landed(repo, dict(files))
    repo.write(dict(mine))
    before = (repo.path / ".git/index").read_bytes()
    blockers = fast_forward_blockers(opened, repo.path, old, new)
    assert any(named in blocker for blocker in blockers)
    assert (repo.path / ".git/index").read_bytes() == before
    assert any(named in blocker for blocker in fast_forward_checkout(opened, repo.path, old, new))
    assert {name: (repo.path / name).read_text() for name in mine} == mine


def test_unrelated_changes_survive(repo: GitRepo, opened: Repository) -> None:
    """A change to a file that does not move stays, should the person have made one in the last second."""
    old, new = landed(repo, {"a.txt": "2\n"})
    repo.write({"b.txt": "mine\n"})
    assert fast_forward_checkout(opened, repo.path, old, new) == ()
    assert (repo.path / "b.txt").read_text() == "mine\n"
    assert dirt(repo.path) == ("b.txt has uncommitted changes",)


def test_a_directory_becomes_a_file(repo: GitRepo, opened: Repository) -> None:
    """A tracked directory gives way to a file of its name without being mistaken for the person's."""
    old, new = landed(repo, {"dir/c.txt": None})
    assert fast_forward_checkout(opened, repo.path, old, new) == ()
    old, new = landed(repo, {"dir": "file\n"})
    assert fast_forward_blockers(opened, repo.path, old, new) == ()
    assert fast_forward_checkout(opened, repo.path, old, new) == ()
    assert (repo.path / "dir").read_text() == "file\n"


def test_a_held_index_is_waited_for(repo: GitRepo, opened: Repository) -> None:
    """Another git that holds the index for a moment does not fail the move."""
    old, new = landed(repo, {"a.txt": "2\n"})
    lock = repo.path / ".git/index.lock"
    lock.touch()
    release = threading.Timer(0.2, lock.unlink)
    release.start()
    assert fast_forward_checkout(opened, repo.path, old, new) == ()
    release.join()
    assert not is_dirty(repo.path)


def test_an_index_that_stays_held_is_reported(repo: GitRepo, opened: Repository) -> None:
    """A lock that a crashed git left is named, for the person to remove; looking works all the same."""
    old, new = landed(repo, {"a.txt": "2\n"})
    (repo.path / ".git/index.lock").touch()
    assert fast_forward_blockers(opened, repo.path, old, new) == ()
    said = fast_forward_checkout(opened, repo.path, old, new, lock_wait=timedelta(0))
    assert any("index.lock" in line for line in said)
