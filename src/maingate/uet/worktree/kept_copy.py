"""A copy of what ``prepare`` made at the kept paths, outside the worktree, so that every job finds the same.

The copy is a folder of numbered files and a list of what belongs where. It is made once, after ``prepare``
has ended well, and the list is written last of all: a copy without a list is none. A worktree gets copies of
these files, never links: no file that a gate writes reaches another job. A file of the copy is used only
while it bears the stamp that it had when the list was written, so a gate that finds the copy and writes to it
brings about only that it is made anew.
"""

# Names on disk are bytes, which pathlib cannot hold, and this runs before every job.
# ruff: noqa: PTH101, PTH102, PTH115, PTH120

import os
import stat
from collections.abc import Collection
from functools import partial
from typing import Any, Final, NamedTuple

from maingate.system.file_copy import attributes_of, fill, restore_attributes
from maingate.system.removal import forced, kind_of, remove
from maingate.uet.worktree.keep_rules import KeepRules
from maingate.uet.worktree.kept_paths import kept_paths
from maingate.uet.worktree.slot_record import read_note, write_note
from maingate.uet.worktree.untouched_paths import now_of, outwait, stamp_of

_READING: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MAKING: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_FILE: Final = -1


class CopyBrokenError(Exception):
    """A file of the copy is not what was put there."""


class Kept(NamedTuple):
    """One thing that is kept.

    Args:
        path: Where it goes, from the root of the tree.
        mode: Its type and rights.
        mtime: Its modification time in nanoseconds.
        is_ground: It is a folder of the checkout's own, on which kept things stand.
        target: A link's target.
        number: The file of the copy.
        stamp: The stamp of that file.
        attributes: Its extended attributes.
    """

    path: bytes
    mode: int
    mtime: int
    is_ground: bool = False
    target: bytes = b""
    number: int = _NO_FILE
    stamp: tuple[int, ...] = ()
    attributes: dict[str, str] = {}  # noqa: RUF012 - never written to


