"""What of a person's is in a checkout is found, and nothing else is taken for it."""

import os
from pathlib import Path

import pytest

from maingate.git.repository import Repository
from maingate.landing.checkouts.checkout_state import uncommitted_changes
from maingate.landing.checkouts.working_trees import all_checkouts
from support.factories import GitRepo


@pytest.fixture(name="opened")
def _opened(repo: GitRepo) -> Repository:
    repo.commit({"a.txt": "1\n", "b.txt": "1\n", "dir/c.txt": "1\n", ".gitignore": "*.ignored\n"}, "first")
    return Repository.open(repo.path)


def dirt_of(opened: Repository) -> tuple[str, ...]:
    """List what is not committed in the main working tree."""
    return uncommitted_changes(next(all_checkouts(opened)))


def test_untracked_files_are_not_dirt(repo: GitRepo, opened: Repository) -> None:
    """A clean checkout with new files beside it is clean."""
    repo.write({"untracked": "x", "x.ignored": "x"})
    (repo.path / "a.txt").touch()
    assert dirt_of(opened) == ()


def test_changes_are_dirt_staged_or_not(repo: GitRepo, opened: Repository) -> None:
    """A changed file counts before and after `git add`, and so does a deleted one."""
    repo.write({"a.txt": "2\n", "b.txt": "2\n", "dir/c.txt": None})
    repo.git("add", "b.txt")
    assert dirt_of(opened) == tuple(
        f"{name} has uncommitted changes" for name in ("a.txt", "b.txt", "dir/c.txt")
    )


def test_long_lists_of_dirt_are_cut(repo: GitRepo, opened: Repository) -> None:
    """People see twenty files and how many more there are."""
    repo.commit({f"f{number:02d}": "1" for number in range(25)})
    repo.write({f"f{number:02d}": "2" for number in range(25)})
    found = dirt_of(opened)
    assert len(found) == 21
    assert found[-1] == "and 5 more files have uncommitted changes"


def test_a_merge_in_progress_is_dirt(repo: GitRepo, opened: Repository) -> None:
    """A merge without conflicts that is not committed yet has a clean-looking tree and is not clean."""
    repo.git("branch", "side")
    repo.commit({"a.txt": "2\n"})
    repo.git("checkout", "-q", "side")
    repo.commit({"b.txt": "2\n"})
    repo.git("merge", "-q", "--no-ff", "--no-commit", "-s", "ours", "main")
    assert dirt_of(opened) == ("a merge is in progress",)


def test_a_rebase_in_progress_is_dirt(repo: GitRepo, opened: Repository) -> None:
    """Even before a file of it is in conflict."""
    (repo.path / ".git/rebase-merge").mkdir()
    assert dirt_of(opened) == ("a rebase is in progress",)


def test_the_persons_line_endings_are_not_dirt(
    repo: GitRepo, opened: Repository, hermetic_environment: Path
) -> None:
    """With core.autocrlf in the user's own configuration a fresh checkout is clean."""
    (hermetic_environment / ".gitconfig").write_text("[core]\n\tautocrlf = true\n")
    (repo.path / "a.txt").unlink()
    repo.git("checkout", "-q", "--", "a.txt")
    assert (repo.path / "a.txt").read_bytes() == b"1\r\n"
    (repo.path / "a.txt").touch()
    assert dirt_of(opened) == ()


def test_a_file_that_only_its_encoding_makes_dirty_is_no_edit(repo: GitRepo, opened: Repository) -> None:
    """Stored against its attributes a file is changed for git right after checkout: nobody can undo that."""
    repo.commit({"crlf.txt": b"1\r\n"})
    repo.commit({".gitattributes": "*.txt text eol=crlf\n"})
    repo.git("rm", "-q", "--cached", "crlf.txt")
    blob = repo.git("hash-object", "-w", "--no-filters", "crlf.txt")
    repo.git("update-index", "--add", "--cacheinfo", f"100644,{blob},crlf.txt")
    repo.git("commit", "-q", "--allow-empty", "-m", "against its attributes")
    os.utime(repo.path / "crlf.txt", (1, 1))
    assert repo.git("status", "--porcelain") == "M crlf.txt"
    assert dirt_of(opened) == ()
    repo.write({"crlf.txt": b"2\r\n"})
    assert dirt_of(opened) == ("crlf.txt has uncommitted changes",)


def test_a_file_that_its_filter_may_have_changed_names_the_filter(repo: GitRepo, opened: Repository) -> None:
    """A filter that writes something else each time makes a file look edited that nobody has touched."""
    repo.git("config", "filter.z.clean", "cat")
    repo.git("config", "filter.z.smudge", "date +%N; cat")
    repo.commit({".gitattributes": "*.i filter=z\n", "a.i": "1\n", "b.txt": "1\n"})
    (repo.path / "a.i").unlink()
    repo.git("checkout", "-q", "a.i")
    repo.write({"b.txt": "2\n"})
    assert dirt_of(opened) == (
        "a.i has uncommitted changes (or its filter 'z' does not write the same each time)",
        "b.txt has uncommitted changes",
    )
