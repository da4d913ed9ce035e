"""The tree of a slot: it is made a commit, and what is kept beside it, whatever the job before did to it.

``TreeManifest`` finds what does not belong, git restores what changed. Where ``UntouchedPaths`` proves that a
slot at the commit was not touched, there is nothing to restore. A worker that takes a slot over believes of
the tree only what proves true of a note that the worker before wrote when it ended in order; else the tree is
made anew.
"""

# This runs before every job, and pathlib costs more than what is asked of the system.
# ruff: noqa: PTH208

import contextlib
import hashlib
import os
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from maingate.faultpoints import reach
from maingate.git.filter_drivers import NONE, FilterDrivers
from maingate.git.index_attributes import attribute_files
from maingate.git.remote_view import RemoteView, read_view_of
from maingate.system.removal import all_below, are_folders, remove
from maingate.uet.worktree.control_repository import Control
from maingate.uet.worktree.keep_rules import KeepRules
from maingate.uet.worktree.manifest import TreeManifest
from maingate.uet.worktree.prepared_state import Preparation
from maingate.uet.worktree.slot_record import read_note, write_note
from maingate.uet.worktree.slot_repository import (
    KEPT_CONFIG,
    VISIBLE_CONFIG,
    exclude,
    make_repository,
)
from maingate.uet.worktree.untouched_paths import FEW, UntouchedPaths, now_of, outwait
from maingate.uet.worktree.wanted_tree import WantedTree

_PARTS: Final = frozenset({"tree", "control", "scratch", "kept", "kept.json"})
"""All that a slot has in it while a worker has it."""


