"""The result of preparing a tree: a copy that every job gets, or what lies in the tree at shared paths."""

import os
from pathlib import Path

from maingate.uet.worktree.keep_rules import KeepRules
from maingate.uet.worktree.kept_copy import KeptCopy
from maingate.uet.worktree.kept_submodules import embed_submodules
from maingate.uet.worktree.wanted_tree import WantedTree, tracked_by


class Preparation:
    """The key that a tree was prepared for, and the result that is kept.

    Args:
        slot_dir: The slot's folder, which holds the copy.
        tree: Its tree.
        source: The common git directory of the repository.
    """

    def __init__(self, slot_dir: Path, tree: Path, source: Path) -> None:
        self._tree, self._source = tree, source
        self.copy = KeptCopy(os.fsencode(slot_dir))
        self._key, self._names = "", [""]

    def is_for(self, wanted: WantedTree) -> bool:
        """Return whether the tree has all that preparing it would leave."""
        if not wanted.key:
            return False
        if not wanted.is_shared:
            return self.copy.is_for(wanted.key)
        return self._key == wanted.key and all(os.path.lexists(self._tree / name) for name in self._names)

    def copy_for(self, wanted: WantedTree) -> str:
        """Return the key of the copy that a tree gets; empty when it gets none."""
        return wanted.key if not wanted.is_shared and self.copy.is_for(wanted.key) else ""

    def keep(self, wanted: WantedTree) -> None:
        """Store what lies at the kept paths, for this job and for later ones; submodules there stay whole.

        Raises:
            GitError: The commit cannot be read.
            OSError: It cannot be taken.
        """
        listed, rules = tracked_by(self._source, wanted.commit, "--name-only"), KeepRules(wanted.patterns)
        embed_submodules(os.fsencode(self._tree), rules, listed)
        if wanted.is_shared:
            names = [name for name in wanted.patterns if os.path.lexists(self._tree / name)]
            self._key, self._names = wanted.key, names
        else:
            self.copy.take(wanted.key, os.fsencode(self._tree), rules, listed)

    def forget_tree(self) -> None:
        """Drop what is known of the tree, which is emptied."""
        self._key = ""

    def forget(self) -> None:
        """Forget everything: the slot is removed."""
        self._key = ""
        self.copy.forget()

    def to_json(self) -> list[object]:
        """Return its part of a note."""
        return [self._key, self._names]

    def load(self, noted: list[object]) -> None:
        """Load its part of a note.

        Raises:
            ValueError: It is not that.
            TypeError: It is not that.
        """
        key, names = noted
        if not isinstance(key, str) or not isinstance(names, list):
            raise TypeError("not the note of a preparation")
        self._key, self._names = key, names
