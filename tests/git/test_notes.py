"""Notes as `git notes` reads them, and what others wrote there."""

from datetime import UTC, datetime

import pytest

from maingate.errors import GitError
from maingate.git.notes import noted_commits, write_notes
from maingate.git.repository import Repository
from support.factories import GitRepo

REF = "refs/notes/maingate"
WHEN = datetime(2026, 1, 2, tzinfo=UTC)


def test_many_notes_are_written_at_once_and_read_by_git(repo: GitRepo) -> None:
    """Some hundred, so that git keeps them in folders; one is replaced, and one of a person stays."""
    commits = [repo.commit({}, f"commit {n}") for n in range(3)]
    tree = repo.tree()
    commits += [repo.git("commit-tree", tree, "-m", f"{n}") for n in range(300)]
    repo.git("notes", f"--ref={REF}", "add", "-m", "by hand", commits[0])
    with Repository.open(repo.path) as repository:
        write_notes(repository, REF, {commit: commit.encode() for commit in commits[1:]}, at=WHEN)
        write_notes(repository, REF, {commits[1]: b"again \xff\n"}, at=WHEN)
        assert noted_commits(repository, REF) == set(commits)
    assert repo.git("notes", f"--ref={REF}", "show", commits[0]) == "by hand"
    assert repo.git_bytes("notes", f"--ref={REF}", "show", commits[1]) == b"again \xff\n"
    assert repo.git("notes", f"--ref={REF}", "show", commits[200]) == commits[200]


def test_without_the_ref_nothing_is_noted(repo: GitRepo) -> None:
    """The ref is made by the first note."""
    head = repo.commit({}, "one")
    with Repository.open(repo.path) as repository:
        assert noted_commits(repository, REF) == set()
        write_notes(repository, REF, {head: b"first\n"}, at=WHEN)
    assert repo.git("log", "-1", "--format=%an %N", f"--notes={REF}").endswith("first")


def test_a_locked_ref_is_an_error_and_stays_as_it_is(repo: GitRepo) -> None:
    """The notes may be written again later."""
    head = repo.commit({}, "one")
    with Repository.open(repo.path) as repository:
        write_notes(repository, REF, {head: b"first\n"}, at=WHEN)
        (repo.path / ".git" / f"{REF}.lock").touch()
        with pytest.raises(GitError):
            write_notes(repository, REF, {head: b"second\n"}, at=WHEN)
    (repo.path / ".git" / f"{REF}.lock").unlink()
    assert repo.git("notes", f"--ref={REF}", "show", head) == "first"
