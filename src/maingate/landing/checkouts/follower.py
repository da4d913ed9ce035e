"""One checkout that follows its branch: looked at while its index is held, then changed file by file.

Each file that the move changes is what it was before (`OLD`), what it will be (`NEW`), or something else,
which is an edit of the person's and stays. A file is replaced by renaming one that is ready, so a kill at any
moment leaves every file old or new, and doing it again ends it. The index comes last.
"""

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from enum import Enum
from typing import Any, Final

from maingate.errors import GitError
from maingate.faultpoints import reach
from maingate.git.repository import Repository
from maingate.git.trees import GitEntry
from maingate.landing.checkouts import index_hold
from maingate.landing.checkouts.checkout_state import in_progress
from maingate.landing.checkouts.file_change import digest, put_file, remove_file
from maingate.landing.checkouts.overwritten_work import in_the_way, overwritten_files
from maingate.landing.checkouts.prepared_files import (
    CheckoutStage,
    Signature,
    at,
    new_stage,
    paths_of,
    signature,
)
from maingate.landing.checkouts.working_trees import Checkout
from maingate.landing.owed_checkouts import HeldRecord, PendingCheckout

_SUBMODULE: Final = 0o160000


class State(Enum):
    """The state of a file that the move changes."""

    OLD = "old"
    NEW = "new"
    OTHER = "other"
    """The person has changed it, or put something in its place."""


