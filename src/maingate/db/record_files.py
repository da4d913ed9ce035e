"""Whether the record is still the one that was opened: its identity, and the files that it consists of.

A database that was removed, replaced or restored while a run is at work goes on to answer through connections
that are open: all that is written then is lost, and nothing says so. So the record has a random id, written
when it is made, and of an SQLite database the files at its path must be those that are open. Whoever is about
to change something that cannot be taken back asks first.
"""

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from maingate.db import tables
from maingate.db.statements import change, row_of
from maingate.errors import DatabaseError, RecordError
from maingate.ids import new_id

_SUFFIXES: Final = ("", "-wal", "-shm")
"""The files of an SQLite database with a write-ahead log."""

_ATTEMPTS: Final = 3


def identify(connection: Connection) -> str | None:
    """Return the id of the record that a connection leads to; None when it has none."""
    found = row_of(connection, f'SELECT id FROM "{tables.record.name}"')
    return None if found is None else str(found[0])


def assign_record_id(connection: Connection) -> str:
    """Write the id of a new record, and return it; one that has one keeps it."""
    found = identify(connection)
    if found is None:
        found = new_id("record")
        change(connection, f'INSERT INTO "{tables.record.name}" (id) VALUES (?)', (found,))
    return found


@dataclass(frozen=True, kw_only=True)
class _Place:
    """A file by its path, and which one it is."""

    path: str
    device: int
    inode: int


class RecordFiles:
    """Watches over the files of an SQLite database; of another database there are none to watch.

    Args:
        path: The database's file; None when it is on a server.
        where: Its address, for people.
    """

    def __init__(self, path: Path | None, where: str) -> None:
        self._path, self._where = path, where
        self._places: tuple[_Place, ...] = ()
        self._anchor: sqlite3.Connection | None = None

    def begin(self) -> None:
        """Remember which files the database is; from now on they must stay.

        Raises:
            DatabaseError: They cannot be opened, or do not keep still.
        """
        if self._path is None or self._anchor is not None:
            return
        for _ in range(_ATTEMPTS):
            before = _file_at(str(self._path))
            anchor = self._opened()
            after = _file_at(str(self._path))
            if before is not None and before == after:
                self._anchor = anchor
                self._places = tuple(filter(None, (_file_at(f"{self._path}{end}") for end in _SUFFIXES)))
                return
            anchor.close()
        raise DatabaseError(f"the record at {self._path} was replaced just now; try again")

    def check(self) -> None:
        """Make sure that the files at the database's path are those that are open.

        Raises:
            RecordError: One is gone, or another is in its place.
        """
        for place in self._places:
            now = _file_at(place.path)
            if now != place:
                self._complain(f"{place.path} was removed" if now is None else f"{place.path} was replaced")

    def require_record(self, connection: Connection, record_id: str | None) -> None:
        """Make sure that a connection leads to the record that was opened.

        Raises:
            RecordError: It does not.
        """
        self.check()
        if record_id is not None and identify(connection) != record_id:
            self._complain("another database is in its place")

    def _complain(self, what: str) -> None:
        raise RecordError(
            f"the record in {self._where} is not the one that this process began with: {what}. It has "
            "stopped and moves no branch; put the record back where it was, then `maingate resume` goes on"
        )

    def end(self) -> None:
        """Let go of the files; again is harmless."""
        if self._anchor is not None:
            self._anchor.close()
        self._anchor, self._places = None, ()

    def _opened(self) -> sqlite3.Connection:
        """Open a connection that stays, so that nobody else is the last one and removes the log's files."""
        try:
            anchor = sqlite3.connect(f"{self._path}", isolation_level=None, check_same_thread=False)
            with contextlib.ExitStack() as closing:
                closing.callback(anchor.close)
                anchor.execute(f'SELECT id FROM "{tables.record.name}"').fetchall()
                closing.pop_all()
        except sqlite3.Error as error:
            raise DatabaseError(f"the record {self._where} could not be opened: {error}") from error
        return anchor


def _file_at(path: str) -> _Place | None:
    try:
        found = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DatabaseError(f"{path} cannot be looked at: {error}") from error
    return _Place(path=path, device=found.st_dev, inode=found.st_ino)
