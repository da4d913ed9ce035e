"""Merges of trees in memory: a workstream's change on a target that has moved.

Three steps, each only if the one before has no result. If no path was changed by both sides there is nothing
to merge. Else libgit2 merges in this process. A conflict of libgit2 is tried again by git itself, which
compares lines better and merges one in some hundred of them; git's result is final. Both see only the paths
that either side changed (renames are found among these anyway), in Maingate's private git directory, so the
cost is that of the changes and no configuration or attribute of the repository takes part.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pygit2

from maingate.errors import RepositoryError
from maingate.git.command import failure, require_git
from maingate.git.commits import Signature, commit_content
from maingate.git.library import translated
from maingate.git.repository import MAINGATE_MAIL, MAINGATE_NAME, Repository
from maingate.git.trees import Changes, GitEntry, TreeConflictError

_MERGE_TREE_SINCE: Final = (2, 38)
"""The first git whose `git merge-tree --write-tree` merges without a working tree."""

_NOBODY: Final = b"Maingate <maingate@localhost> 0 +0000"


@dataclass(frozen=True)
class MergeConflict:
    """Both sides changed these paths in ways that conflict."""

    paths: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True)
class Rebased:
    """Commits made again on a new base.

    Args:
        head: The newest commit, or the new base when all became empty.
        commits: The new commit of each old one; of one that became empty, its predecessor.
    """

    head: str
    commits: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class RebaseConflict:
    """A commit that conflicts with the new base, and the paths."""

    commit: str
    paths: tuple[bytes, ...]


def merge_commits(repository: Repository, *, ours: str, theirs: str) -> str | MergeConflict:
    """Merge two commits at their best common ancestor and return the tree.

    Raises:
        RepositoryError: They have no common ancestor here.
    """
    base = repository.merge_base(ours, theirs)
    if base is None:
        hint = (
            "; the clone is shallow, `git fetch --unshallow` may bring one" if repository.is_shallow else ""
        )
        raise RepositoryError(f"{ours} and {theirs} have no common ancestor in {repository.root}{hint}")
    tree_of = repository.tree_of
    return merge_trees(repository, base=tree_of(base), ours=tree_of(ours), theirs=tree_of(theirs))


def pick(repository: Repository, commit: str, *, onto: str) -> str | MergeConflict:
    """Return the tree that a commit's change against its first parent makes of another commit's tree."""
    picked = repository.read_commit(commit)
    base = repository.tree_of(picked.parents[0]) if picked.parents else None
    return merge_trees(repository, base=base, ours=repository.tree_of(onto), theirs=picked.tree)


def rebase(
    repository: Repository, commits: Sequence[str], *, onto: str, date: datetime
) -> Rebased | RebaseConflict:
    """Make commits again on a new base, one after the other, with their authors and messages.

    A commit that is already on its new parent is kept; one whose change is there already is left out.

    Args:
        repository: The repository.
        commits: The commits to move, oldest first.
        onto: Their new base.
        date: The time of the new commits, aware.
    """
    head, made = onto, list[tuple[str, str]]()
    for commit in commits:
        old = repository.read_commit(commit)
        if old.parents == (head,):
            head = commit
        else:
            tree = pick(repository, commit, onto=head)
            if isinstance(tree, MergeConflict):
                return RebaseConflict(commit=commit, paths=tree.paths)
            if tree != repository.tree_of(head):
                committer = Signature(MAINGATE_NAME, MAINGATE_MAIL, date).as_bytes()
                head = repository.write_commit(
                    commit_content(
                        tree=tree, parents=[head], message=old.message, author=old.author, committer=committer
                    )
                )
        made.append((commit, head))
    return Rebased(head=head, commits=tuple(made))


def merge_trees(repository: Repository, *, base: str | None, ours: str, theirs: str) -> str | MergeConflict:
    """Merge two trees that come from a common one.

    Args:
        repository: The repository.
        base: The common tree; None when there is none.
        ours: The tree to merge into.
        theirs: The tree to bring in.

    Returns:
        The merged tree's id, or the paths in conflict.
    """
    if theirs in {base, ours}:
        return ours
    if base == ours:
        return theirs
    by_us, by_them = repository.changed_paths(base, ours), repository.changed_paths(base, theirs)
    if not by_us.keys() & by_them.keys():
        return _put_together(repository, ours, {path: now for path, (_, now) in by_them.items()})
    before = {path: was for path, (was, _) in (by_us | by_them).items()}
    sides = (
        before,
        before | {path: now for path, (_, now) in by_us.items()},
        before | {path: now for path, (_, now) in by_them.items()},
    )
    small = [repository.splice(repository.write_tree(b""), _present(side)) for side in sides]
    merged = _merge_small(repository, *small)
    if isinstance(merged, MergeConflict):
        return merged
    changes = {path: now for path, (_, now) in repository.changed_paths(small[1], merged).items()}
    return _put_together(repository, ours, changes)


def _merge_small(repository: Repository, base: str, ours: str, theirs: str) -> str | MergeConflict:
    handle = repository.merge_handle
    with translated("merge two trees"):
        index = handle.merge_trees(pygit2.Oid(hex=base), pygit2.Oid(hex=ours), pygit2.Oid(hex=theirs))
        if index.conflicts is None:
            return str(index.write_tree(handle))
        entries = [entry for conflict in index.conflicts for entry in conflict if entry is not None]
    if require_git() >= _MERGE_TREE_SINCE:
        return _merge_by_git(repository, base, ours, theirs)
    return MergeConflict(tuple(sorted({os.fsencode(entry.path) for entry in entries})))


def _merge_by_git(repository: Repository, base: str, ours: str, theirs: str) -> str | MergeConflict:
    root = _commit_of(repository, base, [])
    sides = [_commit_of(repository, tree, [root]) for tree in (ours, theirs)]
    options = ("-c", "merge.directoryRenames=false", "merge-tree", "--write-tree", "--name-only", "-z")
    result = repository.private_git_dir().git(*options, *sides, check=False)
    if result.code not in {0, 1}:
        raise failure((*options, *sides), result)
    tree, *rest = result.stdout.split(b"\0")
    if result.code == 0:
        return tree.decode()
    return MergeConflict(tuple(sorted(set(rest[: rest.index(b"")]))))


def _commit_of(repository: Repository, tree: str, parents: Sequence[str]) -> str:
    """Write a commit of a tree, because git merges commits only; no ref ever points to it."""
    return repository.write_commit(
        commit_content(tree=tree, parents=parents, message=b"", author=_NOBODY, committer=_NOBODY)
    )


def _put_together(repository: Repository, tree: str, changes: Changes) -> str | MergeConflict:
    try:
        return repository.splice(tree, changes)
    except TreeConflictError:
        return MergeConflict(tuple(sorted(path for path, entry in changes.items() if entry is not None)))


def _present(side: Changes) -> dict[bytes, GitEntry]:
    return {path: entry for path, entry in side.items() if entry is not None}
