"""Answers to queries of events: counts and times by group, from roll-ups where they can answer.

The planner is `EventSearch.needs_rows` and `_times_need_rows`. Kinds, states, triggers, gates, tools, people
and hours are in the roll-ups; entities, texts and minutes are in the rows only.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from maingate.db.ledger import running_head
from maingate.db.rollups import percentiles, store, time_window
from maingate.db.rollups.aggregates import aggregate
from maingate.db.schema.rollup_kinds import EMPTY, EVER, EventKind, Histogram, Measure, MeasureKind
from maingate.db.sql.columns import from_micros
from maingate.db.sql.connection import Connection
from maingate.events import TRANSITION_SUFFIX, iso_millis
from maingate.monitoring.event_query_language import SHORT_TYPES, UNITS, EventSearch, full_type
from maingate.queries.events.search import LISTED, conditions_of
from maingate.repository_context import RepositoryContext

EARLIER: Final = "earlier"
"""The part of time before the hours that are kept."""

TIME_COLUMNS: Final = ("count", "p50", "p95", "longest", "total")
"""The columns of times, in seconds; the longest is known of rows only."""

_SECOND: Final = 1_000_000
_SHORT: Final = {f"{machine}{TRANSITION_SUFFIX}": name for name, machine in SHORT_TYPES.items()}
_OF_MEASURES: Final = frozenset({"type", "from", "gate", "tool"})
"""The filters that times in the roll-ups can answer."""
_GROUPS_OF_MEASURES: Final = frozenset({"type", "state", "gate", "tool", "hour", "day"})


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A table that answers a query.

    Args:
        columns: The names of its columns.
        rows: Its rows, as values of JSON.
        source: ``rollups`` or ``rows``; percentiles of roll-ups are those of a histogram.
        left_off: Rows beyond `top`.
    """

    columns: tuple[str, ...]
    rows: list[list[Any]]
    source: str
    left_off: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return the public JSON form."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"source": self.source, "columns": list(self.columns), "rows": rows, "left_off": self.left_off}


def answer(context: RepositoryContext, search: EventSearch) -> Answer:
    """Count or time the events that match, by the groups of the query."""
    store.catch_up(context.database, at=context.clock.now(), tail=store.LONG_TAIL)
    with context.database.read() as conn:
        if search.show == "time":
            return _times(conn, search)
        return _counts(conn, search)


def count(context: RepositoryContext, search: EventSearch) -> int:
    """Return the number of events that match."""
    return sum(row[-1] for row in answer(context, replace(search, by=(), show="count", top=None)).rows)


# -- counts --------------------------------------------------------------------------------------------------


def _counts(conn: Connection, search: EventSearch) -> Answer:
    unit = next((group for group in search.by if group in UNITS), None)
    source = "rows" if search.needs_rows or _is_folded(conn, search) else "rollups"
    groups: dict[tuple[Any, ...], int] = defaultdict(int)
    for (slot, kind), number in (_of_rows if source == "rows" else _of_rollups)(conn, search, unit):
        groups[tuple(_value(group, kind, slot) for group in search.by)] += number
    rows = [[*group, number] for group, number in groups.items()]
    return cut((*search.by, "count"), _sorted(rows, unit, search.by), search.top or LISTED, source)


def _of_rollups(
    conn: Connection, search: EventSearch, unit: str | None
) -> Iterable[tuple[tuple[int, EventKind], int]]:
    when = time_window.span(conn, search.since, search.until)
    hours = UNITS[unit] // UNITS["hour"] if unit else None
    return time_window.counts(conn, when, search.matches, unit=hours).items()


def _of_rows(
    conn: Connection, search: EventSearch, unit: str | None
) -> Iterable[tuple[tuple[int, EventKind], int]]:
    after, last = time_window.first_row(conn, search.since), running_head.position(conn).seq
    micros = UNITS[unit or "day"] * _SECOND
    return aggregate(conn, after, last, only=conditions_of(conn, search), unit=micros).events.items()


def _is_folded(conn: Connection, search: EventSearch) -> bool:
    """Return whether names that are asked for count together: only the rows have them apart."""
    names = store.Books.read(conn).names()
    return any(names.has_other(column) for column in names.columns & {*search.by, *search.wanted})


def _value(group: str, kind: EventKind, slot: int) -> Any:
    if group in UNITS:
        return moment(slot, UNITS[group])
    if group == "type":
        return _SHORT.get(kind.event_type, kind.event_type)
    return getattr(kind, "to_state" if group == "state" else group) or None