def remove_between_slots(folder: bytes) -> None:
    """Remove from the folder of the slots all but slots and their locks.

    Raises:
        OSError: Something cannot be removed.
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return
    for name in names:
        if not name.removesuffix(b".lock").isdigit():
            with contextlib.suppress(FileNotFoundError):  # another worker removes it at the same time
                remove(folder + b"/" + name)


class SlotTree:
    """The tree of one slot, and all that is known about it.

    Args:
        slot_dir: The slot's folder; made when it is missing, reused when it is there.
        source: The common git directory of the repository whose objects are borrowed.
        drivers: The filters that files are written by.
        remotes: The blob of the source that has the tags and remotes which gates see; empty for none.
        is_among_slots: Whether the folder around it is for slots alone, so that all else there is removed.
    """

    def __init__(
        self,
        slot_dir: Path,
        source: Path,
        drivers: FilterDrivers = NONE,
        *,
        remotes: str = "",
        is_among_slots: bool = False,
    ) -> None:
        self.path, self._slot_dir, self._source = slot_dir / "tree", slot_dir, source
        self._is_among_slots = is_among_slots
        self.preparation = Preparation(slot_dir, self.path, source)
        self.index: bytes | None = None
        """The index that the last checkout left."""
        self.discarded: tuple[bytes, ...] = ()
        """The paths that the last move has removed."""
        self._control = Control(slot_dir / "control", self.path, source, drivers)
        self.note = os.fsencode(slot_dir / "slot.json")
        self._has_begun = False
        self._manifest: TreeManifest | None = None
        self._ways: list[object] = []
        self._filters = drivers.to_text()
        self._remotes = remotes
        self._placed = ""
        self._place: WantedTree | None = None
        self._untouched: UntouchedPaths | None = None
        self._past = 0

    def move(self, wanted: WantedTree) -> None:
        """Move the tree to the wanted state.

        Raises:
            GitError: Git could not write it.
            FilterError: A filter failed.
            OSError: Something could not be read, written or removed.
            OwnerChangedError: A job gave files of it to another user.
            CopyBrokenError: The copy of what is kept is not as it was taken.
        """
        self._weed()
        if not self._has_begun:
            self._has_begun = True
            self._take_over(wanted)
        copy = self.preparation.copy_for(wanted)
        if not self._stands_untouched_at(wanted, copy):
            was_there, self._place = wanted == self._place and copy == self._placed, None
            self._restore(wanted, copy, was_there=was_there)
            self._place = wanted

    def leave(self) -> None:
        """Write down how a tree is that keeps something, for the next worker.

        Raises:
            OSError: It cannot be written.
        """
        remove(self.note)
        if self._place is not None and self._place.is_strict and self._manifest is not None:
            write_note(self.note, self._noted(self._place, self._manifest))

    def touched(self) -> None:
        """Drop the proof that nothing was touched."""
        self._untouched = None

    def forget(self) -> None:
        """Forget all that is known about the tree."""
        self._manifest = self._place = self._untouched = None

    def is_sound(self) -> bool:
        """Return whether the slot has its parts, each a folder of its own and not a link to somewhere."""
        return are_folders(self._slot_dir, self._control.folder, self.path)

    def _stands_untouched_at(self, wanted: WantedTree, copy: str) -> bool:
        if wanted != self._place or copy != self._placed or self._untouched is None:
            return False
        return self.is_sound() and self._untouched.holds()

    def _restore(self, wanted: WantedTree, copy: str, *, was_there: bool) -> None:
        """Restore the wanted tree with a fresh ``.git``, whatever was done to the slot."""
        manifest = self._watched(wanted, copy)
        self._control.renew(self.index)
        is_untouched = manifest.clean()
        self.discarded = tuple(manifest.discarded)
        if copy:
            self.preparation.copy.clear(os.fsencode(self.path), wanted.folders)
        if wanted.is_shared:
            outwait(os.fsencode(self._slot_dir), now_of(os.fsencode(self._slot_dir)))
        before, self.index = self.index, self._control.check_out(wanted.commit)
        if before is not None and attribute_files(before) != attribute_files(self.index):
            # Git leaves a file alone whose blob is the same, though it would now be written otherwise.
            self._control.drop_index()
            self.index = self._control.check_out(wanted.commit)
        reach("worktree.setup")
        if copy:
            self.preparation.copy.place(os.fsencode(self.path), wanted.folders)
        self._show_repository(wanted, self.index)
        manifest.track(wanted.tracked if wanted.is_shared else ())
        manifest.survey()
        self._placed, self._ways = copy, self._ways_of(wanted)
        is_proven = not wanted.is_strict or self._outwait(manifest.newest)
        self._manifest = manifest if is_proven else None
        is_untouched = is_untouched and was_there and before == self.index
        self._untouched = self._survey(manifest, is_untouched=is_untouched) if is_proven else None

    def _watched(self, wanted: WantedTree, copy: str) -> TreeManifest:
        """Return the manifest of the tree; when it is not enough, the tree is emptied."""
        if not self.is_sound():
            self._build()
        manifest, self._manifest = self._manifest, None
        if manifest is not None and self._ways == self._ways_of(wanted) and self._placed in ("", copy):
            return manifest
        self.index, self._placed = None, ""
        self.preparation.forget_tree()
        remove(os.fsencode(self.path))
        self.path.mkdir()
        return TreeManifest(os.fsencode(self.path), wanted.left_alone, is_strict=wanted.is_strict)

    def _ways_of(self, wanted: WantedTree) -> list[object]:
        return [*wanted.ways, self._filters]

    def _outwait(self, newest: int) -> bool:
        """Wait until no change can bear that time; a time that was waited for once is past."""
        if newest > self._past:
            if not outwait(os.fsencode(self._slot_dir), newest):
                return False
            self._past = newest
        return True

    def _noted(self, place: WantedTree, manifest: TreeManifest) -> dict[str, Any]:
        """Return the note that ``_take_over`` reads."""
        return {
            "ways": self._ways,
            "index": hashlib.sha256(self.index or b"").hexdigest(),
            "placed": self._placed,
            "prepared": self.preparation.to_json(),
            "tree": manifest.to_json(),
            "tracked": [path.decode("latin-1") for path in place.tracked],
        }

    def _take_over(self, wanted: WantedTree) -> None:
        """Load the last worker's note, as far as it proves true; a note holds only once."""
        note = read_note(self.note)
        remove(self.note)
        if note is None or not self.is_sound():
            return
        manifest = TreeManifest(os.fsencode(self.path), wanted.left_alone, is_strict=wanted.is_strict)
        try:
            index = self._control.index()
            if note["ways"] != self._ways_of(wanted) or hashlib.sha256(index).hexdigest() != note["index"]:
                return
            manifest.track([path.encode("latin-1") for path in note["tracked"]])
            manifest.load(note["tree"])
            self.preparation.load(note["prepared"])
            self._placed, self._ways = note["placed"], note["ways"]
        except (OSError, LookupError, TypeError, ValueError, AttributeError):
            return
        self._manifest, self.index = manifest, index

    def _weed(self) -> None:
        """Remove what a gate has put beside the tree, and beside the slot: programs look for files above."""
        if self._is_among_slots:
            remove_between_slots(os.fsencode(self._slot_dir.parent))
        if are_folders(self._slot_dir):
            parts = _PARTS if self._has_begun else {*_PARTS, "slot.json"}
            for name in set(os.listdir(self._slot_dir)) - parts:
                remove(os.fsencode(self._slot_dir / name))

    def _survey(self, manifest: TreeManifest, *, is_untouched: bool) -> UntouchedPaths | None:
        """Survey the slot as it is now, where that pays and covers all that git would look at.

        A large tree is surveyed once a gate has left it untouched: most gates of it may be of the other kind.
        """
        folders, files = manifest.paths()
        if len(folders) + len(files) > FEW and not is_untouched:
            return None
        repositories = all_below(os.fsencode(self.path / ".git")) + all_below(
            os.fsencode(self._control.folder)
        )
        return UntouchedPaths([*folders, *repositories, *files], clock=os.fsencode(self._slot_dir))

    def _build(self) -> None:
        """Create an empty slot in place of whatever is there; a copy of kept paths proves itself."""
        self.forget()
        for part in (self.path, self._control.folder) if are_folders(self._slot_dir) else (self._slot_dir,):
            remove(os.fsencode(part))
        self.path.mkdir(parents=True)
        self._control.make()

    @cached_property
    def _remote_view(self) -> RemoteView:
        return read_view_of(self._source, self._remotes)

    def _show_repository(self, wanted: WantedTree, index: bytes) -> None:
        """Write the repository that the gate sees, as it is after a checkout: nothing is changed."""
        visible = self.path / ".git"
        remove(os.fsencode(visible))
        view = self._remote_view
        kept = KEPT_CONFIG if wanted.patterns else ""
        config = VISIBLE_CONFIG + kept + view.config
        make_repository(visible, self._source, config=config, head=wanted.commit)
        (visible / "packed-refs").write_bytes(os.fsencode(view.refs))
        (visible / "index").write_bytes(index)
        (visible / "hooks").mkdir()
        exclude(visible, KeepRules(wanted.patterns))
