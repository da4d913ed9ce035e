"""The state that a slot's tree is to have: a commit, and what the plan keeps beside it, untracked."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from maingate.git.command import run_git
from maingate.uet.worktree.keep_rules import KeepRules, folders_listed
from maingate.uet.worktree.slot_repository import shallow_of


@dataclass(frozen=True, kw_only=True)
class WantedTree:
    """The state that a tree is to have.

    Args:
        commit: The commit.
        patterns: The paths that are kept beside it.
        is_shared: Whether what is kept stays as the job before left it.
        key: A key of all that the preparation of the tree depends on; empty when nothing of it is kept.
        tracked: Paths that the commit has where something is kept.
        folders: Its folders, on which kept things may stand.
        shallow: Where the source's history ends.
    """

    commit: str
    patterns: tuple[str, ...]
    is_shared: bool
    key: str
    shallow: bytes | None
    tracked: tuple[bytes, ...] = ()
    folders: frozenset[bytes] = frozenset()

    @property
    def ways(self) -> list[object]:
        """The rules that a tree is watched by; one that was watched by others is made anew."""
        return [list(self.patterns), self.is_shared]

    @property
    def is_strict(self) -> bool:
        """True when anything is kept, so that the times of files matter."""
        return bool(self.patterns) and (self.is_shared or bool(self.key))

    @property
    def left_alone(self) -> KeepRules:
        """The paths that are not looked after."""
        return KeepRules(self.patterns if self.is_shared else ())


def wanted_tree(
    source: Path, commit: str, keep: Sequence[str], prepared_for: str, *, is_shared: bool
) -> WantedTree:
    """Return the state that a tree is to have, as far as it is known without looking into the commit."""
    return WantedTree(
        commit=commit,
        patterns=tuple(keep),
        is_shared=is_shared,
        key=prepared_for,
        shallow=shallow_of(source),
    )


def with_tracked(source: Path, wanted: WantedTree) -> WantedTree:
    """Return the state with what the commit tracks where something is kept.

    Raises:
        GitError: The source does not have the commit.
    """
    if not wanted.patterns or not (wanted.is_shared or wanted.key):
        return replace(wanted, key="")
    listed = tracked_by(source, wanted.commit)
    lines = KeepRules(wanted.patterns).among(listed)
    key = hashlib.sha256(wanted.key.encode(errors="surrogateescape"))
    for line in () if wanted.is_shared else lines:
        key.update(b"\0" + line)
    return replace(
        wanted,
        key=key.hexdigest() if wanted.key else "",
        tracked=tuple(line.partition(b"\t")[2] for line in lines),
        folders=frozenset() if wanted.is_shared else folders_listed(listed),
    )


def tracked_by(source: Path, commit: str, *options: str) -> list[bytes]:
    """List all that a commit tracks, as ``git ls-tree`` does.

    Raises:
        GitError: The source does not have the commit.
    """
    listed = run_git("ls-tree", "-r", "-z", "--full-tree", *options, commit, git_dir=source)
    return listed.stdout.split(b"\0")[:-1]


def require_commit(source: Path, commit: str) -> None:
    """Check that the source has a commit.

    Raises:
        GitError: It has not: no slot could be moved there.
    """
    run_git("cat-file", "-e", f"{commit}^{{commit}}", git_dir=source)
