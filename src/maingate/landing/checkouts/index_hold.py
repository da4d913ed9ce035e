"""The lock of a checkout's index: while Maingate has ``index.lock``, no git of the person's changes it.

The lock's content says whose it is, so that one which a killed Maingate left is known for that, and removed.
Whether its process is dead is not guessed from a number: the process held a lock of the system's on a file
that the content names (``landing.owed_checkouts``), and that one is free as soon as no process has it.
"""

import contextlib
import errno
import json
import os
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from maingate.clock import RunningTime
from maingate.errors import GitError
from maingate.landing.checkouts.working_trees import Checkout

FOREIGN_GIT_WAIT: Final = timedelta(seconds=5)
"""Maximum wait for another git that has locked the index."""

_POLL: Final = 0.02
_MARK: Final = "maingate-lock"
_LONGEST: Final = 4096


class IndexHold:
    """The index of one checkout, held; ``release`` lets it go.

    Args:
        lock: The lock file.
        index: The index that it stands for.
    """

    def __init__(self, lock: Path, index: Path) -> None:
        self.lock, self._index = lock, index

    def install(self, index: Path) -> None:
        """Replace the index by a file, in one step."""
        with contextlib.suppress(FileNotFoundError):
            os.chmod(index, self._index.stat().st_mode & 0o777)  # noqa: PTH101 - as git's own would be
        index.replace(self._index)

    def release(self) -> None:
        """Release the index."""
        self.lock.unlink(missing_ok=True)


def take(
    checkout: Checkout,
    owner: Mapping[str, Any],
    *,
    is_dead: Callable[[Mapping[str, Any]], bool],
    patience: timedelta = FOREIGN_GIT_WAIT,
) -> IndexHold | str:
    """Lock a checkout's index.

    Args:
        checkout: The checkout.
        owner: The facts about this process, for the lock's content.
        is_dead: Returns whether the process of a lock is provably gone, by the lock's content.
        patience: Maximum wait for another git.

    Returns:
        The hold, or a sentence that names the holder and the command that helps.

    Raises:
        GitError: The lock cannot be made.
    """
    lock = checkout.index.with_name("index.lock")
    waited = RunningTime(look=_POLL * 10)
    while not _made(lock, owner):
        _remove_if_dead(lock, is_dead)
        if waited.now() >= patience.total_seconds() and lock.exists():
            return _who_has(lock, checkout)
        time.sleep(_POLL)
    return IndexHold(lock, checkout.index)


def owner_of(lock: Path) -> Mapping[str, Any] | None:
    """Return the facts about the process that made a lock; None when it is not Maingate's, or is gone."""
    try:
        with open(lock, "rb", opener=_without_waiting) as file:
            said = json.loads(file.read(_LONGEST))
    except (OSError, ValueError):
        return None
    return said if isinstance(said, dict) and said.get("what") == _MARK else None


def _without_waiting(path: str, flags: int) -> int:
    """Open a file without waiting, so that a pipe in its place reads as empty."""
    return os.open(path, flags | os.O_NONBLOCK)


def _made(lock: Path, owner: Mapping[str, Any]) -> bool:
    """Make the lock with all that it says in one step; False when it is there already."""
    said = json.dumps({"what": _MARK, **owner}).encode()
    own = lock.with_name(f"maingate-{uuid.uuid4().hex}")
    try:
        own.write_bytes(said)
        try:
            os.link(own, lock)
        finally:
            own.unlink()
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno in {errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS}:
            return _made_plainly(lock, said)
        raise GitError(f"{lock} cannot be made, so the checkout cannot follow: {error.strerror}") from error
    return True


def _made_plainly(lock: Path, said: bytes) -> bool:
    """Make the lock on a file system without hard links."""
    try:
        with lock.open("xb") as file:
            file.write(said)
    except FileExistsError:
        return False
    except OSError as error:
        raise GitError(f"{lock} cannot be made, so the checkout cannot follow: {error.strerror}") from error
    return True


def _remove_if_dead(lock: Path, is_dead: Callable[[Mapping[str, Any]], bool]) -> None:
    owner = owner_of(lock)
    if owner is not None and is_dead(owner) and owner_of(lock) == owner:
        lock.unlink(missing_ok=True)


def _who_has(lock: Path, checkout: Checkout) -> str:
    owner = owner_of(lock)
    if owner is not None:
        return (
            f"{lock} is held by process {owner.get('pid')} of Maingate on {owner.get('host')}; "
            "it is released when that process is done"
        )
    return (
        f"{lock} exists: another git may be at work in {checkout.top} (`pgrep -a git` lists them); "
        f"if none is, one that was killed has left it, and `rm {lock}` helps"
    )
