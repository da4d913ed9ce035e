"""A database and its transactions: many readers, one writer at a time.

SQLite serialises writers by itself (``BEGIN IMMEDIATE``); on PostgreSQL an advisory lock does the same, so
that on both a writer sees everything committed before it and numbers are given out in the order of the
commits. Errors of the driver and of the disk are translated here, once, into the program's own errors.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, make_url
from sqlalchemy.engine import ExceptionContext

from maingate.db import migrations
from maingate.db.record_files import RecordFiles, assign_record_id, identify
from maingate.db.sql import faults
from maingate.db.sql.statements import define
from maingate.errors import DatabaseError
from maingate.wording import extra_adds

BUSY_TIMEOUT: Final = timedelta(seconds=30)
"""Time to wait for another writer, unless a setting states another."""

_KEPT_OPEN: Final = 8
"""Connections to a file that are kept when they are not used; opening one costs more than a short query."""
_FEW_PAGES_KIB: Final = 1000
_BEGIN: Final = "maingate_begin"
_PRIMARY: Final = 0xFF
"""The part of an error code of SQLite that says what kind of error it is."""
_PAUSE_SECONDS: Final = 0.01
"""Time between two tries to use a new database that others use."""
_REPOSITORY: Final = "maingate_repository"
_POSTGRESQL_WRITER_LOCK: Final = (
    "SELECT pg_advisory_xact_lock(hashtextextended(concat('maingate ', current_schema()), 0))"
)


class Database:
    """One open database.

    Args:
        url: Its address.
        engine: SQLAlchemy's engine for it; for tests and tools, other code uses transactions.
    """

    def __init__(self, *, url: URL, engine: Engine) -> None:
        self.url: Final = faults.shown(url)
        self.record_id: str | None = None
        self._record_files: Final = RecordFiles(_file_of(url), self.url)
        event.listen(engine, "do_connect", lambda *_: self._record_files.check())
        self.engine: Final = engine
        self.dialect: Final = engine.dialect.name
        if self.dialect == "sqlite":
            self._reader, writing = engine, {_BEGIN: "BEGIN IMMEDIATE"}
        else:  # isolation is stated, because a server may have other defaults
            snapshot = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            self._reader = engine.execution_options(**snapshot)
            writing = {_BEGIN: _POSTGRESQL_WRITER_LOCK, "isolation_level": "READ COMMITTED"}
        self._writer = engine.execution_options(**writing)

    def use_repository(self, repository_id: str) -> None:
        """Set the repository, of those that share this database, that transactions belong to."""
        self._reader = self._reader.execution_options(**{_REPOSITORY: repository_id})
        self._writer = self._writer.execution_options(**{_REPOSITORY: repository_id})

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Begin the one writing transaction: committed at the end, rolled back whole on any exception.

        Raises:
            DatabaseError: The database is locked for too long, full, read-only, damaged or gone.
            InvariantError: A constraint of the database refused a change.
            RecordError: Its files are not those that were opened: nothing is written, or the write is lost.
        """
        self._record_files.check()
        with self._writer.begin() as connection:
            yield connection
        self._record_files.check()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Begin a transaction that sees one consistent state of the whole database.

        Raises:
            DatabaseError: The database could not be read.
        """
        with self._reader.begin() as connection:
            yield connection

    def upgrade(self) -> None:
        """Migrate the schema to that of this program, and note the record's id and files.

        Raises:
            DatabaseError: A newer program wrote the database, or a migration failed; nothing was changed.
        """
        if self.revision() != migrations.HEAD:
            with self.write() as connection:
                migrations.upgrade(connection, self.url)
                self.record_id = assign_record_id(connection)
        else:
            with self.read() as connection:
                self.record_id = identify(connection)
        if self.record_id is None:
            with self.write() as connection:
                self.record_id = assign_record_id(connection)
        self._record_files.begin()

    def check(self) -> None:
        """Check that the files of the record are in place, before other files are written beside them.

        Raises:
            RecordError: They are not those that were opened.
        """
        self._record_files.check()

    def require_record(self, connection: Connection) -> None:
        """Check that a transaction belongs to the record that was opened, and that its files are in place.

        Raises:
            RecordError: It is not.
        """
        self._record_files.require_record(connection, self.record_id)

    def revision(self) -> str | None:
        """Return the revision of the schema; None when the database is empty.

        Raises:
            DatabaseError: The database could not be read.
        """
        with self.read() as connection:
            return migrations.revision_of(connection)

    def use_little_memory(self) -> None:
        """Limit the pages of the file that each connection keeps to half of what is usual.

        A server has many connections, which all come to keep as much as they may as the record grows. A run
        has one that writes, and is slower for it.
        """
        if self.dialect == "sqlite":
            sql = f"PRAGMA cache_size = -{_FEW_PAGES_KIB}"
            event.listen(self.engine, "connect", lambda connection, _: connection.execute(sql).close())
            self.engine.dispose()  # those that were opened before

    def close(self) -> None:
        """Close every connection; may be called again."""
        self.engine.dispose()
        self._record_files.end()


def repository_of(connection: Connection) -> str | None:
    """Return the repository that a transaction belongs to; None when the database has only one."""
    found: str | None = connection.get_execution_options().get(_REPOSITORY)
    return found


def on_rollback(connection: Connection, undo: Callable[[], None]) -> None:
    """Call something if a transaction is rolled back, for what was noted beside it in memory."""
    event.listen(connection, "rollback", lambda _: undo())


def open_database(
    url: str, *, synchronous: str = "NORMAL", busy_timeout: timedelta = BUSY_TIMEOUT
) -> Database:
    """Open a database; `Database.upgrade` checks its schema.

    Args:
        url: ``sqlite:////absolute/path.db`` or ``postgresql+psycopg://…``.
        synchronous: SQLite's durability: ``NORMAL`` loses no consistency on a power cut, ``FULL`` no commit
            either.
        busy_timeout: Time to wait for another writer.

    Raises:
        DatabaseError: The address is not understood, its driver is missing, or its folder cannot be made.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        engine = _open_sqlite(parsed, synchronous=synchronous, busy_timeout=busy_timeout)
    else:
        engine = _open_postgresql(parsed, busy_timeout=busy_timeout)
    event.listen(engine, "handle_error", _translate)
    return Database(url=parsed, engine=engine)


