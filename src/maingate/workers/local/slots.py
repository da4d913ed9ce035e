"""The slots of a repository: folders of worktrees, each locked by the process that works in it.

The locks are in the state folder of the repository, because the worktrees are in a cache, which may be
cleared at any time and may be another one in the next run: two runs of a repository never share a number. A
second lock lies beside the worktree, for the case that the state folder is cleared. A lock is held by the
control process and by the worker that it started, so a slot stays taken until both are gone. The folders are
kept, so that the next run finds them warm.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from maingate.uet.worktree.slot_tree import remove_between_slots
from maingate.workers.local.stray_processes import end_strays

_MOST: Final = 4096


@dataclass(eq=False, kw_only=True)
class Slot:
    """A slot that this process holds.

    Args:
        number: Its number, which is the name of its folder.
        path: Its folder.
        locks: The descriptors that lock it.
        lock_paths: The files that they are of.
        is_stuck: Whether something in it cannot be removed, so that no job can have it.
    """

    number: int
    path: Path
    locks: tuple[int, ...]
    lock_paths: tuple[Path, ...] = ()
    is_stuck: bool = False

    @property
    def is_held(self) -> bool:
        """True while this process holds it: a lock on a file that was removed keeps no other process out."""
        return all(map(_is_of, self.locks, self.lock_paths))

    @property
    def is_whole(self) -> bool:
        """True while work done in it counts: neither its folder nor a lock was removed meanwhile."""
        return self.is_held and self.path.is_dir()

    @property
    def is_empty(self) -> bool:
        """True while nothing is in its folder."""
        try:
            return not os.listdir(self.path)  # noqa: PTH208 - names alone are wanted
        except (FileNotFoundError, NotADirectoryError):
            return True

    def let_go(self) -> None:
        """Release its locks."""
        for lock in self.locks:
            os.close(lock)


class Slots:
    """Takes slots and gives them back.

    Args:
        folder: Where they are.
        locks: Where their locks are.
        former: Where they were before, under the same locks.
    """

    def __init__(self, folder: Path, locks: Path, *, former: Sequence[Path] = ()) -> None:
        self._folder, self._locks, self._former = folder, locks, former
        self._free: list[Slot] = []
        self._stuck: list[Slot] = []

    def make(self) -> None:
        """Create the folders; that of the locks in a state folder that exists.

        Files that gates have left between the slots are removed, since programs look for files in the folders
        above.

        Raises:
            OSError: One cannot be made, or something cannot be removed.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        remove_between_slots(os.fsencode(self._folder))
        self._locks.mkdir(exist_ok=True)

    def take(self) -> Slot:
        """Lock and return a free slot: one that was put back, or the first that can be locked.

        Raises:
            OSError: There is none, or a lock cannot be made.
        """
        self.make()
        while self._free:
            kept = self._free.pop()
            if kept.is_held:
                return kept
            kept.let_go()
        for number in range(_MOST):
            slot = self._lock(number)
            if slot is not None:
                return slot
        raise OSError(f"all {_MOST} are taken")

    def put_back(self, slot: Slot) -> None:
        """Keep a slot locked for the next worker of this pool; one that is stuck is kept from all of them."""
        (self._stuck if slot.is_stuck else self._free).append(slot)

    def release(self) -> None:
        """Release the slots that were put back."""
        for slot in (*self._free, *self._stuck):
            slot.let_go()
        self._free, self._stuck = [], []

    def end_orphans(self) -> int:
        """End the processes that earlier control processes left in slots which are free now.

        Returns:
            How many processes were ended.

        Raises:
            OSError: A lock cannot be had for another reason than that it is held.
        """
        with self.unused() as slots:
            return end_strays(*(str(slot.path) for slot in slots))

    @contextlib.contextmanager
    def unused(self) -> Iterator[list[Slot]]:
        """Lock all slots that were ever made and are free, and yield them.

        Raises:
            OSError: A lock cannot be had for another reason than that it is held.
        """
        with contextlib.ExitStack() as unlocking:
            slots = []
            for number in sorted(self._numbers()):
                if (slot := self._lock(number)) is not None:
                    unlocking.callback(slot.let_go)
                    slots.append(slot)
            yield slots

    def seen(self) -> dict[Path, bool]:
        """Return the slots whose folder is there, each with whether a process holds it; nothing is made."""
        held = {number: self._is_held(number) for number in self._numbers()}
        paths = (folder / str(number) for folder in (self._folder, *self._former) for number in sorted(held))
        return {path: held[int(path.name)] for path in paths if path.is_dir()}

    def _is_held(self, number: int) -> bool:
        """Return whether a process holds one of a slot's locks; the question holds none for longer."""
        return any(_is_locked(folder / f"{number}.lock") for folder in (self._locks, self._folder))

    def _numbers(self) -> set[int]:
        """Return the numbers of the slots that there are, or were."""
        locks = [*self._locks.glob("*.lock"), *self._folder.glob("*.lock")]
        names = [path.stem for path in locks if path.is_file()]
        names += [path.name for folder in (self._folder, *self._former) for path in folder.glob("*")]
        return {int(name) for name in names if name.isdecimal()}

    def _lock(self, number: int) -> Slot | None:
        """Lock a slot and return it; None when another process holds it."""
        with contextlib.ExitStack() as undoing:
            locks = []
            paths = tuple(folder / f"{number}.lock" for folder in (self._locks, self._folder))
            for path in paths:
                lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
                undoing.callback(os.close, lock)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return None
                locks.append(lock)
            undoing.pop_all()
        return Slot(number=number, path=self._folder / str(number), locks=tuple(locks), lock_paths=paths)


def _is_locked(path: Path) -> bool:
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _is_of(lock: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock), path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return False
