"""Which repository this is: told by an id in its state folder, so that moving it loses nothing.

A path does not say it: a repository is moved with `mv` and keeps its history; one that is copied with `cp -r`
takes the state folder with it and is another one nevertheless, which must not go on with the runs of the one
that it was copied from. So with the id is written where the repository was at home when it was last worked
on: the path of its git directory, and which folder that is. A repository at another path was moved if that is
the same folder, or if its home is gone; if its home is still there, it is a copy.
"""

import contextlib
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from maingate.errors import OutsideFaultError, RecordError
from maingate.ids import new_id

_FILE: Final = "repository.json"


@dataclass(frozen=True, kw_only=True)
class Home:
    """Where a repository is: its common git directory, and which one that is."""

    git_dir: str
    host: str
    device: int
    inode: int

    @classmethod
    def of(cls, git_dir: Path) -> "Home":
        """Look at a git directory."""
        found = git_dir.stat()
        return cls(git_dir=str(git_dir), host=socket.gethostname(), device=found.st_dev, inode=found.st_ino)

    def is_of(self, other: "Home") -> bool:
        """Return whether it is the same folder, by whatever path."""
        mine, theirs = (self.host, self.device, self.inode), (other.host, other.device, other.inode)
        return self.git_dir == other.git_dir or mine == theirs


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Which repository this is.

    Args:
        id: Its own id, which its runs bear.
        home: Where it is.
        former: The git directories that it was at before it was moved.
        copied_from: The git directory that it was copied from; None when it was not.
    """

    id: str
    home: Home
    former: tuple[str, ...] = field(default=())
    copied_from: str | None = None

    def write(self, state: Path) -> None:
        """Write it down, unless it stands there already; of several processes that do so first, one wins.

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
        """Make sure that the state folder is still this repository's.

        Raises:
            RecordError: It was removed, or is another's.
        """
        if (found := _read(state)) is None or found["id"] != self.id:
            what = "was removed" if found is None else "is another repository's"
            raise RecordError(
                f"the state folder {state} {what} while this process was at work. It has stopped and moves "
                "no branch; put the folder back, then `maingate resume` goes on"
            )


def identify(git_dir: Path, state: Path, *, may_have_moved_far: bool) -> Identity:
    """Find out which repository this is; nothing is written.

    Args:
        git_dir: Its common git directory.
        state: Its state folder.
        may_have_moved_far: Whether one that comes from another machine is still the one that it was: its
            record has come with it, and is nobody else's.

    Raises:
        OutsideFaultError: What is written down cannot be read.
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
    """Return whether the repository is where it was at home."""
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
