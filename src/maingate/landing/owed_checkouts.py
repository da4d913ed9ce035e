"""The record of a move of a branch while its checkouts follow, in files beside git's own.

A branch, the files of its checkouts and their indexes cannot be changed in one step. So before the branch
moves, a file in the state folder says from where to where, which checkouts have to follow, and which locks
git may leave if it is killed. The file is gone when all of it is done; while it is there, something is owed.

A process that moves a branch holds a lock of the system's beside that file, and the git that moves it
inherits that. So the lock is free exactly when neither of them lives, independent of process numbers, clocks
and containers.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from maingate.clock import RunningTime
from maingate.errors import GitError, TargetBusyError
from maingate.git.repository import Repository
from maingate.git.targets import short_name
from maingate.system.process_table import started

KILLED_GIT_WAIT: Final = timedelta(seconds=5)
"""Maximum wait for the git of a Maingate that was killed."""

_POLL: Final = 0.02


@dataclass(frozen=True, kw_only=True)
class PendingCheckout:
    """A checkout that has to follow.

    Args:
        git_dir: Its own git directory.
        top: Where its files are.
        stage: Where its new files wait, to be removed with the record.
        why: Why it has not followed; empty while that is under way.
        kept: Files with an edit of the person's, and the digest of what they held.
    """

    git_dir: str
    top: str
    stage: str = ""
    why: tuple[str, ...] = ()
    kept: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class UnfinishedMove:
    """A move of a branch whose checkouts have not all followed.

    Args:
        ref: The branch.
        old: Where it was.
        new: Where it goes.
        what: The name of the landing, for people.
        locks: The lock files that git makes for it, none of which was there before.
        checkouts: The checkouts that have to follow.
        since: The time at which it was written; None before that.
    """

    ref: str
    old: str
    new: str
    what: str = ""
    locks: tuple[str, ...] = ()
    checkouts: tuple[PendingCheckout, ...] = ()
    since: datetime | None = field(default=None, compare=False)

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "UnfinishedMove":
        """Parse the JSON that `HeldRecord.write` writes."""
        checkouts = [
            PendingCheckout(**{**each, "why": tuple(each.get("why", ()))}) for each in said["checkouts"]
        ]
        own = {name: said[name] for name in ("ref", "old", "new", "what")}
        return cls(**own, locks=tuple(said["locks"]), checkouts=tuple(checkouts))

    def of(self, checkouts: tuple[PendingCheckout, ...]) -> "UnfinishedMove":
        """Return it with other checkouts that have to follow."""
        return replace(self, checkouts=checkouts)


class HeldRecord:
    """The locked record of one branch: meanwhile no other process moves the branch or its checkouts."""

    def __init__(self, ref: str, path: Path, held: int) -> None:
        self.ref, self.path, self.held = ref, path, held

    def read(self) -> UnfinishedMove | None:
        """Return the move whose checkouts have not all followed; None without one.

        Raises:
            GitError: It cannot be read.
        """
        return _read(self.path)

    def write(self, record: UnfinishedMove) -> None:
        """Write durably which move is about to be made, or which checkouts are owed an update.

        Raises:
            GitError: It cannot be written; is the disk full?
        """
        fresh = self.path.with_suffix(".new")
        try:
            with fresh.open("w", encoding="utf-8") as file:
                written = {key: value for key, value in asdict(record).items() if key != "since"}
                json.dump({**written, "at": str(_git_dir_of(self.path))}, file)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
            _sync(self.path.parent)
        except OSError as error:
            raise GitError(f"{self.path} cannot be written: {error}; nothing was changed") from error

    def clear(self) -> None:
        """Remove the record: all checkouts have followed."""
        self.path.unlink(missing_ok=True)

    def owner(self, what: str) -> dict[str, Any]:
        """Return the facts about this process, for the content of a lock of git's."""
        return {
            "record": str(self.path),
            "pid": os.getpid(),
            "started": started(os.getpid()),
            "host": socket.gethostname(),
            "for": what,
        }

    def is_dead(self, owner: Mapping[str, Any]) -> bool:
        """Return whether the process that left a lock is provably gone."""
        record = Path(str(owner.get("record")))
        if owner.get("host") != socket.gethostname():
            return False
        if record == self.path:  # held here, so its process is gone, unless it is this one
            return (owner.get("pid"), owner.get("started")) != (os.getpid(), started(os.getpid()))
        held = _locked(_holder(record), patience=timedelta(0)) if record.parent.is_dir() else None
        if held is not None:
            os.close(held)
        return held is not None or not record.parent.is_dir()


