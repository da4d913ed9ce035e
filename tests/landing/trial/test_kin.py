"""Kin: branches that share commits which the target does not have."""

from collections.abc import Iterator

import pytest

from maingate.git.repository import Repository
from maingate.landing.trial.kin import kin_of, numbers
from support.factories import GitRepo


@pytest.fixture(name="opened")
def _opened(repo: GitRepo) -> Iterator[Repository]:
    repo.commit({"a.txt": "a\n"}, "base")
    with Repository.open(repo.path) as opened:
        yield opened


def branch(repo: GitRepo, name: str, start: str = "main") -> str:
    """Commit a file of its own on a new branch."""
    repo.git("checkout", "-q", "-b", name, start)
    return repo.commit({name: "x\n"}, name)


def test_stacks_and_siblings_are_kin_and_others_are_not(repo: GitRepo, opened: Repository) -> None:
    """One begun on the other, two on a third that is none of the items, one by a merge."""
    head = repo.head("main")
    below, above = branch(repo, "below"), branch(repo, "above", "below")
    branch(repo, "third")
    one, other = branch(repo, "one", "third"), branch(repo, "other", "third")
    alone = branch(repo, "alone")
    woven = branch(repo, "woven")
    repo.git("merge", "-q", "--no-ff", "-m", "woven", "alone")
    woven = repo.head()
    kin = kin_of(opened, head, dict(enumerate((below, above, one, other, alone, woven))))
    found = {number: list(numbers(together)) for number, together in kin.items()}
    assert found == {0: [0, 1], 1: [0, 1], 2: [2, 3], 3: [2, 3], 4: [4, 5], 5: [4, 5]}


def test_one_item_alone_has_no_kin(repo: GitRepo, opened: Repository) -> None:
    """Git is not asked; commits of the target's history do not count either."""
    head = repo.head("main")
    assert kin_of(opened, head, {0: branch(repo, "one")}) == {}
    repo.git("checkout", "-q", "main")
    moved = repo.commit({"b.txt": "b\n"}, "moved")
    assert kin_of(opened, moved, {0: head, 1: moved}) == {}
