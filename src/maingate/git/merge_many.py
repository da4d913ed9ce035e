"""Many merges by one git process: of branches into one commit, and of pairs in trials of what conflicts.

A process for each merge would take longer than the merges of hundreds of pairs. The merges of one process
share the ``.gitattributes`` of one tree: that of the commit that branches are merged into; so of pairs those
that change these, or that move folders, are not for this.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from maingate.git.command import failure, require_git
from maingate.git.commits import commit_content
from maingate.git.merge import MergeConflict, merge_commits, merge_trees, merged_without_git
from maingate.git.merge_place import attributes_of, merging
from maingate.git.repository import Repository

_MANY_SINCE: Final = (2, 39)
"""The first git whose `git merge-tree --stdin` makes several merges."""

_WORDS: Final = ("merge-tree", "--write-tree", "--name-only", "--no-messages", "--stdin")
_STILL_FOLDERS: Final = ("-c", "merge.directoryRenames=false")
_NOBODY: Final = b"Maingate <maingate@localhost> 0 +0000"


@dataclass(frozen=True, kw_only=True)
class SmallMerge:
    """A merge of trees that hold no other paths than those by which the two sides can conflict.

    Args:
        base: The common tree.
        ours: The tree to merge into.
        theirs: The tree to bring in.
    """

    base: str
    ours: str
    theirs: str


def merge_many(
    repository: Repository, merges: Sequence[SmallMerge], *, rules_of: str, into: str | None = None
) -> list[str | MergeConflict]:
    """Merge small trees, and return each merged tree or the paths in conflict.

    Args:
        repository: The repository.
        merges: The merges.
        rules_of: The tree whose ``.gitattributes`` count.
        into: Full name of the branch that is merged into, whose ``mergeOptions`` count.
    """
    if not merges or not _at_once(repository, into):
        return [
            merge_trees(repository, base=each.base, ours=each.ours, theirs=each.theirs, into=into)
            for each in merges
        ]
    trees = {tree for each in merges for tree in (each.ours, each.theirs)}
    paths = {path for tree in trees for path, _ in repository.list_files(tree)}
    attributes = list(attributes_of(repository, rules_of, paths))
    asked = _Asked(repository=repository, attributes=attributes, into=into, options=_STILL_FOLDERS)
    return asked.merged(_sides(repository, merges))


def merge_branches(
    repository: Repository, *, ours: str, theirs: Sequence[str], into: str | None = None
) -> list[str | MergeConflict]:
    """Merge several commits into one, each alone, as `merge_commits` does, and return the trees.

    Args:
        repository: The repository.
        ours: The commit that each is merged into.
        theirs: The commits.
        into: See `merge_many`.

    Raises:
        RepositoryError: One has no common ancestor with it here.
    """
    plain = {each: merged_without_git(repository, ours=ours, theirs=each) for each in theirs}
    rest = [each for each, merged in plain.items() if merged is None]
    if len(rest) > 1 and _at_once(repository, into):
        tree_of = repository.tree_of
        paths = {path for each in rest for path in repository.changed_paths(tree_of(ours), tree_of(each))}
        attributes = list(attributes_of(repository, tree_of(ours), paths))
        asked = _Asked(repository=repository, attributes=attributes, into=into)
        by_git = dict(zip(rest, asked.merged([(ours, each) for each in rest]), strict=True))
    else:
        by_git = {each: merge_commits(repository, ours=ours, theirs=each, into=into) for each in rest}
    return [by_git[each] if (merged := plain[each]) is None else merged for each in theirs]


def merge_pairs(
    repository: Repository, sides: Sequence[tuple[str, str]], *, rules_of: str, into: str | None = None
) -> list[str | MergeConflict]:
    """Merge pairs of commits, the second of each into the first, and return the trees.

    Args:
        repository: The repository.
        sides: The commits.
        rules_of: The tree whose ``.gitattributes`` count.
        into: See `merge_many`.
    """
    if not sides or not _at_once(repository, into):
        return [merge_commits(repository, ours=ours, theirs=theirs, into=into) for ours, theirs in sides]
    tree_of = repository.tree_of
    paths = {path for pair in sides for path in repository.changed_paths(*map(tree_of, pair))}
    attributes = list(attributes_of(repository, rules_of, paths))
    return _Asked(repository=repository, attributes=attributes, into=into).merged(sides)


def _at_once(repository: Repository, into: str | None) -> bool:
    """Return whether one process may merge: git can, and the branch has no options of its own."""
    return require_git() >= _MANY_SINCE and repository.merge_rules.command_words(into) is None


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """Merges of commits that one git process makes.

    Args:
        repository: The repository.
        attributes: The ``.gitattributes`` that count, by their paths.
        into: See `merge_many`.
        options: Options of git itself.
    """

    repository: Repository
    attributes: Sequence[tuple[bytes, bytes]]
    into: str | None
    options: Sequence[str] = ()

    def merged(self, sides: Sequence[tuple[str, str]]) -> list[str | MergeConflict]:
        """Return the merged tree of each pair of commits, or the paths in conflict.

        One git process makes them. It prints a status, a tree and the paths in conflict for each.
        """
        words = (*self.options, *_WORDS, *self.repository.merge_rules.tree_options(require_git()))
        given = "".join(f"{ours} {theirs}\n" for ours, theirs in sides).encode()
        with merging(self.repository, self.attributes, into=self.into) as ask:
            result = ask(*words, given=given)
        if result.code != 0:
            raise failure(words, result)
        told = iter(result.stdout.split(b"\0"))
        merged: list[str | MergeConflict] = []
        for _ in sides:
            is_clean, tree = next(told) == b"1", next(told).decode()
            conflict = MergeConflict(tuple(sorted(set(iter(told.__next__, b"")))))
            merged.append(tree if is_clean else conflict)
        return merged


def _sides(repository: Repository, merges: Sequence[SmallMerge]) -> list[tuple[str, str]]:
    """Return commits of both sides of each merge, because git merges commits only; no ref points to them."""

    @cache
    def commit(tree: str, *parents: str) -> str:
        return repository.write_commit(
            commit_content(tree=tree, parents=parents, message=b"", author=_NOBODY, committer=_NOBODY)
        )

    roots = [commit(each.base) for each in merges]
    return [
        (commit(each.ours, root), commit(each.theirs, root)) for each, root in zip(merges, roots, strict=True)
    ]
