"""Merges without a working tree: a workstream's change on a target that has moved. The merge is git's.

Where no path was changed by both sides, and no folder moved, there is nothing to merge: the changes are put
together. Else git merges the commits themselves, by the rules of the user and of the repository
(``git.merge_rules``) and the ``.gitattributes`` of the side that is merged into, as it does for a person who
has that side checked out. So the result is that of `git merge`, `git rebase` or `git cherry-pick`. A git that
cannot merge without a working tree leaves it to the library, which knows no drivers.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pygit2

from maingate.errors import RepositoryError
from maingate.git.command import failure, require_git
from maingate.git.commits import commit_content
from maingate.git.growing_history import LONGEST_CHAIN, GrowingHistory
from maingate.git.library import translated
from maingate.git.merge_place import attributes_of, merge_by_command, merging
from maingate.git.repository import Repository
from maingate.git.trees import Changes, GitEntry, TreeConflictError, folders_of

_MERGE_TREE_SINCE: Final = (2, 38)
"""The first git whose `git merge-tree --write-tree` merges without a working tree."""

Differences = Mapping[bytes, tuple[GitEntry | None, GitEntry | None]]

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


def merge_commits(
    repository: Repository,
    *,
    ours: str,
    theirs: str,
    into: str | None = None,
    history: GrowingHistory | None = None,
) -> str | MergeConflict:
    """Merge two commits as `git merge` does, and return the tree.

    Args:
        repository: The repository.
        ours: The commit to merge into.
        theirs: The commit to bring in.
        into: Full name of the branch that is merged into, whose ``mergeOptions`` count.
        history: The history of the commit to merge into, where it is known.

    Raises:
        RepositoryError: They have no common ancestor here.
    """
    merge, base = _of_commits(repository, ours, theirs, into, history)
    plain = None if base is None else merge.without_git(base)
    return merge.by_git() if plain is None else plain


def merged_without_git(repository: Repository, *, ours: str, theirs: str) -> str | MergeConflict | None:
    """Merge two commits as `merge_commits` does, where that takes no git process; None where it takes one.

    Raises:
        RepositoryError: They have no common ancestor here.
    """
    merge, base = _of_commits(repository, ours, theirs, None)
    return None if base is None else merge.without_git(base)


def _of_commits(
    repository: Repository, ours: str, theirs: str, into: str | None, history: GrowingHistory | None = None
) -> "tuple[_Merge, str | None]":
    """Return the merge of two commits, and the tree of their base; None where there may be several."""
    only = history.base_with(theirs) if history is not None else None
    base = only or repository.merge_base(ours, theirs)
    if base is None:
        hint = (
            "; the clone is shallow, `git fetch --unshallow` may bring one" if repository.is_shallow else ""
        )
        raise RepositoryError(f"{ours} and {theirs} have no common ancestor in {repository.root}{hint}")
    merge = _Merge(
        repository=repository,
        ours=repository.tree_of(ours),
        theirs=repository.tree_of(theirs),
        commits=lambda: (ours, theirs),
        into=into,
    )
    is_only = only is not None or _is_chain(repository, base, theirs)
    return merge, repository.tree_of(base) if is_only else None


def pick(repository: Repository, commit: str, *, onto: str) -> str | MergeConflict:
    """Return the tree that a commit's change against its first parent makes of another commit's tree."""
    return pick_tree(repository, commit, onto=repository.tree_of(onto))


def pick_tree(repository: Repository, commit: str, *, onto: str) -> str | MergeConflict:
    """Return the tree that a commit's change against its first parent makes of another tree."""
    picked = repository.read_commit(commit)
    base = repository.tree_of(picked.parents[0]) if picked.parents else None
    return merge_trees(repository, base=base, ours=onto, theirs=picked.tree)


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
                committer = repository.commit_rules.committer(date).as_bytes()
                head = repository.finish_commit(
                    commit_content(
                        tree=tree, parents=[head], message=old.message, author=old.author, committer=committer
                    )
                )
        made.append((commit, head))
    return Rebased(head=head, commits=tuple(made))


def merge_trees(
    repository: Repository, *, base: str | None, ours: str, theirs: str, into: str | None = None
) -> str | MergeConflict:
    """Merge two trees that come from a common one.

    Args:
        repository: The repository.
        base: The common tree; None when there is none.
        ours: The tree to merge into.
        theirs: The tree to bring in.
        into: Full name of the branch that is merged into, whose ``mergeOptions`` count.

    Returns:
        The merged tree's id, or the paths in conflict.
    """
    common = base or repository.write_tree(b"")

    def commits() -> tuple[str, str]:
        root = _commit_of(repository, common, [])
        return _commit_of(repository, ours, [root]), _commit_of(repository, theirs, [root])

    merge = _Merge(repository=repository, ours=ours, theirs=theirs, commits=commits, into=into)
    plain = merge.without_git(common)
    return merge.by_git() if plain is None else plain


