"""The identity of a repository: an id in its state folder, which stays when the repository is moved.

A path is no identity: a repository that is moved with `mv` keeps its history; one that is copied with `cp -r`
takes the state folder with it and is another one nevertheless, which must not continue the runs of the
original. So the id is stored with the repository's home at its last use: the path and the inode of its git
directory. A repository at another path was moved if it is the same folder, or if its home is gone; if its
home still exists, it is a copy.
"""

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from maingate.errors import OutsideFaultError, RecordError
from maingate.ids import new_id

_FILE: Final = "repository.json"


@dataclass(frozen=True, kw_only=True)
class Home:
    """The place of a repository: the path and the inode of its common git directory."""

    git_dir: str
    host: str
    device: int
    inode: int

    @classmethod
    def of(cls, git_dir: Path) -> "Home":
        """Return the place of a git directory."""
        found = git_dir.stat()
        return cls(git_dir=str(git_dir), host=socket.gethostname(), device=found.st_dev, inode=found.st_ino)

    def is_of(self, other: "Home") -> bool:
        """Return whether it is the same folder, by any path."""
        mine, theirs = (self.host, self.device, self.inode), (other.host, other.device, other.inode)
        return self.git_dir == other.git_dir or mine == theirs


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The identity of a repository.

    Args:
        id: Its own id, which its runs carry.
        home: Its place.
        former: Its git directories before it was moved.
        copied_from: The git directory that it was copied from; None when it was not.
    """

    id: str
    home: Home
    former: tuple[str, ...] = field(default=())
    copied_from: str | None = None

    def write(self, state: Path) -> None:
        """Store it, unless it is stored already; of several processes that store it first, one wins.

        Raises:
            OutsideFaultError: It cannot be written.
        """
        text = json.dumps(asdict(self), indent=1)
        path, draft = state / _FILE, state / f"{_FILE}.{os.getpid()}"
        try:
            if _text_of(path) == text:
                return
            draft.write_text(text, encoding="utf-8", errors="surrogateescape")
            draft.replace(path)
        except OSError as error:
            raise OutsideFaultError(f"{path} cannot be written: {error}") from error

    def check(self, state: Path) -> None:
        """Check that the state folder is still this repository's.

        Raises:
            RecordError: It was removed, or is another's.
        """
        if (found := _read(state)) is None or found["id"] != self.id:
            what = "was removed" if found is None else "is another repository's"
            raise RecordError(
                f"the state folder {state} {what} during this process. The process stopped and moves no "
                "branch; put the folder back, then run `maingate resume`"
            )


def settle(git_dir: Path, state: Path, *, may_have_moved_far: bool) -> Identity:
    """Return the identity of a repository, and store it; processes that begin at once agree on one.

    Args:
        git_dir: Its common git directory.
        state: Its state folder, which exists.
        may_have_moved_far: See `identify`.

    Raises:
        OutsideFaultError: It cannot be read or written.
    """
    with _alone(state):
        identity = identify(git_dir, state, may_have_moved_far=may_have_moved_far)
        identity.write(state)
        return identity


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a lock on a folder itself: it leaves no file, and ends with the process."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise OutsideFaultError(f"{folder} cannot be opened: {error}") from error
    try:
        with contextlib.suppress(OSError):  # where folders cannot be locked, the last of several wins
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def identify(git_dir: Path, state: Path, *, may_have_moved_far: bool) -> Identity:
    """Return the identity of a repository; nothing is written.

    Args:
        git_dir: Its common git directory.
        state: Its state folder.
        may_have_moved_far: Whether a repository from another machine keeps its identity: its record came with
            it and belongs to no other.

    Raises:
        OutsideFaultError: The stored identity cannot be read.
    """
    here, found = Home.of(git_dir), _read(state)
    if found is None:
        return Identity(id=new_id("repo"), home=here)
    known = Identity(
        id=found["id"],
        home=Home(**found["home"]),
        former=tuple(found["former"]),
        copied_from=found["copied_from"],
    )
    if known.home.is_of(here):
        return _moved(known, here)
    is_from_elsewhere = known.home.host != here.host and not may_have_moved_far
    if is_from_elsewhere or _is_there(known, state.relative_to(git_dir)):
        return Identity(id=new_id("repo"), home=here, copied_from=known.home.git_dir)
    return _moved(known, here)


def _moved(known: Identity, here: Home) -> Identity:
    if known.home.git_dir == here.git_dir:
        return replace(known, home=here)
    former = dict.fromkeys((*known.former, known.home.git_dir))
    return replace(known, home=here, former=tuple(each for each in former if each != here.git_dir))


def _is_there(known: Identity, state: Path) -> bool:
    """Return whether the repository is at its home."""
    with contextlib.suppress(OutsideFaultError):
        there = _read(Path(known.home.git_dir) / state)
        return there is not None and there["id"] == known.id
    return True


def _read(state: Path) -> Mapping[str, Any] | None:
    path = state / _FILE
    text = _text_of(path)
    if text is None:
        return None
    try:
        found: Mapping[str, Any] = json.loads(text)
        Home(**found["home"])
        tuple(found["former"]), found["id"], found["copied_from"]
    except (ValueError, KeyError, TypeError) as error:
        raise OutsideFaultError(
            f"{path} does not say which repository this is ({error!r}): restore it, or move it away, and "
            "this is a new repository to Maingate"
        ) from error
    return found


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise OutsideFaultError(f"{path} cannot be read: {error}") from error
