"""Counts and histograms of a time: from roll-ups for whole hours, from rows for the parts at its ends.

A `Span` divides a time into whole hours that are rolled up, and into ranges of rows: the hours that begin or
end within it, the rows behind the follower's position, and those from before the hours that were removed.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from maingate.db.ledger import follower_positions, running_head
from maingate.db.rollups.aggregates import Aggregate, aggregate
from maingate.db.rollups.conditions import EVERYTHING, conditions
from maingate.db.rollups.expressions import HOUR
from maingate.db.rollups.store import FOLLOWER, Books, folded
from maingate.db.schema.rollup_kinds import EMPTY, EVER, EventKind, Histogram, MeasureKind
from maingate.db.sql.columns import to_micros
from maingate.db.sql.statements import row_of, rows_of

HOURS_IN_DAY: Final = 24
_LAST: Final = 1 << 31
_COUNTS: Final = "SELECT kind_id, {slot}, sum(count) FROM event_rollups GROUP BY 1, 2"
_HISTOGRAMS: Final = (
    "SELECT kind_id, {slot}, bucket, sum(count), sum(total) FROM duration_rollups GROUP BY 1, 2, 3"
)


@dataclass(frozen=True, kw_only=True)
class Rows:
    """A range of rows of the ledger.

    Args:
        after: The number before the first.
        upto: The number of the last.
        first: The first hour of those that count; rows of others lie between them.
        end: The hour after the last that counts.
    """

    after: int
    upto: int
    first: int = EVER
    end: int = _LAST


@dataclass(frozen=True, kw_only=True)
class Span:
    """A time, divided.

    Args:
        first: The first whole hour.
        end: The hour after the last whole one.
        is_ever: Whether it is all time.
        is_whole: Whether it begins and ends with whole hours; else rows beside them have counts and times in
            states only.
        ranges: The ranges of rows beside the whole hours.
        since: Its beginning.
        until: Its end.
    """

    first: int
    end: int
    is_ever: bool
    is_whole: bool
    ranges: tuple[Rows, ...]
    since: datetime | None
    until: datetime | None


def span(connection: Connection, since: datetime | None, until: datetime | None) -> Span:
    """Return a time, divided by the roll-ups that there are."""
    position, last = follower_positions.position(connection, FOLLOWER), running_head.position(connection).seq
    ranges: list[Rows] = []
    first, end, partly = 0, _LAST, set()
    if since is not None:
        first, rest = divmod(to_micros(since), HOUR)
        partly |= {first} if rest else set()
        first += bool(rest)
    if until is not None:
        end, rest = divmod(to_micros(until), HOUR)
        partly |= {end} if rest else set()
    for hour in partly:
        ranges += _rows_of_hour(connection, hour)
    is_ever = since is None and until is None
    if not is_ever:
        ranges += _before_all(connection, 0 if since is None else to_micros(since) // HOUR)
    if last > position:
        outer = (EVER, _LAST) if partly or is_ever else (first, end)
        ranges.append(Rows(after=position, upto=last, first=outer[0], end=outer[1]))
    return Span(
        first=first,
        end=end,
        is_ever=is_ever,
        is_whole=not partly,
        ranges=tuple(ranges),
        since=since,
        until=until,
    )


def first_row(connection: Connection, since: datetime | None) -> int:
    """Return a number before every row that has a time from a moment on."""
    if since is None:
        return 0
    hour = to_micros(since) // HOUR
    if _before_all(connection, hour):
        return 0
    found = row_of(connection, "SELECT min(first_seq) FROM rollup_hours WHERE hour >= ?", (hour,))
    position = follower_positions.position(connection, FOLLOWER)
    return position if found is None or found[0] is None else min(position, int(found[0]) - 1)


def counts(
    connection: Connection, when: Span, matches: Callable[[EventKind], bool], *, unit: int | None = None
) -> dict[tuple[int, EventKind], int]:
    """Return the number of events by time and kind.

    Args:
        connection: A transaction.
        when: The time.
        matches: Whether a kind is wanted.
        unit: Hours of a part of time; None for the whole.

    Returns:
        The numbers by part of time (hours since the epoch by ``unit``) and kind. All time has a part `EVER`
        for what is older than the hours that are kept.
    """
    books = Books.read(connection)
    kinds = {number: kind for number, kind in books.events.kinds.items() if matches(kind)}
    found: dict[tuple[int, EventKind], int] = defaultdict(int)
    for number, slot, times in _sums(connection, _COUNTS, kinds, when, unit):
        found[slot, kinds[number]] += int(times)
    if when.is_ever and unit is not None:
        _add_older(connection, found, kinds)
    for part in _aggregates(connection, when, books):
        for (hour, kind), times in part.events.items():
            if matches(kind):
                found[_slot(hour, unit), kind] += times
    return found


def histograms(
    connection: Connection, when: Span, matches: Callable[[MeasureKind], bool], *, unit: int | None = None
) -> dict[tuple[int, MeasureKind], Histogram]:
    """Return the histograms by time and kind; see `counts`.

    Parts of hours count times in states only, and the parts are those of the rows that end within them.
    """
    books = Books.read(connection)
    kinds = {number: kind for number, kind in books.measures.kinds.items() if matches(kind)}
    found: dict[tuple[int, MeasureKind], Histogram] = defaultdict(lambda: EMPTY)
    for number, slot, bucket, times, total in _sums(connection, _HISTOGRAMS, kinds, when, unit):
        one = Histogram(buckets={int(bucket): int(times)}, total=int(total))
        found[slot, kinds[number]] += one
    for part in _aggregates(connection, when, books):
        for (hour, kind), histogram in part.measures.items():
            if matches(kind):
                found[_slot(hour, unit), kind] += histogram
    return found


def _slot(hour: int, unit: int | None) -> int:
    return 0 if unit is None else hour // unit


def _sums(
    connection: Connection, select: str, kinds: Collection[int], when: Span, unit: int | None
) -> Iterator[tuple[int, ...]]:
    """Yield sums of roll-ups: kind, part of time, and the other columns.

    Args:
        connection: A transaction.
        select: The statement up to its conditions, which are appended; ``{slot}`` in it is the part of time.
        kinds: The kinds.
        when: The time.
        unit: Hours of a part of time; None for the whole.
    """
    if not kinds:
        return
    slot = "0" if unit is None else f"hour / {unit}"
    first, last = (EVER, EVER) if when.is_ever and unit is None else (max(when.first, 0), when.end - 1)
    listed = f" WHERE kind_id IN ({', '.join(map(str, kinds))}) AND hour >= ? AND hour <= ?"
    head, tail = select.format(slot=slot).split(" GROUP BY ")
    for row in rows_of(connection, f"{head}{listed} GROUP BY {tail}", (first, last)):
        yield tuple(row)


def _add_older(
    connection: Connection, found: dict[tuple[int, EventKind], int], kinds: Mapping[int, EventKind]
) -> None:
    """Add the events from before the hours that are kept, as a part of time of their own."""
    kept: dict[EventKind, int] = defaultdict(int)
    for (_, kind), times in found.items():
        kept[kind] += times
    ids = ", ".join(map(str, kinds)) or "NULL"
    sql = f"SELECT kind_id, count FROM event_rollups WHERE kind_id IN ({ids}) AND hour = ?"
    for number, times in rows_of(connection, sql, (EVER,)):
        if older := int(times) - kept[kinds[number]]:
            found[EVER, kinds[number]] += older


def _aggregates(connection: Connection, when: Span, books: Books) -> Iterator[Aggregate]:
    """Yield the aggregates of the rows beside whole hours."""
    is_sqlite = connection.dialect.name == "sqlite"
    names = books.names()
    only = EVERYTHING
    if not when.is_whole:
        only = conditions({}, is_sqlite=is_sqlite, since=when.since, until=when.until)
    for rows in when.ranges:
        yield folded(_within(aggregate(connection, rows.after, rows.upto, only=only), rows), names)


def _within(found: Aggregate, rows: Rows) -> Aggregate:
    """Return what an aggregate has of the hours that count."""
    kept = Aggregate(hours=found.hours)
    for (hour, kind), times in found.events.items():
        if rows.first <= hour < rows.end:
            kept.count(hour, kind, times)
    for (hour, measure), histogram in found.measures.items():
        if rows.first <= hour < rows.end:
            kept.measures[hour, measure] += histogram
    return kept


def _rows_of_hour(connection: Connection, hour: int) -> list[Rows]:
    """Return the range of the rows of an hour, if there are any in the roll-ups."""
    found = row_of(connection, "SELECT first_seq, last_seq FROM rollup_hours WHERE hour = ?", (hour,))
    return [] if found is None else [Rows(after=found[0] - 1, upto=found[1], first=hour, end=hour + 1)]


def _before_all(connection: Connection, first: int) -> list[Rows]:
    """Return the range of the rows of the hours that were removed, if any of them are wanted."""
    removed = row_of(connection, "SELECT last_seq FROM rollup_hours WHERE hour = ?", (EVER,))
    kept = row_of(connection, "SELECT min(hour) FROM rollup_hours WHERE hour > ?", (EVER,))
    end = _LAST if kept is None or kept[0] is None else int(kept[0])
    return [Rows(after=0, upto=int(removed[0]), first=first, end=end)] if removed and first < end else []
