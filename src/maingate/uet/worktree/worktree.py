"""A worktree slot: the folder in which gates see a commit, one after the other.

A slot holds ``tree/``, the work tree; ``control/``, the git directory that Maingate itself uses to move
the tree; and ``scratch/``, the temporary folder of the job. It is a shared clone (docs/ARCHITECTURE.md,
"git"): objects are borrowed through alternates from the person's repository, nothing else is. For gates,
``tree/.git`` is one more repository, written anew for every job, in which it may commit, stash, tag
and configure what it likes; it is not read afterwards.

A move restores exactly the commit (``SlotTree``), whatever the gate before did. If anything about the slot is
off, the slot is destroyed and built again.

Beside the commit there is what the plan keeps, untracked. After ``prepare`` it is put by in a copy, from
which every job gets the same; only where the plan says that jobs share it, it stays as the last job left it.
"""

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from maingate.errors import GitError, WorktreeError
from maingate.git.filter_drivers import NONE, FilterDrivers
from maingate.git.submodule_update import has_newest_only
from maingate.system.removal import are_folders, remove
from maingate.uet.capture import Capture, Captured
from maingate.uet.process.command import CommandLine
from maingate.uet.worktree.borrowed_submodules import borrow_submodules
from maingate.uet.worktree.keep_rules import KeepRules
from maingate.uet.worktree.kept_copy import CopyBrokenError
from maingate.uet.worktree.scratch_folder import Scratch
from maingate.uet.worktree.slot_tree import SlotTree
from maingate.uet.worktree.tree_capture import Ground, capture_apart
from maingate.uet.worktree.tree_folder import OwnerChangedError
from maingate.uet.worktree.wanted_tree import (
    WantedTree,
    require_commit,
    wanted_tree,
    with_tracked,
)

_OFF: Final = (GitError, OSError, OwnerChangedError, CopyBrokenError)
"""Errors of a slot that is not as it was left."""


