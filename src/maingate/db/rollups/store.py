"""The roll-ups: each row of the ledger is counted exactly once, by whichever process comes first.

A part of the ledger is aggregated in a reading transaction, so that the writer of states waits only while the
few rows of the result are written. The result is added in one transaction with the position that it leads to:
if another process was faster, nothing is added. A reader adds the rows behind the position to what it reads,
in its own transaction, so that it sees all that is committed, whether or not a process rolls up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic

from sqlalchemy import Connection

from maingate.db.engine import Database
from maingate.db.ledger import follower_positions, running_head
from maingate.db.rollups.aggregates import Aggregate, aggregate
from maingate.db.rollups.expressions import HOUR
from maingate.db.schema.rollup_kinds import (
    EMPTY,
    EVENT_COLUMNS,
    EVER,
    MEASURE_COLUMNS,
    DistinctNames,
    EventKind,
    Histogram,
    Kind,
    MeasureKind,
    values_of,
)
from maingate.db.sql.columns import to_micros
from maingate.db.sql.statements import change, change_many, insertion, quoted, row_of, rows_of
from maingate.faultpoints import reach

FOLLOWER: Final = "rollups"
"""The name under which the roll-ups keep their position."""

BATCH: Final = 20_000
"""Rows of the ledger that are added in one transaction."""

LONG_TAIL: Final = 50_000
"""Rows behind the position with which a reader rolls up first; fewer are counted each time they are read."""

_ADD_EVENTS: Final = (
    "INSERT INTO event_rollups (hour, kind_id, count) VALUES (?, ?, ?) ON CONFLICT (hour, kind_id)"
    " DO UPDATE SET count = event_rollups.count + excluded.count"
)
_ADD_MEASURES: Final = (
    "INSERT INTO duration_rollups (hour, kind_id, bucket, count, total) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (hour, kind_id, bucket) DO UPDATE SET count = duration_rollups.count + excluded.count,"
    " total = duration_rollups.total + excluded.total"
)
_EVENT_TOTALS: Final = (
    "SELECT r.kind_id, r.count FROM event_kinds k JOIN event_rollups r ON r.kind_id = k.id AND r.hour = ?"
)
_MEASURE_TOTALS: Final = (
    "SELECT r.kind_id, r.bucket, r.count, r.total"
    " FROM duration_kinds k JOIN duration_rollups r ON r.kind_id = k.id AND r.hour = ?"
)
_ADD_HOURS: Final = {
    is_sqlite: "INSERT INTO rollup_hours (hour, first_seq, last_seq) VALUES (?, ?, ?) ON CONFLICT (hour)"
    f" DO UPDATE SET first_seq = {least}(rollup_hours.first_seq, excluded.first_seq),"
    f" last_seq = {most}(rollup_hours.last_seq, excluded.last_seq)"
    for is_sqlite, least, most in ((True, "min", "max"), (False, "least", "greatest"))
}


class _Book(Generic[Kind]):
    """The numbers of the kinds of one table.

    Args:
        connection: A transaction.
        table: ``event_kinds`` or ``duration_kinds``.
        kind: The type of the kinds.
        columns: Their columns.
    """

    def __init__(self, connection: Connection, table: str, kind: type[Kind], columns: Sequence[str]) -> None:
        self._table, self._columns = table, columns
        rows = rows_of(connection, f"SELECT id, {quoted(columns)} FROM {table}")
        self.ids: dict[Kind, int] = {
            kind(**dict(zip(columns, row[1:], strict=True))): int(row[0]) for row in rows
        }

    @property
    def kinds(self) -> Mapping[int, Kind]:
        """The kinds by their numbers."""
        return {number: kind for kind, number in self.ids.items()}

    def add(self, connection: Connection, kinds: Sequence[Kind]) -> None:
        """Number and insert the kinds that have no number yet."""
        missing = [kind for kind in dict.fromkeys(kinds) if kind not in self.ids]
        new = list(enumerate(missing, max(self.ids.values(), default=0) + 1))
        rows = [_row_of(number, kind) for number, kind in new]
        change_many(connection, insertion(self._table, ("id", *self._columns)), rows)
        self.ids.update((kind, number) for number, kind in new)


@dataclass(frozen=True, kw_only=True)
class Books:
    """The kinds on record."""

    events: _Book[EventKind]
    measures: _Book[MeasureKind]

    @classmethod
    def read(cls, connection: Connection) -> "Books":
        """Read them."""
        return cls(
            events=_Book(connection, "event_kinds", EventKind, EVENT_COLUMNS),
            measures=_Book(connection, "duration_kinds", MeasureKind, MEASURE_COLUMNS),
        )

    def names(self) -> DistinctNames:
        """Return the names that are kept apart so far."""
        return DistinctNames([*self.events.ids, *self.measures.ids])


@dataclass(frozen=True, kw_only=True)
class Totals:
    """All that was ever counted.

    Args:
        seq: The number of the last row of the ledger that is counted.
        events: The number of events by kind.
        measures: The histograms by kind.
    """

    seq: int
    events: Mapping[EventKind, int]
    measures: Mapping[MeasureKind, Histogram]


def advance(database: Database, *, at: datetime, batch: int = BATCH) -> bool:
    """Add the next rows of the ledger to the roll-ups, and return whether there may be more.

    Args:
        database: The database; no transaction of it may be open in this thread.
        at: The time, for the follower's record.
        batch: Most rows to add.

    Raises:
        DatabaseError: The database could not be used; nothing was added.
    """
    with database.read() as connection:
        before, last = (
            follower_positions.position(connection, FOLLOWER),
            running_head.position(connection).seq,
        )
        after = min(last, before + batch)
        if after <= before:
            return False
        found = aggregate(connection, before, after)
    with database.write() as connection:
        is_first = follower_positions.move(connection, FOLLOWER, before, after, at=at)
        if is_first:
            _add(connection, found)
        reach("rollup.inside")
    return after < last or not is_first


def catch_up(database: Database, *, at: datetime, tail: int = 0) -> None:
    """Add rows of the ledger until no more than a few are left.

    Args:
        database: The database; no transaction of it may be open in this thread.
        at: The time, for the follower's record.
        tail: The rows that may be left.
    """
    while behind(database) > tail and advance(database, at=at):
        pass


def forget(database: Database, before: datetime) -> None:
    """Remove the hours before a time; the counts of all time stay, and rows answer for what is older."""
    hour = to_micros(before) // HOUR
    with database.read() as connection:
        sql = "SELECT min(first_seq), max(last_seq) FROM rollup_hours WHERE hour > ? AND hour < ?"
        found = row_of(connection, sql, (EVER, hour))
        if found is None or found[0] is None:
            return
    with database.write() as connection:
        for table, kinds in (("event_rollups", "event_kinds"), ("duration_rollups", "duration_kinds")):
            sql = f"DELETE FROM {table} WHERE kind_id IN (SELECT id FROM {kinds}) AND hour > ? AND hour < ?"
            change(connection, sql, (EVER, hour))
        change(connection, "DELETE FROM rollup_hours WHERE hour > ? AND hour < ?", (EVER, hour))
        change(connection, _ADD_HOURS[connection.dialect.name == "sqlite"], (EVER, *found))


def behind(database: Database) -> int:
    """Return the number of rows of the ledger that are not in the roll-ups yet."""
    with database.read() as connection:
        return running_head.position(connection).seq - follower_positions.position(connection, FOLLOWER)


def totals(connection: Connection) -> Totals:
    """Read all that was ever counted, the rows behind the position included.

    The totals of a kind never go down; call `catch_up` first where many rows may be behind.
    """
    books = Books.read(connection)
    events = dict(_event_totals(connection, books))
    measures = dict(_measure_totals(connection, books))
    seq, rest = tail(connection, books)
    for (_, kind), number in rest.events.items():
        events[kind] = events.get(kind, 0) + number
    for (_, measure), histogram in rest.measures.items():
        measures[measure] = measures.get(measure, EMPTY) + histogram
    return Totals(seq=seq, events=events, measures=measures)


def tail(connection: Connection, books: Books) -> tuple[int, Aggregate]:
    """Return the end of the ledger, and what the rows count that are not in the roll-ups yet."""
    before, last = follower_positions.position(connection, FOLLOWER), running_head.position(connection).seq
    return last, folded(aggregate(connection, before, last), books.names()) if last > before else Aggregate()


def _event_totals(connection: Connection, books: Books) -> Mapping[EventKind, int]:
    kinds = books.events.kinds
    rows = rows_of(connection, _EVENT_TOTALS, (EVER,))
    return {kinds[number]: int(times) for number, times in rows}


def _measure_totals(connection: Connection, books: Books) -> Mapping[MeasureKind, Histogram]:
    kinds = books.measures.kinds
    found: dict[MeasureKind, Histogram] = {}
    for number, bucket, times, total in rows_of(connection, _MEASURE_TOTALS, (EVER,)):
        one = Histogram(buckets={bucket: int(times)}, total=int(total))
        found[kinds[number]] = found.get(kinds[number], EMPTY) + one
    return found


def folded(found: Aggregate, names: DistinctNames) -> Aggregate:
    """Return an aggregate whose kinds have no more names than are kept apart."""
    made = Aggregate(hours=found.hours)
    for (hour, kind), number in found.events.items():
        made.count(hour, names.folded(kind), number)
    for (hour, measure), histogram in found.measures.items():
        made.measures[hour, names.folded(measure)] += histogram
    return made


def _add(connection: Connection, found: Aggregate) -> None:
    """Add an aggregate to its hours and to the rows of all time."""
    books = Books.read(connection)
    added = folded(found, books.names())
    books.events.add(connection, [kind for _, kind in added.events])
    books.measures.add(connection, [kind for _, kind in added.measures])
    events: list[tuple[Any, ...]] = []
    for (hour, kind), number in added.events.items():
        events += [(each, books.events.ids[kind], number) for each in (hour, EVER)]
    measures: list[tuple[Any, ...]] = []
    for (hour, measure), histogram in added.measures.items():
        measures += _rows(hour, books.measures.ids[measure], histogram)
        measures += _rows(EVER, books.measures.ids[measure], histogram)
    change_many(connection, _ADD_EVENTS, events)
    change_many(connection, _ADD_MEASURES, measures)
    hours = [(hour, first, last) for hour, (first, last) in added.hours.items()]
    change_many(connection, _ADD_HOURS[connection.dialect.name == "sqlite"], hours)


def _row_of(number: int, kind: EventKind | MeasureKind) -> tuple[Any, ...]:
    return number, *values_of(kind)


def _rows(hour: int, kind: int, histogram: Histogram) -> list[tuple[Any, ...]]:
    """Return the rows of a histogram; its sum is in the first."""
    return [
        (hour, kind, bucket, times, 0 if index else histogram.total)
        for index, (bucket, times) in enumerate(histogram.buckets.items())
    ]
