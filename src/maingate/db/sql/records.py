"""Rows of a table as frozen dataclasses whose fields are the table's columns."""

from collections.abc import Collection, Iterable, Sequence
from operator import attrgetter
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Table

from maingate.db.sql.columns import decoder_of, encoder_of
from maingate.db.sql.statements import change_many, insertion, quoted, row_of, rows_in, rows_of

R = TypeVar("R")


class Records(Generic[R]):
    """A reader and inserter of the rows of one table.

    Args:
        table: The table.
        row_type: A keyword-only dataclass with a field for every column.
        without: Columns that it has no field for; its rows are only read then.
    """

    def __init__(self, table: Table, row_type: type[R], *, without: Collection[str] = ()) -> None:
        self.table = table
        self.row_type = row_type
        columns = [column for column in table.columns if column.name not in without]
        self.names = tuple(column.name for column in columns)
        self._decoders = [(column.name, decode) for column in columns if (decode := decoder_of(column.type))]
        self._all_of = attrgetter(*self.names)
        self._encoders = [
            (place, encode) for place, column in enumerate(columns) if (encode := encoder_of(column.type))
        ]
        self._select = f'SELECT {quoted(self.names)} FROM "{table.name}"'
        self._count = f'SELECT count(*) FROM "{table.name}"'
        self._insert = insertion(table.name, self.names)
        self._insert_new = insertion(table.name, self.names, or_ignore=True)

    def select(self, connection: Connection, rest: str = "", values: Sequence[Any] = ()) -> list[R]:
        """Read rows.

        Args:
            connection: A transaction.
            rest: The text behind the table's name: ``WHERE … ORDER BY …``, with ``?`` for values.
            values: The stored form of the values.
        """
        return [self._row(found) for found in rows_of(connection, f"{self._select} {rest}", values)]

    def count(self, connection: Connection, rest: str = "", values: Sequence[Any] = ()) -> int:
        """Count rows without reading them; ``rest`` is the text behind the table's name."""
        found = row_of(connection, f"{self._count} {rest}", values)
        return 0 if found is None else int(found[0])

    def select_in(self, connection: Connection, column: str, values: Iterable[Any]) -> list[R]:
        """Read the rows whose column has one of the values."""
        return [self._row(found) for found in rows_in(connection, f'{self._select} WHERE "{column}"', values)]

    def one(self, connection: Connection, column: str, value: Any) -> R | None:
        """Read the row whose unique column has that value; None when there is none."""
        found = row_of(connection, f'{self._select} WHERE "{column}" = ?', (value,))
        return None if found is None else self._row(found)

    def insert(self, connection: Connection, rows: Iterable[R], *, or_ignore: bool = False) -> None:
        """Insert rows; with ``or_ignore`` those whose key exists already are ignored."""
        statement = self._insert_new if or_ignore else self._insert
        change_many(connection, statement, [self._values(row) for row in rows])

    def _values(self, row: R) -> tuple[Any, ...]:
        values = list(self._all_of(row))
        for place, encode in self._encoders:
            if (value := values[place]) is not None:
                values[place] = encode(value)
        return tuple(values)

    def _row(self, found: Iterable[Any]) -> R:
        values = dict(zip(self.names, found, strict=True))
        for name, decode in self._decoders:
            if (value := values[name]) is not None:
                values[name] = decode(value)
        return self.row_type(**values)
