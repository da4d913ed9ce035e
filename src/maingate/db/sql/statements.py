"""Plain SQL, written once for both databases, without the cost of building it for every call.

SQLAlchemy owns connections, transactions, types and the schema. The statements of the hot paths are text with
``?`` for every value, because building a statement object per call costs many times what the database needs
to run it. So does SQLAlchemy's result for SQLite, which answers within microseconds: within a transaction
such a statement goes to the driver itself.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from maingate.db.sql import faults

T = TypeVar("T")

CHUNK: Final = 500
"""Values of one ``IN``; SQLite's limit was 999 for a long time."""


@lru_cache(maxsize=4096)
def _spelled(sql: str, paramstyle: str) -> str:
    return sql if paramstyle == "qmark" else sql.replace("?", "%s")


def rows_of(connection: Connection, sql: str, values: Sequence[Any] = ()) -> Sequence[Sequence[Any]]:
    """Run a statement and return its rows; ``?`` stands for a value."""
    return _run(connection, sql, tuple(values), _all)


def row_of(connection: Connection, sql: str, values: Sequence[Any] = ()) -> Sequence[Any] | None:
    """Run a statement and return its one row; None when there is none."""
    return _run(connection, sql, tuple(values), _first)


def change(connection: Connection, sql: str, values: Sequence[Any] = ()) -> int:
    """Run a statement that changes rows and return their number."""
    return _run(connection, sql, tuple(values), _count)


def change_many(connection: Connection, sql: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """Run a statement once for each row of values and return the number of rows changed in all."""
    if not rows:
        return 0
    return _run(connection, sql, rows[0] if len(rows) == 1 else list(rows), _count)


def define(connection: Connection, sql: str) -> None:
    """Run a statement without values, such as one that creates a table or begins a transaction."""
    driver = connection.connection.driver_connection
    if isinstance(driver, sqlite3.Connection):
        _run_on(driver, connection, sql, (), _count)
    else:
        connection.exec_driver_sql(sql)


def _run(connection: Connection, sql: str, values: Any, fetch: Callable[[Any], T]) -> T:
    """Run a statement, for each row of values if they are a list, and return what is fetched of it."""
    if connection.in_transaction():  # else SQLAlchemy is to begin one, or to refuse
        driver = connection.connection.driver_connection
        if isinstance(driver, sqlite3.Connection):
            return _run_on(driver, connection, sql, values, fetch)
    return fetch(connection.exec_driver_sql(_spelled(sql, connection.dialect.paramstyle), values))


def _run_on(
    driver: sqlite3.Connection, connection: Connection, sql: str, values: Any, fetch: Callable[[Any], T]
) -> T:
    try:
        run = driver.executemany if isinstance(values, list) else driver.execute
        return fetch(run(sql, values))
    except sqlite3.Error as error:
        raise faults.meaning(error, faults.shown(connection.engine.url)) from error


def _all(found: Any) -> Sequence[Sequence[Any]]:
    rows: Sequence[Sequence[Any]] = found.fetchall()
    return rows


def _first(found: Any) -> Sequence[Any] | None:
    row: Sequence[Any] | None = found.fetchone()
    found.close()
    return row


def _count(found: Any) -> int:
    return int(found.rowcount)


def quoted(names: Iterable[str]) -> str:
    """Return column names for a statement; all are quoted because some are words of SQL."""
    return ", ".join(f'"{name}"' for name in names)


def marks(count: int) -> str:
    """Return that many ``?``."""
    return ", ".join("?" * count)


def texts(values: Iterable[str]) -> str:
    """Return texts of the program's own, such as names of states, as a list of SQL."""
    return ", ".join(f"'{value}'" for value in values)


def insertion(table: str, columns: Sequence[str], *, or_ignore: bool = False) -> str:
    """Return an INSERT; with ``or_ignore`` a row whose key exists already is ignored."""
    tail = " ON CONFLICT DO NOTHING" if or_ignore else ""
    return f'INSERT INTO "{table}" ({quoted(columns)}) VALUES ({marks(len(columns))}){tail}'


def rows_in(
    connection: Connection, sql: str, values: Iterable[Any], *, end: str = ""
) -> Iterator[Sequence[Any]]:
    """Run a SELECT whose text ends with the column that is to be ``IN`` the values, and yield its rows.

    Args:
        connection: A transaction.
        sql: The statement up to and with that column, such as ``SELECT id FROM tasks WHERE id``.
        values: Any number of values; sent in chunks.
        end: The text behind the values.
    """
    wanted = list(values)
    for start in range(0, len(wanted), CHUNK):
        chunk = wanted[start : start + CHUNK]
        yield from rows_of(connection, f"{sql} IN ({marks(len(chunk))}){end}", chunk)
