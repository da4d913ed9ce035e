"""Pairs of items that may conflict: those that change the same paths, merged with one another.

Two items conflict as their landing would find it: the later one is merged into the earlier one's result, and
what that merge changes elsewhere than the later one says, because it follows renames, is what policy permits.
Of most pairs only the paths that matter are merged, all by one git process. Where
an item changes ``.gitattributes``, or adds to a folder that the other has moved away, whole trees are merged.
"""

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import islice
from typing import Final

from maingate.git.index_attributes import NAME as ATTRIBUTES
from maingate.git.merge import MergeConflict, merge_trees
from maingate.git.merge_many import SmallMerge, merge_many, merge_pairs
from maingate.git.repository import Repository
from maingate.git.trees import EMPTY_TREE, GitEntry, folders_of
from maingate.landing.trial.values import JudgeMerge, permits_all

Own = Mapping[bytes, tuple[GitEntry | None, GitEntry | None]]
"""The entries of each path that an item changes, before and after."""

Entry = tuple[bytes, GitEntry | None]
"""A path with what is there."""

MOST_PAIRS: Final = 2_000
"""Pairs that one trial merges at most; where all change one file, each is tried with the first ones ahead."""


@dataclass(frozen=True, kw_only=True)
class ItemPair:
    """Two items that may conflict, by their changes on the same commit.

    Args:
        onto: That commit's tree.
        ahead: The earlier one's changes.
        behind: The later one's.
        trees: The trees that they make, the earlier one's first.
        commits: The commits to merge instead, where their histories meet behind the target's.
        judge: Returns why policy refuses what a merge of the later one changes elsewhere.
    """

    onto: str
    ahead: Own
    behind: Own
    trees: tuple[str, str]
    commits: tuple[str, str] | None = None
    judge: JudgeMerge = permits_all


@dataclass(frozen=True, kw_only=True)
class Folders:
    """The folders of an item's changes.

    Args:
        added_to: Those that it adds files to, and those above.
        lost: Those that it leaves empty.
    """

    added_to: frozenset[bytes]
    lost: frozenset[bytes]

    @classmethod
    def of(cls, repository: Repository, own: Own, tree: str) -> "Folders":
        """Return the folders of changes that make a tree."""
        left = folders_of(path for path, (_, now) in own.items() if now is None)
        return cls(
            added_to=frozenset(folders_of(path for path, (was, _) in own.items() if was is None)),
            lost=frozenset(each for each in left if repository.entry_at(tree, each) is None),
        )

    def meets(self, other: "Folders") -> bool:
        """Return whether one adds to a folder that the other leaves empty: it may have moved there."""
        return bool(self.added_to & other.lost or self.lost & other.added_to)


Numbers = defaultdict[bytes, list[int]]


@dataclass
class SharedPaths:
    """The items that change the same paths, found as items are added in their order.

    A file and a directory of the same name meet as well, and what is added to a folder that has moved.
    """

    _at: Numbers = field(default_factory=lambda: defaultdict(list))
    _below: Numbers = field(default_factory=lambda: defaultdict(list))
    _added_to: Numbers = field(default_factory=lambda: defaultdict(list))
    _lost: Numbers = field(default_factory=lambda: defaultdict(list))

    def add(self, number: int, own: Own, folders: Folders) -> list[int]:
        """Add an item, and return the numbers of the earlier ones that may conflict with it, in order."""
        above = folders_of(own)
        met: set[int] = set()
        for index, names in (
            (self._at, own.keys()),
            (self._below, own.keys()),
            (self._at, above),
            (self._lost, folders.added_to),
            (self._added_to, folders.lost),
        ):
            met.update(*(index.get(name, ()) for name in names))
        for index, names in (
            (self._at, own.keys()),
            (self._below, above),
            (self._lost, folders.lost),
            (self._added_to, folders.added_to),
        ):
            for name in names:
                index[name].append(number)
        return sorted(met)


