"""The history of a row of merges answers as git does, whatever is merged."""

from datetime import UTC, datetime
from random import Random

import pytest

from maingate.git.growing_history import GrowingHistory
from maingate.git.repository import Repository
from support.factories import GitRepo

WHEN = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(name="opened")
def _opened(repo: GitRepo) -> Repository:
    repo.commit({"a.txt": "a\n"}, "base")
    return Repository.open(repo.path)


@pytest.mark.parametrize("seed", range(4))
def test_it_answers_as_git_does(repo: GitRepo, opened: Repository, seed: int) -> None:
    """Branches come from anywhere, hold one another, are merged into each other, and land in any order."""
    chance = Random(seed)
    tree = opened.tree_of(repo.head())

    def commit(*parents: str) -> str:
        message = f"{len(known)} {chance.random()}"
        return opened.commit(tree=tree, parents=parents, message=message, date=WHEN)

    known = [repo.head()]
    for _ in range(14):
        parents = [chance.choice(known[-5:])]
        if chance.random() < 0.2:
            parents.append(chance.choice([each for each in known if each != parents[0]] or parents))
        known.append(commit(*dict.fromkeys(parents)))
    tip = known[3]
    history = GrowingHistory(opened, tip)
    told = 0
    for _ in range(10):
        theirs = chance.choice(known)
        base = history.base_with(theirs)
        if base is not None:
            told += 1
            assert repo.git("merge-base", "--all", tip, theirs) == base
        other = chance.choice(known)
        assert history.has(other) == opened.is_ancestor(other, tip)
        tip = commit(tip) if chance.random() < 0.3 else commit(*dict.fromkeys([tip, theirs]))
        history.go_on(tip)
        assert history.has(tip)
    assert told


def test_a_row_is_not_walked_again(
    repo: GitRepo, opened: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library is asked about the commit alone that a row began on, however long the row is."""
    base, tree = repo.head(), opened.tree_of(repo.head())
    asked: list[str] = []
    ask = opened.merge_base

    def merge_base(one: str, other: str) -> str | None:
        asked.append(one)
        return ask(one, other)

    monkeypatch.setattr(opened, "merge_base", merge_base)
    history, tip = GrowingHistory(opened, base), base
    for number in range(20):
        theirs = opened.commit(tree=tree, parents=[base], message=f"own {number}", date=WHEN)
        assert history.base_with(theirs) == base
        tip = opened.commit(tree=tree, parents=[tip, theirs], message="merge", date=WHEN)
        history.go_on(tip)
    assert set(asked) == {base}