def moment(slot: int, seconds: int) -> str:
    """Return the beginning of a part of time as text."""
    return EARLIER if slot == EVER else iso_millis(from_micros(slot * seconds * _SECOND))


def _sorted(rows: list[list[Any]], unit: str | None, by: Sequence[str]) -> list[list[Any]]:
    """Return rows in the order of time where there is one, and else the greatest first."""
    if unit is None:
        return sorted(rows, key=lambda row: (-row[-1], [str(cell) for cell in row]))
    place = by.index(unit)
    return sorted(rows, key=lambda row: (row[place] != EARLIER, row[place], -row[-1]))


def cut(columns: tuple[str, ...], rows: list[list[Any]], top: int, source: str = "rollups") -> Answer:
    """Return the first rows as an answer."""
    return Answer(columns=columns, rows=rows[:top], source=source, left_off=max(0, len(rows) - top))


# -- times ---------------------------------------------------------------------------------------------------


def _times(conn: Connection, search: EventSearch) -> Answer:
    by = search.by or ("type", "state")
    unit = next((group for group in by if group in UNITS), None)
    if _times_need_rows(search, by) or _is_folded(conn, search):
        rows, source = _times_of_rows(conn, search, by, unit), "rows"
    else:
        rows, source = _times_of_rollups(conn, search, by, unit), "rollups"
    return cut((*by, *TIME_COLUMNS), _sorted(rows, unit, by), search.top or LISTED, source)


def _times_need_rows(search: EventSearch, by: Sequence[str]) -> bool:
    """Return whether the histograms cannot answer; the gate of anything but a gate is in its reason."""
    uses_gate = "gate" in by or "gate" in search.wanted
    is_of_gates = set(map(full_type, search.wanted.get("type", ()))) == {full_type("gate")}
    return (
        search.needs_rows
        or not search.wanted.keys() <= _OF_MEASURES
        or not set(by) <= _GROUPS_OF_MEASURES
        or (uses_gate and not is_of_gates)
    )


def _times_of_rows(
    conn: Connection, search: EventSearch, by: Sequence[str], unit: str | None
) -> list[list[Any]]:
    after = time_window.first_row(conn, search.since)
    columns = [group for group in by if group not in UNITS]
    micros = UNITS[unit] * _SECOND if unit else None
    found = []
    for one in percentiles.times(conn, conditions_of(conn, search), after, columns, unit=micros):
        cells = list(one.group)
        by_column: dict[str, Any] = {unit: moment(int(cells.pop(0)), UNITS[unit])} if unit else {}
        by_column |= dict(zip(columns, cells, strict=True))
        by_column["type"] = _SHORT.get(f"{by_column.get('type')}{TRANSITION_SUFFIX}")
        seconds = [*one.percentiles, one.longest, one.total]
        found.append(
            [*(by_column[group] or None for group in by), one.count, *(each / _SECOND for each in seconds)]
        )
    return found


def _times_of_rollups(
    conn: Connection, search: EventSearch, by: Sequence[str], unit: str | None
) -> list[list[Any]]:
    when = time_window.span(conn, search.since, search.until)
    hours = UNITS[unit] // UNITS["hour"] if unit else None
    groups: dict[tuple[Any, ...], Histogram] = defaultdict(lambda: EMPTY)
    found = time_window.histograms(conn, when, lambda kind: _is_timed(search, kind), unit=hours)
    for (slot, kind), histogram in found.items():
        groups[tuple(_value_of_measure(group, kind, slot) for group in by)] += histogram
    return [[*group, *time_cells(histogram)] for group, histogram in groups.items()]


def time_cells(histogram: Histogram) -> list[Any]:
    """Return the cells of `TIME_COLUMNS` of a histogram."""
    p50, p95 = (round(histogram.quantile(share), 3) for share in percentiles.SHARES)
    return [histogram.count, p50, p95, None, histogram.total / _SECOND]


def _is_timed(search: EventSearch, kind: MeasureKind) -> bool:
    """Return whether times of a kind are wanted: the kind of the transitions that end them."""
    ends = EventKind(
        event_type=f"{kind.entity_type}{TRANSITION_SUFFIX}",
        from_state=kind.state,
        gate=kind.gate,
        tool=kind.tool,
    )
    return kind.measure == Measure.STATE and search.matches(ends)


def _value_of_measure(group: str, kind: MeasureKind, slot: int) -> Any:
    if group in UNITS:
        return moment(slot, UNITS[group])
    if group == "type":
        return _SHORT[f"{kind.entity_type}{TRANSITION_SUFFIX}"]
    return getattr(kind, group) or None