class Worktree:
    """One slot. Not for two processes at once: its owner holds its lock.

    Args:
        slot_dir: The slot's folder; made when it is missing, reused when it is there.
        source_git_dir: The common git directory of the repository whose objects are borrowed.
        drivers: The filters of its user and of the repository.
        remotes: The blob that has the tags and remotes which gates see; empty for none.
        is_among_slots: Whether the folder around it is for slots alone, so that all else there is removed.
    """

    def __init__(
        self,
        slot_dir: Path,
        source_git_dir: Path,
        drivers: FilterDrivers = NONE,
        *,
        remotes: str = "",
        is_among_slots: bool = False,
    ) -> None:
        self.slot_dir, self._source = slot_dir.absolute(), source_git_dir.absolute()
        self._drivers = drivers
        self._tree = SlotTree(
            self.slot_dir, self._source, drivers, remotes=remotes, is_among_slots=is_among_slots
        )
        self.tree = self._tree.path
        self._scratch = Scratch(self.slot_dir / "scratch", drivers)
        self._asked: WantedTree | None = None
        self._wanted: WantedTree | None = None
        self.unkept: tuple[bytes, ...] = ()
        """The paths that ``prepare`` made last and that are not kept: no job sees them."""

    def move(
        self, commit: str, *, keep: Sequence[str] = (), shared: bool = False, prepared_for: str = ""
    ) -> None:
        """Move the tree to a commit and what is kept, with a fresh ``.git`` and a fresh scratch folder.

        Args:
            commit: The full id of a commit of the source repository.
            keep: Untracked paths that are kept: a name at any depth, or a path from the root; globs are
                allowed.
            shared: They stay as the job before left them. Else they are as ``mark_prepared`` found them.
            prepared_for: The key of the command and state that prepare the tree; empty when none does.

        Raises:
            FilterError: A filter failed.
            WorktreeError: It could not be done, not even in a slot built anew.
        """
        try:
            wanted = self._wanted_now(commit, keep, prepared_for, is_shared=shared and bool(keep))
            try:
                self._make(wanted)
            except _OFF:
                require_commit(self._source, commit)
                self.destroy()
                self._make(wanted)
        except _OFF as error:
            raise WorktreeError(f"the worktree {self.tree} cannot be moved to {commit}: {error}") from error

    def is_prepared(self) -> bool:
        """Return whether the tree has what preparing it for what it is would leave."""
        return self._wanted is not None and self._tree.preparation.is_for(self._wanted)

    def mark_prepared(self) -> None:
        """Store what lies at the kept paths as the result of preparing the tree, for this job and later ones.

        Raises:
            WorktreeError: It cannot be taken, for later jobs no more than for this one.
        """
        wanted = self._wanted
        if wanted is None or not wanted.key:
            return
        try:
            if not self._tree.is_sound():
                raise OSError("the worktree itself was removed or replaced")
            self._tree.preparation.keep(wanted)
        except _OFF as error:
            raise WorktreeError(f"what was prepared in {self.tree} cannot be kept: {error}") from error

    def borrow_submodules(self, command: CommandLine) -> bool:
        """Make the repositories of submodules that a command of ``update_command`` could not clone.

        Returns:
            Whether the person's clones have any of them: then that command gets further.

        Raises:
            WorktreeError: They cannot be read or made.
        """
        try:
            return borrow_submodules(self.tree, newest_only=has_newest_only(command))
        except _OFF as error:
            raise WorktreeError(f"submodules of {self.tree} cannot be made: {error}") from error

    def note_unkept(self) -> None:
        """Record that the last move has removed what ``prepare`` made and nothing keeps."""
        rules = KeepRules(self._wanted.patterns if self._wanted else ())
        self.unkept = tuple(
            path
            for path in sorted(self._tree.discarded)
            if not (rules.keeps(path) or rules.keeps_below(path))
        )

    def leave(self) -> None:
        """Write down how a tree is that keeps something, so that the next worker need not make it anew.

        Nothing may run in it.

        Raises:
            WorktreeError: It cannot be noted.
        """
        try:
            self._tree.leave()
        except OSError as error:
            raise WorktreeError(f"{os.fsdecode(self._tree.note)} cannot be written: {error}") from error

    def destroy(self) -> None:
        """Remove the slot with all it holds; targets of symbolic links in it stay.

        Raises:
            OSError: Something in it cannot be removed.
        """
        self._tree.forget()
        self._tree.preparation.forget()
        remove(os.fsencode(self.slot_dir))

    def environment(self) -> dict[str, str]:
        """Return the variables that point a gate to its temporary folder and git configuration."""
        return self._scratch.environment()

    def sweep(self) -> None:
        """Remove the scratch folder of the job that ended.

        Raises:
            WorktreeError: Something in it cannot be removed.
        """
        try:
            self._scratch.sweep()
        except OSError as error:
            raise WorktreeError(f"{self._scratch.folder} cannot be removed: {error}") from error

    def begin(self, prompt: str) -> tuple[Path, int]:
        """Write the prompt of a tool where its edits cannot reach it by accident.

        Returns:
            The prompt's file, and the time of the file system now, in nanoseconds.

        Raises:
            WorktreeError: It cannot be written.
        """
        path = self._scratch.prompt
        try:
            path.write_text(prompt, encoding="utf-8", errors="surrogateescape")
            os.utime(self.slot_dir)
            return path, self.slot_dir.lstat().st_ctime_ns
        except OSError as error:
            raise WorktreeError(f"{path} cannot be written: {error}") from error

    def capture(
        self,
        wanted: Capture,
        diff: Path,
        *,
        commit: str,
        keep: Sequence[str] = (),
        since: int = 0,
        secrets: Collection[str] = (),
    ) -> Captured:
        """Capture what a tool left in the tree. Nothing may run in the slot meanwhile.

        Args:
            wanted: How big the patch may be, and what is no part of it.
            diff: The file that it is written to.
            commit: The commit that the tree was moved to before.
            keep: The paths that were kept then; they are no part of the patch.
            since: When the tool began, as ``begin`` told.
            secrets: Values that no patch may have in it.
        """
        self._tree.touched()
        if self._tree.index is None or not are_folders(self.slot_dir, self.tree):
            return Captured(problem="the tool removed or replaced the worktree itself")
        git_dir, rules = self.slot_dir / "capture", KeepRules(keep)
        ground = Ground(
            tree=self.tree,
            git_dir=git_dir,
            commit=commit,
            index=self._tree.index,
            keep=rules,
            since=since,
            drivers=self._drivers,
        )
        return capture_apart(ground, wanted, diff, source=self._source, secrets=secrets)

    def _make(self, wanted: WantedTree) -> None:
        self._tree.move(wanted)
        self._scratch.renew()

    def _wanted_now(
        self, commit: str, keep: Sequence[str], prepared_for: str, *, is_shared: bool
    ) -> WantedTree:
        asked = wanted_tree(self._source, commit, keep, prepared_for, is_shared=is_shared)
        if self._wanted is None or asked != self._asked:
            self._wanted, self._asked = with_tracked(self._source, asked), asked
        return self._wanted
