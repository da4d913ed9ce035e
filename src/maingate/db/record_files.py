"""The identity of the record and its files: whether they are still those that were opened.

A database that is removed, replaced or restored during a run still answers through open connections; later
writes would be lost silently. So the record has a random id, written at its creation, and the files at the
path of an SQLite database must be those that are open. Both are checked before a change that cannot be
undone.
"""

import contextlib
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from maingate.db.schema import tables
from maingate.db.sql.statements import change, row_of
from maingate.errors import DatabaseError, RecordError
from maingate.ids import new_id

_SUFFIXES: Final = ("", "-wal", "-shm")
"""The files of an SQLite database with a write-ahead log."""

_OPEN_ATTEMPTS: Final = 3


def identify(connection: Connection) -> str | None:
    """Return the id of the record that a connection leads to; None when it has none."""
    found = row_of(connection, f'SELECT id FROM "{tables.record.name}"')
    return None if found is None else str(found[0])


def assign_record_id(connection: Connection) -> str:
    """Return the id of the record, written now if it has none."""
    found = identify(connection)
    if found is None:
        found = new_id("record")
        change(connection, f'INSERT INTO "{tables.record.name}" (id) VALUES (?)', (found,))
    return found


@dataclass(frozen=True, kw_only=True)
class _Place:
    """A file: its path and its inode."""

    path: str
    device: int
    inode: int


class RecordFiles:
    """The files of an SQLite database, to be compared with those that were opened; other databases have none.

    Args:
        path: The database's file; None when it is on a server.
        where: Its address, for people.
    """

    def __init__(self, path: Path | None, where: str) -> None:
        self._path, self._where = path, where
        self._places: tuple[_Place, ...] = ()
        self._anchor: sqlite3.Connection | None = None

    def begin(self) -> None:
        """Note the files of the database; from now on they must stay.

        Raises:
            DatabaseError: They cannot be opened, or are being replaced.
        """
        if self._path is None or self._anchor is not None:
            return
        for _ in range(_OPEN_ATTEMPTS):
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
        """Check that the files at the database's path are those that are open.

        Raises:
            RecordError: One is gone, or another is in its place.
        """
        for place in self._places:
            now = _file_at(place.path)
            if now != place:
                self._raise_foreign(
                    f"{place.path} was removed" if now is None else f"{place.path} was replaced"
                )

    def require_record(self, connection: Connection, record_id: str | None) -> None:
        """Check that a connection leads to the record that was opened.

        Raises:
            RecordError: It does not.
        """
        self.check()
        if record_id is not None and identify(connection) != record_id:
            self._raise_foreign("another database is in its place")

    def _raise_foreign(self, what: str) -> None:
        raise RecordError(
            f"the record in {self._where} is not the one that this process opened: {what}. The process "
            "stopped and moves no branch; put the record back to its place, then run `maingate resume`"
        )

    def end(self) -> None:
        """Release the files; may be called again."""
        if self._anchor is not None:
            self._anchor.close()
        self._anchor, self._places = None, ()

    def _opened(self) -> sqlite3.Connection:
        """Open a connection that stays open, so that the log's files are not removed by a last connection."""
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
        found = os.stat(path)  # noqa: PTH116 - before and after each transaction; pathlib triples its cost
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DatabaseError(f"{path} cannot be examined: {error}") from error
    return _Place(path=path, device=found.st_dev, inode=found.st_ino)
