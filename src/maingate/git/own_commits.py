"""Commits that land as they are: with their ids, signatures and further parents.

A ready diff may be that of a commit. Where it is applied on the very commit that this one was made on, and
gives its tree, the two are the same step, so the commit itself is taken instead of another one like it.
Commits that change nothing are passed over in between, and taken along behind.
"""

import re
from typing import Final

from maingate.errors import GitError
from maingate.git.repository import Repository

_OF_MAINGATE: Final = re.compile(rb"^Maingate-[A-Za-z]+ *:", re.MULTILINE | re.IGNORECASE)
"""A trailer of Maingate, which a landed commit must not have of another landing, such as a copy of it."""


def lands_as_it_is(repository: Repository, commit: str, *, tree: str, onto: str) -> bool:
    """Return whether a commit is the same step as a patch.

    Args:
        repository: The repository.
        commit: The commit that the patch is of.
        tree: The tree that the patch gives.
        onto: The commit that it was applied on.
    """
    try:
        return _is_step(repository, commit, tree=tree, onto=onto)
    except GitError:  # it was removed, is no commit, or the clone ends there
        return False


def is_tree_of(repository: Repository, commit: str | None, tree: str) -> bool:
    """Return whether git itself made a tree in a commit: a patch that gives it need not be applied by git."""
    try:
        return commit is not None and repository.tree_of(commit) == tree
    except GitError:  # it was removed, or is no commit
        return False


def change_of(repository: Repository, commit: str) -> tuple[str, str]:
    """Return the trees before and after the change of a commit, or else of the newest before it with one.

    Raises:
        MissingObjectError: One of the commits is gone.
    """
    after = repository.tree_of(commit)
    before = _before(repository, commit, after)
    return after if before is None else repository.tree_of(before), after


def _is_step(repository: Repository, commit: str, *, tree: str, onto: str) -> bool:
    if repository.tree_of(commit) != tree:
        return False
    last = _before(repository, commit, tree)
    start = repository.tree_of(onto)
    while last is not None and last != onto and repository.tree_of(last) == start:
        last = _parent(repository, last)
    return last == onto


def _before(repository: Repository, commit: str, tree: str) -> str | None:
    """Return the newest commit before one, along first parents, with another tree; None without one."""
    at: str | None = commit
    while at is not None and repository.tree_of(at) == tree:
        at = _parent(repository, at)
    return at


def _parent(repository: Repository, commit: str) -> str | None:
    """Return the first parent of a commit; None for a root, or one that says that Maingate made it."""
    found = repository.read_commit(commit)
    if not found.parents or _OF_MAINGATE.search(found.message):
        return None
    return found.parents[0]
