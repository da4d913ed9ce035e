"""The slots of a repository: folders of worktrees, each locked by whoever works in it.

A lock is held by the control process and by the worker that it started, so a slot stays taken until both are
gone. The folders are kept, so that the next run finds them warm.
"""

import contextlib
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from maingate.uet.process_tree import end_strays

_MOST: Final = 4096


@dataclass(eq=False, kw_only=True)
class Slot:
    """A slot that this process holds.

    Args:
        number: Its number, which is the name of its folder.
        path: Its folder.
        lock: The descriptor that locks it.
    """

    number: int
    path: Path
    lock: int


class Slots:
    """Takes slots and gives them back.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._free: list[Slot] = []

    def make(self) -> None:
        """Make the folder.

        Raises:
            OSError: It cannot be made.
        """
        self._folder.mkdir(parents=True, exist_ok=True)

    def take(self) -> Slot:
        """Take a slot that nobody holds: one that was put back, or the first that can be locked.

        Raises:
            OSError: There is none, or a lock cannot be made.
        """
        if self._free:
            return self._free.pop()
        for number in range(_MOST):
            slot = self._lock(number)
            if slot is not None:
                return slot
        raise OSError(f"all {_MOST} are taken")

    def put_back(self, slot: Slot) -> None:
        """Keep a slot locked for the next worker of this pool."""
        self._free.append(slot)

    def release(self) -> None:
        """Let others have the slots that were put back."""
        for slot in self._free:
            os.close(slot.lock)
        self._free = []

    def end_orphans(self) -> int:
        """End what earlier control processes left running in slots that nobody holds any more.

        Returns:
            How many processes were ended.

        Raises:
            OSError: A lock cannot be had for another reason than that somebody holds it.
        """
        with contextlib.ExitStack() as unlocking:
            folders = []
            for path in self._folder.glob("*.lock"):
                slot = self._lock(int(path.stem)) if path.stem.isdigit() and path.is_file() else None
                if slot is not None:
                    unlocking.callback(os.close, slot.lock)
                    folders.append(str(slot.path))
            return end_strays(*folders)

    def _lock(self, number: int) -> Slot | None:
        """Lock a slot; None when somebody else has."""
        path = self._folder / f"{number}.lock"
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        except OSError:
            os.close(lock)
            raise
        return Slot(number=number, path=self._folder / str(number), lock=lock)
