"""The file ``transitions.jsonl``: every row of the ledger, a line each, appended after its commit.

The table is the truth and the file follows it. The last whole line of the file carries the number of its row,
so there is no second record of the position that a crash could make stale. An incomplete last line is cut off
and written again. Numbers are allocated in the order of the commits, so no row is ever left out.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from maingate.db.dao.history.event_lines import lines_after
from maingate.db.engine import Database
from maingate.db.sql.statements import row_of
from maingate.errors import DatabaseError

_NUMBERS: Final = 1 << 63  # a number of a transition is below
_TAIL: Final = 1 << 16
_NAMED: Final = " UNION ALL ".join(
    f"SELECT event_id FROM {table} WHERE seq = ?" for table in ("state_transitions", "events", "facts")
)


LOCK_TIMEOUT: Final = timedelta(seconds=10)
"""Time to wait for a process that is writing the file; the lines are else written by the next call."""


class _HeldError(Exception):
    """Another process holds the lock on the file."""


class TransitionLog:
    """The writer of the file of one database's transitions.

    Several processes may write at once: each appends, under a lock on the file, the lines that are missing.

    Args:
        path: The file; it and its folder are made when they are needed.
        database: The database that it follows.
        batch: The number of transitions that are read at a time.
    """

    def __init__(self, path: Path, database: Database, *, batch: int = 1000) -> None:
        self.batch: Final = batch
        self.path: Final = path
        self._database: Final = database
        self._known: tuple[int, int, int] | None = (
            None  # inode, size, and last number, as this object left them
        )

    def check(self) -> None:
        """Check that the file, if there is one, can be continued; nothing is written.

        Raises:
            DatabaseError: The file cannot be written, or it is the file of another database.
        """
        try:
            with _locked(self.path, create=False) as descriptor:
                _, last = _last_whole_line(descriptor, os.fstat(descriptor).st_size)
        except (FileNotFoundError, _HeldError):
            return
        except OSError as error:
            raise DatabaseError(f"the file of transitions {self.path} cannot be written: {error}") from error
        if last is not None:
            self._refuse_foreign(last)

    def catch_up(self) -> int:
        """Append every transition that the file lacks, and return their number.

        While another process holds the lock, nothing is written; the next call writes those lines too.

        Raises:
            DatabaseError: The file cannot be written, or it is the file of another database.
        """
        self._database.check()
        try:
            with _locked(self.path) as descriptor:
                return self._append(descriptor)
        except _HeldError:
            return 0
        except OSError as error:
            raise DatabaseError(f"the file of transitions {self.path} cannot be written: {error}") from error

    def _append(self, descriptor: int) -> int:
        seq = self._position(descriptor)
        written = 0
        with self._database.read() as connection:
            while True:
                lines, seq = lines_after(connection, seq, self.batch)
                if not lines:
                    break
                _write_all(descriptor, ("\n".join(lines) + "\n").encode())
                written += len(lines)
        found = os.fstat(descriptor)
        self._known = (found.st_ino, found.st_size, seq)
        return written

    def _position(self, descriptor: int) -> int:
        """Return the number of the last transition in the file, after cutting off an incomplete line."""
        found = os.fstat(descriptor)
        if self._known is not None and self._known[:2] == (found.st_ino, found.st_size):
            return self._known[2]
        end, last = _last_whole_line(descriptor, found.st_size)
        if end != found.st_size:
            os.ftruncate(descriptor, end)
        if last is None:
            return 0
        self._refuse_foreign(last)
        return int(last["seq"])

    def _refuse_foreign(self, last: dict[str, Any]) -> None:
        """Refuse a file whose last line is not a transition of this database.

        Raises:
            DatabaseError: It is not.
        """
        with self._database.read() as connection:
            known = row_of(connection, _NAMED, (last["seq"],) * 3)
        if known is None or known[0] != last["event_id"]:
            raise DatabaseError(foreign_file(self.path, f"its last line, number {last['seq']}, is not there"))


def written_up_to(path: Path) -> int:
    """Return the number of the last whole line of a file of transitions; 0 where there is none.

    Reads only, without the lock, so the file may be longer by the time of the return.

    Raises:
        DatabaseError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            _, last = _last_whole_line(file.fileno(), os.fstat(file.fileno()).st_size)
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise DatabaseError(f"the file of transitions {path} cannot be read: {error}") from error
    return 0 if last is None else int(last["seq"])


def foreign_file(path: Path, why: str) -> str:
    """Return the error that a file of transitions belongs to another database.

    Args:
        path: The file.
        why: The evidence.
    """
    return (
        f"the file of transitions {path} belongs to another database: {why}. If the database was restored to "
        "an older state, restore the newer one; else move the file away and it is written anew"
    )


def parsed_line(raw: bytes) -> dict[str, Any] | None:
    """Return the value of a whole line; None when it is incomplete or no line of such a file."""
    try:
        line = json.loads(raw) if raw.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(line, dict):
        return None
    seq = line.get("seq")
    is_whole = type(seq) is int and 0 < seq < _NUMBERS
    return (
        line if is_whole and all(isinstance(line.get(name), str) for name in ("event_id", "hash")) else None
    )


@contextmanager
def _locked(path: Path, *, create: bool = True) -> Iterator[int]:
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
    if create:
        path.parent.mkdir(exist_ok=True)
        flags |= os.O_CREAT
    descriptor = os.open(path, flags, 0o644)
    try:
        _lock(descriptor)
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Acquire the lock within `LOCK_TIMEOUT`: a process that holds it may have been stopped.

    Raises:
        _HeldError: Another process has held it for long.
    """
    until = time.monotonic() + LOCK_TIMEOUT.total_seconds()
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > until:
                raise _HeldError from error
            time.sleep(0.01)
        else:
            return


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _last_whole_line(descriptor: int, size: int) -> tuple[int, dict[str, Any] | None]:
    """Return the end of the last whole line, and its value; (0, None) when there is none.

    The file is read backwards, in growing pieces, so that its length does not matter.
    """
    reach = _TAIL
    while True:
        start = max(0, size - reach)
        tail = os.pread(descriptor, size - start, start)
        end = tail.rfind(b"\n") + 1
        while end:
            begin = tail.rfind(b"\n", 0, end - 1) + 1
            if begin == 0 and start > 0:
                break  # the line begins before this piece
            line = parsed_line(tail[begin:end])
            if line is not None:
                return start + end, line
            end = begin
        if start == 0:
            return 0, None
        reach *= 4