class CheckoutFollower:
    """Moves one checkout from one tree to another.

    Args:
        repository: The repository.
        checkout: The checkout.
        old: The tree its files are at.
        new: The tree they go to.
        name: The name of its stage, which no other has.
        timeout: How long git and the person's filters may take for its files.
    """

    def __init__(
        self, repository: Repository, checkout: Checkout, *, old: str, new: str, name: str, timeout: timedelta
    ) -> None:
        self._repository, self.checkout = repository, checkout
        self._old, self._new = old, new
        self.stage: CheckoutStage = new_stage(checkout, timeout, name)
        self._changed = repository.changed_paths(old, new)
        self._seen: dict[bytes, Signature | None] = {}
        self._digests: dict[bytes, str] = {}
        self._alike: dict[bytes, GitEntry] = {}
        self._hold: index_hold.IndexHold | None = None
        self.states: dict[bytes, State] = {}

    # -- before the branch moves -----------------------------------------------------------------------------

    def make_ready(self, *, is_again: bool = False) -> tuple[str, ...]:
        """Make the new files and the new index beside the checkout; say why where that cannot be.

        Args:
            is_again: Whether this was tried before, so that the index may be further than the files.
        """
        back = {path: was for path, (was, _) in self._changed.items()} if is_again else None
        try:
            return self.stage.make(self._old, self._new, back)
        except GitError as error:
            return (f"{error}",)

    def hold(self, held_record: HeldRecord, what: str) -> str | None:
        """Lock the checkout's index; return a sentence about its holder where that fails."""
        held = index_hold.take(self.checkout, held_record.owner(what), is_dead=held_record.is_dead)
        if isinstance(held, str):
            return held
        self._hold = held
        reach("checkout.held")
        return None

    def blockers(self) -> tuple[str, ...]:
        """Return the reasons why the checkout cannot follow; its index must be held."""
        if busy := in_progress(self.checkout):
            return busy
        if not self.stage.is_current and (problems := self.make_ready()):
            return problems
        self.look()
        theirs = [path for path, state in self.states.items() if state is State.OTHER]
        overwritten = overwritten_files(self._repository, self.checkout, self._old, self._changed, theirs)
        return tuple(dict.fromkeys([*overwritten, *self._unwritable()]))

    def look(self) -> None:
        """Classify each file that the move changes."""
        self._seen = {path: signature(self.checkout.top, path) for path in self._changed}
        self._digests = {path: self._digest(path) for path, seen in self._seen.items() if seen is not None}
        self.states = dict(self._found())

    def _found(self) -> Iterator[tuple[bytes, State]]:
        were = {path: was for path, (was, _) in self._changed.items() if was is not None}
        differing = self.stage.differing(were)
        differing |= {path for path in self._changed.keys() - were.keys() if self._is_in_the_way(path)}
        unclear = {path for path in differing if not self._is_new(path)}
        unclear -= self._stored_as_new(unclear)
        untouched = self.stage.same_as_checked_out({path: were[path] for path in unclear if path in were})
        for path in self._changed:
            if path not in differing or path in untouched:
                yield path, State.OLD
            else:
                yield path, State.OTHER if path in unclear else State.NEW

    def _stored_as_new(self, paths: Iterable[bytes]) -> set[bytes]:
        """Return the files that git would store as the new ones: a filter need not write the same twice."""
        new = {path: now for path in paths if (now := self._changed[path][1]) is not None}
        plain = {path: now for path, now in new.items() if now.mode != _SUBMODULE}
        same = plain.keys() - self.stage.differing(plain)
        self._alike = {path: plain[path] for path in same}
        return same

    def _is_new(self, path: bytes) -> bool:
        now, seen = self._changed[path][1], self._seen[path]
        if now is None:
            return seen is None or bool(stat.S_ISDIR(seen[0]))
        if now.mode == _SUBMODULE:
            return seen is not None and bool(stat.S_ISDIR(seen[0]))
        made = signature(self.stage.tree, path)
        return (made is None and seen is None) or self.stage.is_in_place(path)

    def _is_in_the_way(self, path: bytes) -> bool:
        return any(in_the_way(self._repository, self.checkout.top, self._old, [path]))

    def _unwritable(self) -> Iterator[str]:
        """Return the places of the checkout that cannot be written to, as sentences."""
        folders = {_nearest_folder(self.checkout.top, path) for path in self._changed}
        for folder in sorted(folders):
            if not os.access(folder, os.W_OK | os.X_OK):
                yield f"{os.fsdecode(folder)} cannot be written to"

    # -- after it --------------------------------------------------------------------------------------------

    def place(self) -> PendingCheckout | None:
        """Replace the old files, then the index; return the rest where some could not be replaced."""
        why = [*self._place_files()]
        kept = {path: self._digest(path) for path, state in self.states.items() if state is State.OTHER}
        reach("checkout.files")
        with contextlib.suppress(GitError):  # only for speed: a status compares what differs
            if self._alike:  # with the sizes of these files, not of those that were made
                self.stage.set_entries(self._alike)
            self.stage.refresh()
        reach("checkout.index")
        if (
            self._hold is not None and not why
        ):  # what is owed is told by the index, so it comes last or not at all
            self._hold.install(self.stage.index)
        reach("checkout.installed")
        why += [f"{name} has an edit of yours that was made on what it was before" for name in paths_of(kept)]
        if not why:
            return None
        shown = {os.fsdecode(path): digest for path, digest in kept.items()}
        return self.following(why=tuple(why), kept=shown)

    def following(
        self, *, why: tuple[str, ...] = (), kept: Mapping[str, str] | None = None
    ) -> PendingCheckout:
        """Describe it for the record."""
        return PendingCheckout(
            git_dir=str(self.checkout.git_dir),
            top=str(self.checkout.top),
            stage=str(self.stage.folder),
            why=why,
            kept=kept or {},
        )

    def release(self) -> None:
        """Release the index, and remove the stage."""
        if self._hold is not None:
            self._hold.release()
            self._hold = None
        self.stage.remove()

    def _place_files(self) -> Iterator[str]:
        old_ones = [path for path, state in self.states.items() if state is State.OLD]
        gone = [path for path in old_ones if not self._is_made(path)]
        may_leave_out = bool(gone) and self.stage.is_sparse()
        for path in sorted(gone, reverse=True):
            if self._changed[path][1] is None or may_leave_out:
                yield from self._changing(path, self._remove)
            else:
                yield f"{paths_of([path])[0]} was not made by git"
        for path in sorted(path for path in old_ones if path not in set(gone)):
            yield from self._changing(path, self._put)

    def _changing(self, path: bytes, change: Any) -> Iterator[str]:
        """Change one file, unless the person has just done so."""
        if not self._is_still_old(path):
            self.states[path] = State.OTHER
            return
        try:
            change(path)
        except OSError as error:
            yield f"{paths_of([path])[0]} could not be changed: {error.strerror}"
        reach("checkout.file")

    def _is_still_old(self, path: bytes) -> bool:
        """Return whether a file is as it was when it was examined; a file that was only touched is."""
        seen = self._seen[path]
        if seen is not None and stat.S_ISDIR(seen[0]):  # removed only where nothing is in it
            return True
        now = signature(self.checkout.top, path)
        return now == seen or (now is not None and self._digest(path) == self._digests.get(path))

    def _is_made(self, path: bytes) -> bool:
        now = self._changed[path][1]
        return now is not None and (now.mode == _SUBMODULE or signature(self.stage.tree, path) is not None)

    def _remove(self, path: bytes) -> None:
        if self._seen[path] is not None:
            remove_file(self.checkout.top, path, is_submodule=_is_submodule(self._changed[path][0]))

    def _put(self, path: bytes) -> None:
        put_file(self.checkout.top, self.stage, path, is_submodule=_is_submodule(self._changed[path][1]))

    def _digest(self, path: bytes) -> str:
        return digest(self.checkout, path)


def _is_submodule(entry: GitEntry | None) -> bool:
    return entry is not None and entry.mode == _SUBMODULE


def _nearest_folder(top: Any, path: bytes) -> bytes:
    folder = os.path.dirname(at(top, path))  # noqa: PTH120 - names are bytes
    while not os.path.isdir(folder) and folder not in {b"", b"/"}:  # noqa: PTH112 - names are bytes
        folder = os.path.dirname(folder)  # noqa: PTH120 - names are bytes
    return folder
