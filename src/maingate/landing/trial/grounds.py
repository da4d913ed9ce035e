"""The commits that items are tried on: the target, with the items that each of them needs."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from maingate.commits import Tip
from maingate.git.merge import MergeConflict, merge_trees
from maingate.git.repository import Repository
from maingate.landing.trial.kin import kin_of, numbers
from maingate.landing.trial.pairs import ItemPair, Own

_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)


class Grounds:
    """The items that were placed so far, each with the commit that it was placed on.

    Sets of items are numbers with a bit for each: a plan may have thousands that all need one another.

    Args:
        repository: The repository that trees are read from and written to.
        commit: The target's commit.
        into: Full name of the branch whose ``mergeOptions`` count; None where items are rebased.
    """

    def __init__(self, repository: Repository, commit: str, *, into: str | None) -> None:
        self._repository, self._into = repository, into
        self._head = Tip(commit=commit, tree=repository.tree_of(commit))
        self._needs: list[int] = []
        self._onto: list[Tip] = []
        self._trees: list[str] = []
        self._own: list[Own] = []
        self._made: dict[int, Tip | None] = {0: self._head}
        self._commits: dict[int, str] = {}
        self._kin: dict[int, int] | None = None

    def needs_of(self, direct: list[int]) -> int:
        """Return the set of the items that an item needs, by those that it names."""
        found = 0
        for number in direct:
            found |= self._needs[number] | 1 << number
        return found

    def place(self, needs: int, onto: Tip, tree: str, own: Own, commit: str | None = None) -> None:
        """Add the next item with its tree on a commit, what it changes there, and its own newest commit."""
        if commit is not None:
            self._commits[len(self._needs)] = commit
        self._needs.append(needs)
        self._onto.append(onto)
        self._trees.append(tree)
        self._own.append(own)

    def stays_out(self, needs: int) -> None:
        """Add the next item, which changes nothing: it is refused, or cannot be tried."""
        self.place(needs, self._head, self._head.tree, {})

    def is_needed(self, ahead: int, behind: int) -> bool:
        """Return whether an item needs an earlier one."""
        return bool(self._needs[behind] >> ahead & 1)

    def with_all(self, items: int) -> Tip | None:
        """Return the target with a set of items; None when these conflict with one another."""
        if items not in self._made:
            self._made[items] = self._merged(items)
        return self._made[items]

    def pair(self, ahead: int, behind: int) -> ItemPair | None:
        """Return the changes of two items on one commit, which has what either needs; None without one."""
        if self._onto[ahead] == self._onto[behind]:
            trees, onto = (self._trees[ahead], self._trees[behind]), self._onto[ahead]
            commits = self._commits_of(ahead, behind, trees[0])
            own, other = self._own[ahead], self._own[behind]
            return ItemPair(onto=onto.tree, ahead=own, behind=other, trees=trees, commits=commits)
        ground = self.with_all(self._needs[ahead] | self._needs[behind])
        if ground is None:
            return None
        one, another = self._moved(ground, ahead), self._moved(ground, behind)
        if isinstance(one, MergeConflict) or isinstance(another, MergeConflict):
            return None
        own, other = (self._repository.changed_paths(ground.tree, tree) for tree in (one, another))
        commits = self._commits_of(ahead, behind, one)
        return ItemPair(onto=ground.tree, ahead=own, behind=other, trees=(one, another), commits=commits)

    def _commits_of(self, ahead: int, behind: int, tree: str) -> tuple[str, str] | None:
        """Return the commits that two items are merged by, if they share some that the target does not have.

        The earlier one's is that of its landing, with the history of all that either needs.
        """
        if self._kin is None:
            self._kin = kin_of(self._repository, self._head.commit, self._commits)
        if not self._kin.get(behind, 0) >> ahead & 1:
            return None
        landed = [*numbers(self._needs[ahead] | self._needs[behind]), ahead]
        parents = [self._head.commit, *(self._commits[each] for each in landed if each in self._commits)]
        return self._made_of(tree, list(dict.fromkeys(parents))), self._commits[behind]

    def _moved(self, onto: Tip, number: int) -> str | MergeConflict:
        base, theirs = self._onto[number].tree, self._trees[number]
        return merge_trees(self._repository, base=base, ours=onto.tree, theirs=theirs, into=self._into)

    def _merged(self, items: int) -> Tip | None:
        last = items.bit_length() - 1
        if items == self._needs[last] | 1 << last:  # it was placed on all the others
            return self._tip(self._trees[last])
        onto = self._head
        for number in numbers(items):
            tree = self._moved(onto, number)
            if isinstance(tree, MergeConflict):
                return None
            onto = self._tip(tree)
        return onto

    def _tip(self, tree: str) -> Tip:
        """Return a commit of a tree on the target's, for what is to be put on it."""
        if tree == self._head.tree:
            return self._head
        return Tip(commit=self._made_of(tree, [self._head.commit]), tree=tree)

    def _made_of(self, tree: str, parents: Sequence[str]) -> str:
        return self._repository.commit(tree=tree, parents=parents, message="trial", date=_LONG_AGO)