@contextmanager
def locked_record(
    repository: Repository, ref: str, *, patience: timedelta = KILLED_GIT_WAIT
) -> Iterator[HeldRecord]:
    """Lock the record of a branch.

    Raises:
        TargetBusyError: A living process has it.
        GitError: The state folder cannot be used.
    """
    path = _path(repository, ref)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = _locked(_holder(path), patience=patience)
    except OSError as error:
        raise GitError(f"{path.parent} cannot be used: {error}") from error
    if held is None:
        raise TargetBusyError(
            f"{short_name(ref)} is being moved by another process, or by the git of one that was "
            f"killed (`fuser {_holder(path)}` names it)",
            "try again when that has ended",
        )
    try:
        yield HeldRecord(ref, path, held)
    finally:
        os.close(held)


def unfinished_moves(repository: Repository) -> list[tuple[UnfinishedMove, bool]]:
    """Read the records of all branches, each with whether a living process works on it."""
    found = []
    for path in sorted(_folder(repository).glob("*.json")):
        record = _read(path)
        if record is not None:
            held = _locked(_holder(path), patience=timedelta(0))
            if held is not None:
                os.close(held)
            found.append((record, held is None))
    return found


def _read(path: Path) -> UnfinishedMove | None:
    try:
        said, written = json.loads(path.read_text(encoding="utf-8")), path.stat().st_mtime
        record = UnfinishedMove.from_json(_brought(said, said["at"], str(_git_dir_of(path))))
        return replace(record, since=datetime.fromtimestamp(written, tz=UTC))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GitError(
            f"{path} cannot be read ({error}); `git status` in the checkouts of the branch says where they "
            "stand; remove the file when they are in order"
        ) from error


def _brought(said: Any, old: str, new: str) -> Any:
    """Return a record with its paths as they are here: the repository was moved, or is a copy.

    So a copy never touches a checkout, or a lock, of the repository that it was copied from.
    """
    if old == new:
        return said
    if isinstance(said, Mapping):
        return {name: _brought(value, old, new) for name, value in said.items()}
    if isinstance(said, list):
        return [_brought(value, old, new) for value in said]
    if isinstance(said, str) and (said == old or said.startswith(f"{old}/")):
        return new + said[len(old) :]
    root = old.removesuffix("/.git")
    return new.removesuffix("/.git") if said == root else said


def _git_dir_of(path: Path) -> Path:
    """Return the git directory in whose state folder a record is."""
    return path.parents[2]


def _folder(repository: Repository) -> Path:
    return repository.git_dir / "maingate" / "landings"


def _path(repository: Repository, ref: str) -> Path:
    return _folder(repository) / (hashlib.sha256(os.fsencode(ref)).hexdigest()[:16] + ".json")


def _holder(path: Path) -> Path:
    return path.with_suffix(".hold")


def _locked(path: Path, *, patience: timedelta) -> int | None:
    """Lock a file, and return its descriptor; None when another process has it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    waited = RunningTime(look=_POLL * 10)
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waited.now() >= patience.total_seconds():
                os.close(fd)
                return None
            time.sleep(_POLL)
        except BaseException:
            os.close(fd)
            raise
        else:
            return fd


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # some file systems cannot do it for a folder
            os.fsync(fd)
    finally:
        os.close(fd)
