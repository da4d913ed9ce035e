"""The very commit is made again from what is on record, or none."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from maingate.git.commit_again import commit_again
from maingate.git.repository import Repository, Signature
from support.factories import GitRepo

MADE = datetime(2026, 1, 1, 12, 0, 7, tzinfo=UTC)
ADA = Signature("Ada", "ada@example.org", datetime(2025, 5, 5, tzinfo=timezone(timedelta(hours=2))))
TRAILERS = [("Maingate-Run", "run_1")]


@pytest.mark.parametrize("author", [None, ADA])
def test_a_commit_that_is_gone_is_made_again(repo: GitRepo, author: Signature | None) -> None:
    """Only the second is unknown; the id says which one it was, and no other commit is written."""
    base = repo.commit({"a.txt": "a\n"})
    with Repository.open(repo.path) as repository:
        tree = repository.tree_of(base)
        commit = repository.commit(
            tree=tree, parents=[base], message="one", date=MADE, author=author, trailers=TRAILERS
        )
    repo.git("reflog", "expire", "--expire=now", "--all")
    repo.git("gc", "-q", "--prune=now")

    def again(message: str, since: datetime, until: datetime) -> tuple[bool, bool]:
        with Repository.open(repo.path) as repository:
            is_made = commit_again(
                repository,
                commit=commit,
                tree=tree,
                parents=[base],
                message=message,
                trailers=TRAILERS,
                author_at=lambda _: author,
                since=since,
                until=until,
            )
            return is_made, repository.has_object(commit)

    minute = timedelta(minutes=1)
    assert again("another", MADE - minute, MADE + minute) == (False, False)
    assert again("one", MADE + minute, MADE + 2 * minute) == (False, False)
    assert again("one", MADE - minute, MADE + minute) == (True, True)
    assert repo.git("cat-file", "-p", commit).endswith("Maingate-Run: run_1")