def first_of(met: Sequence[int], items: int) -> list[int]:
    """Return the earlier items that an item is tried with, the first ones ahead where there are too many."""
    return list(islice(met, max(1, MOST_PAIRS // max(1, items))))


def conflicts_of(
    repository: Repository, pairs: Sequence[ItemPair], *, rules_of: str, into: str | None
) -> list[tuple[bytes, ...]]:
    """Return the paths in which the items of each pair conflict; none where they go together.

    Args:
        repository: The repository.
        pairs: The pairs.
        rules_of: The tree whose ``.gitattributes`` count for pairs that change none.
        into: Full name of the branch whose ``mergeOptions`` count; None where items are rebased.
    """
    small = cache(partial(_small, repository))
    whole = partial(_whole, repository, into=into)
    sides = [None if _is_alone(repository, pair) else _sides(small, pair) for pair in pairs]
    chosen = [each for each in sides if each is not None]
    merged = iter(merge_many(repository, chosen, rules_of=rules_of, into=into))
    kin = [pair.commits for pair in pairs if pair.commits is not None]
    kin_merged = iter(merge_pairs(repository, kin, rules_of=rules_of, into=into))
    return [
        _in_conflict(
            repository,
            pair,
            pair.trees[0] if side is None else side.ours,
            next(kin_merged) if pair.commits else whole(pair) if side is None else next(merged),
            whole,
        )
        for pair, side in zip(pairs, sides, strict=True)
    ]


def _whole(repository: Repository, pair: ItemPair, *, into: str | None) -> str | MergeConflict:
    ours, theirs = pair.trees
    return merge_trees(repository, base=pair.onto, ours=ours, theirs=theirs, into=into)


def _is_alone(repository: Repository, pair: ItemPair) -> bool:
    """Return whether a pair is merged by whole commits or trees."""
    if pair.commits is not None:
        return True
    if any(path.rpartition(b"/")[2] == ATTRIBUTES for own in (pair.ahead, pair.behind) for path in own):
        return True
    ahead, behind = (
        Folders.of(repository, own, tree)
        for own, tree in zip((pair.ahead, pair.behind), pair.trees, strict=True)
    )
    return ahead.meets(behind)


def _in_conflict(
    repository: Repository,
    pair: ItemPair,
    ours: str,
    merged: str | MergeConflict,
    whole: Callable[[ItemPair], str | MergeConflict],
) -> tuple[bytes, ...]:
    if isinstance(merged, MergeConflict):
        known = pair.ahead.keys() | pair.behind.keys()
        return tuple(sorted({_own_name(path, known) for path in merged.paths}))
    changed = repository.changed_paths(ours, merged)
    strayed = tuple(sorted(path for path in changed if path not in pair.behind))
    if not strayed:
        return ()
    return _refused(repository, pair, merged if ours == pair.trees[0] else whole(pair))


def _refused(repository: Repository, pair: ItemPair, merged: str | MergeConflict) -> tuple[bytes, ...]:
    """Return the paths of a merge of whole trees that policy refuses for the later item."""
    if isinstance(merged, MergeConflict):
        return merged.paths
    changed = repository.changed_paths(pair.trees[0], merged)
    strayed = sorted(path for path in changed if path not in pair.behind)
    return tuple(strayed) if strayed and pair.judge(pair.trees[0], merged) is not None else ()


def _own_name(path: bytes, known: Container[bytes]) -> bytes:
    """Return a path without the ending that git gives a file whose name a directory has taken."""
    plain = path.rpartition(b"~")[0]
    return plain if path not in known and plain in known else path


def _sides(small: Callable[[frozenset[Entry]], str], pair: ItemPair) -> SmallMerge:
    """Return the trees of a pair with only the paths by which it can conflict."""
    paths = _shared(pair)
    if _may_rename(pair.ahead, paths) or _may_rename(pair.behind, paths):
        paths = pair.ahead.keys() | pair.behind.keys()
    before = {path: _before(pair, path) for path in paths}
    trees = [
        before | {path: own[path][1] for path in paths if path in own} for own in (pair.ahead, pair.behind)
    ]
    base, ours, theirs = (small(frozenset(side.items())) for side in (before, *trees))
    return SmallMerge(base=base, ours=ours, theirs=theirs)


def _shared(pair: ItemPair) -> set[bytes]:
    """Return the paths that both change, and those where one has a file and the other a directory."""
    shared = set(pair.ahead.keys() & pair.behind.keys())
    for own, other in ((pair.ahead, pair.behind), (pair.behind, pair.ahead)):
        for path in own:
            for folder in _folders(path):
                if folder in other:
                    shared |= {path, folder}
    return shared


def _may_rename(own: Own, shared: Iterable[bytes]) -> bool:
    """Return whether a merge could take a change for a rename of a path that the other item changes too."""
    is_taken_away = any(path in own and own[path][1] is None for path in shared)
    return is_taken_away and any(was is None for was, _ in own.values())


def _before(pair: ItemPair, path: bytes) -> GitEntry | None:
    was, _ = pair.ahead[path] if path in pair.ahead else pair.behind[path]
    return was


def _small(repository: Repository, side: frozenset[Entry]) -> str:
    return repository.splice(EMPTY_TREE, {path: entry for path, entry in side if entry is not None})


def _folders(path: bytes) -> Iterator[bytes]:
    while b"/" in path:
        path = path.rpartition(b"/")[0]
        yield path
