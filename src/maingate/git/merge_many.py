"""Many small merges by one git process, for trials of what conflicts.

A process for each merge would take longer than the merges of hundreds of pairs. The merges of one process
share the ``.gitattributes`` of one tree, so pairs that change these, or that move folders, are not for this.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from maingate.git.command import failure, require_git
from maingate.git.commits import commit_content
from maingate.git.merge import MergeConflict, attributes_of, merge_trees, merging
from maingate.git.merge_rules import Side
from maingate.git.repository import Repository

_MANY_SINCE: Final = (2, 39)
"""The first git whose `git merge-tree --stdin` makes several merges."""

_WORDS: Final = (
    *("-c", "merge.directoryRenames=false"),
    *("merge-tree", "--write-tree", "--name-only", "--no-messages", "--stdin"),
)
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
    if require_git() < _MANY_SINCE:
        return [
            merge_trees(repository, base=each.base, ours=each.ours, theirs=each.theirs, into=into)
            for each in merges
        ]
    merged = _merged(repository, merges, rules_of, into, None)
    side = repository.merge_rules.favoured(into)
    again = [at for at, each in enumerate(merged) if side is not None and isinstance(each, MergeConflict)]
    favoured = _merged(repository, [merges[at] for at in again], rules_of, into, side)
    for at, each in zip(again, favoured, strict=True):
        merged[at] = each
    return merged


def _merged(
    repository: Repository,
    merges: Sequence[SmallMerge],
    rules_of: str,
    into: str | None,
    favours: Side | None,
) -> list[str | MergeConflict]:
    """Merge by one git process, which prints a status, a tree and the paths in conflict for each."""
    if not merges:
        return []
    trees = {tree for each in merges for tree in (each.ours, each.theirs)}
    paths = {path for tree in trees for path, _ in repository.list_files(tree)}
    asked = "".join(f"{ours} {theirs}\n" for ours, theirs in _sides(repository, merges)).encode()
    with merging(repository, attributes_of(repository, rules_of, paths), into=into, favours=favours) as ask:
        result = ask(*_WORDS, given=asked)
    if result.code != 0:
        raise failure(_WORDS, result)
    words = iter(result.stdout.split(b"\0"))
    merged: list[str | MergeConflict] = []
    for _ in merges:
        is_clean, tree = next(words) == b"1", next(words).decode()
        conflict = MergeConflict(tuple(sorted(set(iter(words.__next__, b"")))))
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