def _is_chain(repository: Repository, base: str, tip: str) -> bool:
    """Return whether commits in a row lead from a base to a tip, so that no other base is as good."""
    for _ in range(LONGEST_CHAIN):
        if tip == base:
            return True
        parents = repository.read_commit(tip).parents
        if len(parents) != 1:
            return False
        tip = parents[0]
    return False


@dataclass(frozen=True, kw_only=True)
class _Merge:
    """One merge.

    Args:
        repository: The repository.
        ours: The tree that is merged into; its attributes count.
        theirs: The tree that is brought in.
        commits: Returns commits of these trees, by which git finds their bases.
        into: Full name of the branch that is merged into; None for no branch.
    """

    repository: Repository
    ours: str
    theirs: str
    commits: Callable[[], tuple[str, str]]
    into: str | None

    def without_git(self, base: str) -> str | MergeConflict | None:
        """Return the merge on the only base, a tree, where there is nothing to merge; None where git must."""
        if self.theirs in {base, self.ours}:
            return self.ours
        if base == self.ours:
            return self.theirs
        by_them = self.repository.changed_paths(base, self.theirs)
        if any(self._differs(base, self.ours, path) for path in by_them):
            return None
        if self._adds_to_moved(base, by_them) or self._lost_what_we_add_to(base, by_them):
            return None
        return _put_together(self.repository, self.ours, {path: now for path, (_, now) in by_them.items()})

    def by_git(self) -> str | MergeConflict:
        """Return the merge that git makes."""
        words = self.repository.merge_rules.command_words(self.into)
        if words is not None:
            merged = merge_by_command(self.repository, self.commits(), words, into=self.into)
            return merged if isinstance(merged, str) else MergeConflict(merged)
        return self._by_library() if require_git() < _MERGE_TREE_SINCE else self._ask_git()

    def _differs(self, one: str, other: str, path: bytes) -> bool:
        """Return whether a path is another file in one tree than in another, or in one of them none."""
        here, there = self.repository.entry_at(one, path), self.repository.entry_at(other, path)
        return _file(here) != _file(there)

    def _adds_to_moved(self, base: str, by_them: Differences) -> bool:
        """Return whether they add to a folder of the base that we have not any more: it may have moved."""
        return any(
            self.repository.entry_at(self.ours, folder) is None and self._has_folder(base, folder)
            for folder in folders_of(path for path, (was, _) in by_them.items() if was is None)
        )

    def _lost_what_we_add_to(self, base: str, by_them: Differences) -> bool:
        """Return whether they have not any more a folder of the base that we add to: it may have moved."""
        return any(
            self.repository.entry_at(self.theirs, folder) is None and self._we_add_to(base, folder)
            for folder in folders_of(path for path, (_, now) in by_them.items() if now is None)
        )

    def _we_add_to(self, base: str, folder: bytes) -> bool:
        was, now = (self.repository.entry_at(tree, folder) for tree in (base, self.ours))
        if now is None or not now.is_tree:
            return False
        before = was.id if was is not None and was.is_tree else None
        changed = self.repository.changed_paths(before, now.id).values()
        return any(one is None and other is not None for one, other in changed)

    def _has_folder(self, tree: str, folder: bytes) -> bool:
        entry = self.repository.entry_at(tree, folder)
        return entry is not None and entry.is_tree

    def _ask_git(self) -> str | MergeConflict:
        options = self.repository.merge_rules.tree_options(require_git())
        words = ("merge-tree", "--write-tree", "--name-only", "-z", *options, *self.commits())
        paths = self.repository.changed_paths(self.ours, self.theirs)
        attributes = attributes_of(self.repository, self.ours, paths)
        with merging(self.repository, attributes, into=self.into) as ask:
            result = ask(*words)
        if result.code not in {0, 1}:
            raise failure(words, result)
        merged, *rest = result.stdout.split(b"\0")
        if result.code == 0:
            return merged.decode()
        return MergeConflict(tuple(sorted(set(rest[: rest.index(b"")]))))

    def _by_library(self) -> str | MergeConflict:
        handle, (ours, theirs) = self.repository.merge_handle, self.commits()
        with translated("merge two commits"):
            index = handle.merge_commits(pygit2.Oid(hex=ours), pygit2.Oid(hex=theirs))
            if index.conflicts is None:
                return str(index.write_tree(handle))
            entries = [entry for conflict in index.conflicts for entry in conflict if entry is not None]
        return MergeConflict(tuple(sorted({os.fsencode(entry.path) for entry in entries})))


def _commit_of(repository: Repository, tree: str, parents: Sequence[str]) -> str:
    """Write a commit of a tree, because git merges commits only; no ref ever points to it."""
    return repository.write_commit(
        commit_content(tree=tree, parents=parents, message=b"", author=_NOBODY, committer=_NOBODY)
    )


def _file(entry: GitEntry | None) -> GitEntry | None:
    return None if entry is None or entry.is_tree else entry


def _put_together(repository: Repository, tree: str, changes: Changes) -> str | MergeConflict:
    try:
        return repository.splice(tree, changes)
    except TreeConflictError:
        return MergeConflict(tuple(sorted(path for path, entry in changes.items() if entry is not None)))
