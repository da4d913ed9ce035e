"""Plain SQL, written once for both databases, without the cost of building it for every call.

SQLAlchemy owns connections, transactions, types and the schema. The statements of the hot paths are text with
``?`` for every value, because building a statement object per call costs many times what the database needs
to run it.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, CursorResult

CHUNK: Final = 500
"""Values of one ``IN``; SQLite's limit was 999 for a long time."""


@lru_cache(maxsize=4096)
def _spelled(sql: str, paramstyle: str) -> str:
    return sql if paramstyle == "qmark" else sql.replace("?", "%s")


def rows_of(connection: Connection, sql: str, values: Sequence[Any] = ()) -> Sequence[Sequence[Any]]:
    """Run a statement and return its rows; ``?`` stands for a value."""
    return _run(connection, sql, tuple(values)).all()


def row_of(connection: Connection, sql: str, values: Sequence[Any] = ()) -> Sequence[Any] | None:
    """Run a statement and return its one row; None when there is none."""
    return _run(connection, sql, tuple(values)).first()


def change(connection: Connection, sql: str, values: Sequence[Any] = ()) -> int:
    """Run a statement that changes rows and return their number."""
    return _run(connection, sql, tuple(values)).rowcount


def change_many(connection: Connection, sql: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """Run a statement once for each row of values and return the number of rows changed in all."""
    if not rows:
        return 0
    return _run(connection, sql, rows[0] if len(rows) == 1 else list(rows)).rowcount


def _run(connection: Connection, sql: str, values: Any) -> CursorResult[Any]:
    return connection.exec_driver_sql(_spelled(sql, connection.dialect.paramstyle), values)


def quoted(names: Iterable[str]) -> str:
    """Return column names for a statement; all are quoted because some are words of SQL."""
    return ", ".join(f'"{name}"' for name in names)


def marks(count: int) -> str:
    """Return that many ``?``."""
    return ", ".join("?" * count)


def insertion(table: str, columns: Sequence[str], *, or_ignore: bool = False) -> str:
    """Return an INSERT; with ``or_ignore`` a row whose key exists already is ignored."""
    tail = " ON CONFLICT DO NOTHING" if or_ignore else ""
    return f'INSERT INTO "{table}" ({quoted(columns)}) VALUES ({marks(len(columns))}){tail}'


def rows_in(connection: Connection, sql: str, values: Iterable[Any]) -> Iterator[Sequence[Any]]:
    """Run a SELECT whose text ends with the column that is to be ``IN`` the values, and yield its rows.

    Args:
        connection: A transaction.
        sql: The statement up to and with that column, such as ``SELECT id FROM tasks WHERE id``.
        values: Any number of values; sent in chunks.
    """
    wanted = list(values)
    for start in range(0, len(wanted), CHUNK):
        chunk = wanted[start : start + CHUNK]
        yield from rows_of(connection, f"{sql} IN ({marks(len(chunk))})", chunk)