class KeptCopy:
    """The copy of one slot.

    Args:
        slot: The slot's folder.
    """

    def __init__(self, slot: bytes) -> None:
        self._files, self._list = slot + b"/kept", slot + b"/kept.json"
        self._things: list[Kept] = []
        self._key, self._is_read = "", False

    def is_for(self, key: str) -> bool:
        """Return whether there is a copy that was made for this key."""
        if not self._is_read:
            self._read()
        return bool(key) and self._key == key

    def forget(self) -> None:
        """Believe nothing of the copy any more, which is gone."""
        self._key, self._things, self._is_read = "", [], True

    def drop(self) -> None:
        """Remove the copy.

        Raises:
            OSError: It cannot be removed.
        """
        self.forget()
        remove(self._list)
        remove(self._files)

    def take(self, key: str, tree: bytes, rules: KeepRules, tracked: Collection[bytes]) -> None:
        """Move what is kept and not tracked out of the tree, to be the copy.

        Nothing that is checked out afterwards bears the time of anything in the copy: a build never takes
        an output from there for newer than a file of another commit.

        Args:
            key: The key of the state that it was made from.
            tree: The worktree, in which nothing runs.
            rules: The paths that are kept.
            tracked: The paths that the commit in the tree tracks.

        Raises:
            OSError: It cannot be taken.
        """
        self.drop()
        os.mkdir(self._files, 0o700)
        now = now_of(self._files)
        found = [
            self._taken(tree + b"/" + path, path, is_ground=is_ground, now=now)
            for path, is_ground in kept_paths(tree, rules, tracked)
        ]
        numbered = [thing for thing in found if thing is not None]
        things = [self._stored(tree + b"/" + thing.path, thing, at) for at, thing in enumerate(numbered)]
        if not outwait(self._files, max([now, *(thing.stamp[-1] for thing in things if thing.stamp)])):
            raise OSError("the clock of the file system stands still")
        write_note(self._list, {"key": key, "things": [_row(thing) for thing in things]})
        self._key, self._things = key, things

    def clear(self, tree: bytes, own: Collection[bytes]) -> None:
        """Remove what stands on a folder that the commit does not have; no link may lie in the way there.

        Raises:
            OSError: It cannot be removed.
        """
        for thing in self._things:
            if thing.is_ground and thing.path not in own:
                remove(tree + b"/" + thing.path)

    def place(self, tree: bytes, own: Collection[bytes]) -> None:
        """Copy missing paths into the tree; present ones stay, as they are or as the commit has them.

        Args:
            tree: The worktree, in which the commit is checked out.
            own: The folders of that commit.

        Raises:
            CopyBrokenError: The copy is not what it was.
            OSError: Something cannot be made.
        """
        blocked: set[bytes] = set()
        folders: list[tuple[bytes, Kept]] = []
        for thing in self._things:
            at = tree + b"/" + thing.path
            is_missing = thing.is_ground and thing.path not in own
            if is_missing or (blocked and os.path.dirname(thing.path) in blocked):
                blocked.add(thing.path)
            elif not stat.S_ISDIR(thing.mode):
                if kind_of(at) is None:
                    self._make(at, thing)
            elif not _has_folder(at, may_make=not thing.is_ground):
                blocked.add(thing.path)
            elif not thing.is_ground:
                folders.append((at, thing))
        for at, thing in reversed(folders):
            _finish_folder(at, thing)

    def _taken(self, at: bytes, path: bytes, *, is_ground: bool, now: int) -> Kept | None:
        """Describe a file, link or folder; pipes, sockets and devices are not kept."""
        info = os.lstat(at)
        if stat.S_ISLNK(info.st_mode):
            return Kept(path, info.st_mode, min(info.st_mtime_ns, now), target=os.readlink(at))
        if not (stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode)):
            return None
        attributes = {} if is_ground else attributes_of(at)
        return Kept(
            path, info.st_mode, min(info.st_mtime_ns, now), is_ground=is_ground, attributes=attributes
        )

    def _stored(self, at: bytes, thing: Kept, number: int) -> Kept:
        """Move a file into the copy; one that has other names elsewhere is copied, to have none but this."""
        if not stat.S_ISREG(thing.mode):
            return thing
        stored = self._file(number)
        if os.lstat(at).st_nlink == 1:
            forced(partial(os.rename, at, stored), os.path.dirname(at), at)
        else:
            _copy(at, stored)
        os.chmod(stored, 0o600)
        return thing._replace(number=number, stamp=stamp_of(os.lstat(stored)))

    def _make(self, at: bytes, thing: Kept) -> None:
        if stat.S_ISLNK(thing.mode):
            forced(partial(os.symlink, thing.target, at), os.path.dirname(at))
            os.utime(at, ns=(thing.mtime, thing.mtime), follow_symlinks=False)
            return
        stored = self._file(thing.number)
        if not _bears(stored, thing.stamp):
            raise CopyBrokenError
        _copy(stored, at)
        if not _bears(stored, thing.stamp):
            raise CopyBrokenError
        restore_attributes(at, thing.attributes)
        os.chmod(at, stat.S_IMODE(thing.mode))
        os.utime(at, ns=(thing.mtime, thing.mtime))

    def _file(self, number: int) -> bytes:
        return b"%s/%d" % (self._files, number)

    def _read(self) -> None:
        """Load the copy that another process has made."""
        self._is_read = True
        note = read_note(self._list)
        if note is not None:
            try:
                self._things = [_thing(row) for row in note["things"]]
                self._key = str(note["key"])
            except (LookupError, TypeError, ValueError, AttributeError):
                self._things = []


def _has_folder(at: bytes, *, may_make: bool) -> bool:
    """Return whether there is a folder, and no link to one; create it where nothing is and it may be."""
    kind = kind_of(at)
    if kind is None and may_make:
        forced(partial(os.mkdir, at, 0o700), os.path.dirname(at))
        return True
    return kind is not None and stat.S_ISDIR(kind)


def _finish_folder(at: bytes, thing: Kept) -> None:
    """Restore the rights and times of a folder, all of whose content is there."""
    info = os.lstat(at)
    if (info.st_mode, info.st_mtime_ns) != (thing.mode, thing.mtime):
        restore_attributes(at, thing.attributes)
        os.chmod(at, stat.S_IMODE(thing.mode))
        os.utime(at, ns=(thing.mtime, thing.mtime))


def _copy(source: bytes, target: bytes) -> None:
    """Copy a file to where nothing is."""
    reading = forced(partial(os.open, source, _READING), source)
    try:
        writing = forced(partial(os.open, target, _MAKING, 0o600), os.path.dirname(target))
        try:
            fill(writing, reading)
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def _bears(path: bytes, stamp: tuple[int, ...]) -> bool:
    try:
        return stamp_of(os.lstat(path)) == stamp
    except (FileNotFoundError, NotADirectoryError):
        return False


def _row(thing: Kept) -> list[Any]:
    """Return what ``_thing`` reads back."""
    path, target = thing.path.decode("latin-1"), thing.target.decode("latin-1")
    return list(thing._replace(path=path, target=target))  # type: ignore[arg-type]


def _thing(row: list[Any]) -> Kept:
    thing = Kept(*row)
    return thing._replace(
        path=row[0].encode("latin-1"), target=row[4].encode("latin-1"), stamp=tuple(thing.stamp)
    )