def file_of(address: str) -> Path | None:
    """Return the file of the embedded database at an address; None when it is on a server."""
    return _file_of(make_url(address))


def _file_of(url: URL) -> Path | None:
    """Return the file of an embedded database."""
    is_path = url.get_backend_name() == "sqlite" and url.database and not url.database.startswith("file:")
    return Path(url.database or "").absolute() if is_path else None


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except exc.ArgumentError as error:
        raise DatabaseError(
            "the database address is not understood; it looks like sqlite:////path/to/file.db or "
            "postgresql+psycopg://user@host/name"
        ) from error
    if parsed.drivername in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "postgresql+psycopg"}:
        raise DatabaseError(
            f"databases of the kind {parsed.drivername!r} are not supported; use sqlite or postgresql+psycopg"
        )
    return parsed


def _open_sqlite(url: URL, *, synchronous: str, busy_timeout: timedelta) -> Engine:
    if not url.database or url.database == ":memory:":
        raise DatabaseError("a database in memory would lose the record; give the path of a file")
    if not url.database.startswith("file:"):
        try:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseError(
                f"the folder of the database {url.database} cannot be made: {error}"
            ) from error
    engine = create_engine(
        url,
        connect_args={"isolation_level": None, "timeout": busy_timeout.total_seconds()},
        pool_size=_KEPT_OPEN,
        max_overflow=-1,
        pool_use_lifo=True,
        pool_reset_on_return=None,  # a transaction has ended when its connection is given back
    )
    pragmas = (f"synchronous = {synchronous}", "foreign_keys = ON")

    def prepare(connection: Any, _record: object) -> None:
        try:
            _write_ahead(connection, busy_timeout)
            for pragma in pragmas:
                connection.execute(f"PRAGMA {pragma}")
        except BaseException:
            connection.close()  # the pool never gets it and cannot close it
            raise

    def begin(connection: Connection) -> None:
        define(connection, connection.get_execution_options().get(_BEGIN, "BEGIN"))

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", begin)
    return engine


def _write_ahead(connection: sqlite3.Connection, busy_timeout: timedelta) -> None:
    """Switch a database to a write-ahead log; SQLite itself does not wait while others do so."""
    until = time.monotonic() + busy_timeout.total_seconds()
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & _PRIMARY != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        else:
            return
        time.sleep(_PAUSE_SECONDS)


def _open_postgresql(url: URL, *, busy_timeout: timedelta) -> Engine:
    options = f"-c lock_timeout={int(busy_timeout.total_seconds() * 1000)}"
    try:
        engine = create_engine(
            url, connect_args={"options": options, "connect_timeout": 10}, pool_pre_ping=True
        )
    except ImportError as error:
        raise DatabaseError(f"PostgreSQL needs more packages; {extra_adds('postgres')}") from error

    def begin(connection: Connection) -> None:
        if lock := connection.get_execution_options().get(_BEGIN):
            define(connection, lock)

    event.listen(engine, "begin", begin)
    return engine


def _translate(context: ExceptionContext) -> None:
    """Raise the program's own error instead of the driver's."""
    engine = context.engine
    where = faults.shown(engine.url) if engine is not None else "the database"
    if (error := faults.translate(context.original_exception, where)) is not None:
        raise error from context.original_exception
