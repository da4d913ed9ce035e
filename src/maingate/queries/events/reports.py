"""Named reports on events: slow, flaky, costly, blamed, waits and lead-time, all from the roll-ups."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from maingate.db.rollups import store, time_window
from maingate.db.rollups.time_window import HOURS_IN_DAY, Span
from maingate.db.schema.rollup_kinds import EMPTY, EventKind, Histogram, Measure, MeasureKind
from maingate.db.sql.connection import Connection
from maingate.errors import UsageError
from maingate.monitoring.event_query_language import UNITS, EventSearch, UnsuitedQueryError
from maingate.queries.events.answers import Answer, cut, moment, time_cells
from maingate.repository_context import RepositoryContext
from maingate.state.gate import GateState
from maingate.state.patch_ledger import PatchState
from maingate.state.task import TaskState
from maingate.state.worker import WorkerState
from maingate.state.workstream import WorkstreamState

LEAD_TIME: Final = "lead-time"

TOP: Final = 20
"""Rows of a report unless `top` says another number."""

_FILTERS: Final = frozenset({"gate", "tool"})
_MICRO: Final = 1_000_000
_TIMES: Final = ("count", "p50", "p95", "total")
_WAITS: Final[Mapping[tuple[str, str], str]] = {
    ("task", TaskState.BLOCKED): "for tasks that it needs",
    ("task", TaskState.QUEUED): "for a worker, or its turn",
    ("task", TaskState.RETRYING): "before another attempt",
    ("patch_ledger", PatchState.VALIDATED): "for approvals",
    ("patch_ledger", PatchState.QUEUED): "for its turn to be applied",
    ("patch_ledger", PatchState.VERIFIED): "for its workstream to land",
    ("test_gate", GateState.PENDING): "for a free slot",
    ("test_gate", GateState.BLOCKED): "for a gate that it needs",
    ("workstream", WorkstreamState.BLOCKED): "for workstreams that it needs",
    ("workstream", WorkstreamState.READY): "for its first task",
    ("workstream", WorkstreamState.VALIDATING): "for its turn to land, and its gates",
    ("worker", WorkerState.UNRESPONSIVE): "for a sign of life",
}
"""The states in which something waits."""

_Rows = list[list[Any]]
Report = Callable[[Connection, Span, EventSearch], Answer]


def report(context: RepositoryContext, name: str, search: EventSearch) -> Answer:
    """Return a named report.

    Args:
        context: The repository and its record.
        name: Its name.
        search: Its time, in whole hours, its gates and tools, and how many rows it has.

    Raises:
        UsageError: There is no such report, or the query has what a report cannot have.
    """
    if name not in REPORTS:
        raise UsageError(f"unknown report {name!r}: choose one of {', '.join(REPORTS)}")
    filters = _FILTERS if name != LEAD_TIME else frozenset[str]()
    others = [key for key in search.wanted if key not in filters]
    others += [""] if search.words else []
    others += ["by"] if search.by else []
    others += ["show"] if search.show != "count" else []
    if others:
        taken = ", ".join(["since", "until", *sorted(filters)])
        raise UnsuitedQueryError(f"report {name} takes {taken} and top only; for more, use a query", others)
    store.catch_up(context.database, at=context.clock.now(), tail=store.LONG_TAIL)
    whole = replace(search, since=_floor(search, "since"), until=_floor(search, "until"))
    if whole.until is not None and whole.until != search.until:
        whole = replace(whole, until=whole.until + timedelta(hours=1))
    with context.database.read() as conn:
        return REPORTS[name](conn, time_window.span(conn, whole.since, whole.until), whole)


def _floor(search: EventSearch, name: str) -> Any:
    at = getattr(search, name)
    return None if at is None else at.replace(minute=0, second=0, microsecond=0)


def _wanted(search: EventSearch, kind: MeasureKind | EventKind) -> bool:
    return all(getattr(kind, key) in values for key, values in search.wanted.items())


def _histograms(
    conn: Connection, when: Span, search: EventSearch, key: Callable[[MeasureKind], tuple[str, ...] | None]
) -> Mapping[tuple[str, ...], Histogram]:
    """Return histograms by the key of their kinds; those without one are left out."""
    groups: dict[tuple[str, ...], Histogram] = defaultdict(lambda: EMPTY)

    def matches(kind: MeasureKind) -> bool:
        return _wanted(search, kind) and key(kind) is not None

    for (_, kind), histogram in time_window.histograms(conn, when, matches).items():
        groups[key(kind) or ()] += histogram
    return groups


def _times(histogram: Histogram) -> list[Any]:
    count, p50, p95, _, total = time_cells(histogram)
    return [count, p50, p95, total]


def _slow(conn: Connection, when: Span, search: EventSearch) -> Answer:
    """Return the gates, tools and commands that take long, by their 95th percentile."""

    def key(kind: MeasureKind) -> tuple[str, ...] | None:
        if kind.measure == Measure.TOOL:
            return "tool", kind.tool
        if kind.measure == Measure.STATE and (kind.entity_type, kind.state) == ("test_gate", "RUNNING"):
            return "gate", kind.gate
        is_command = kind.entity_type == "task" and kind.state == "running" and kind.variant == "command"
        return ("task", "command") if kind.measure == Measure.STATE and is_command else None

    found = _histograms(conn, when, search, key)
    rows = [[*group, *_times(histogram)] for group, histogram in found.items()]
    return cut(("what", "name", *_TIMES), sorted(rows, key=lambda row: (-row[4], row[1])), search.top or TOP)


def _flaky(conn: Connection, when: Span, search: EventSearch) -> Answer:
    """Return the gates that passed only on another execution, by their share of all executions."""
    ends = {str(GateState.PASSED), str(GateState.FAILED)}
    runs: dict[str, int] = defaultdict(int)
    flakes: dict[str, int] = defaultdict(int)

    def matches(kind: EventKind) -> bool:
        return kind.entity_type == "test_gate" and kind.to_state in ends and _wanted(search, kind)

    for (_, kind), number in time_window.counts(conn, when, matches).items():
        runs[kind.gate] += number
        flakes[kind.gate] += number if kind.mark else 0
    rows: _Rows = [
        [gate, runs[gate], number, round(number / runs[gate], 4)] for gate, number in flakes.items() if number
    ]
    rows.sort(key=lambda row: (-row[3], row[0]))
    return cut(("gate", "runs", "flaky", "share"), rows, search.top or TOP)


def _costly(conn: Connection, when: Span, search: EventSearch) -> Answer:
    """Return the tools by their cost in dollars, and tools and gates by their time."""

    def key(kind: MeasureKind) -> tuple[str, ...] | None:
        if kind.tool and kind.measure in (Measure.TOOL, Measure.TOOL_COST, Measure.TOOL_TOKENS):
            return "tool", kind.tool, kind.measure
        is_gate = kind.measure == Measure.STATE and (kind.entity_type, kind.state) == ("test_gate", "RUNNING")
        return ("gate", kind.gate, Measure.TOOL) if is_gate else None

    found = _histograms(conn, when, search, key)
    rows: _Rows = []
    for what, name in dict.fromkeys((group[0], group[1]) for group in found):
        spent, cost, tokens = (
            found.get((what, name, measure), EMPTY)
            for measure in (Measure.TOOL, Measure.TOOL_COST, Measure.TOOL_TOKENS)
        )
        rows.append([what, name, spent.count, cost.total / _MICRO, tokens.total, spent.total / _MICRO])
    rows.sort(key=lambda row: (-row[3], -row[5], row[1]))
    return cut(("what", "name", "count", "usd", "tokens", "seconds"), rows, search.top or TOP)


def _blamed(conn: Connection, when: Span, search: EventSearch) -> Answer:
    """Return how many patches were quarantined, by reason and gate."""
    groups: dict[tuple[str, str], int] = defaultdict(int)

    def matches(kind: EventKind) -> bool:
        is_refused = kind.entity_type == "patch_ledger" and kind.to_state == PatchState.QUARANTINED
        return is_refused and _wanted(search, kind)

    for (_, kind), number in time_window.counts(conn, when, matches).items():
        groups[kind.reason, kind.gate] += number
    rows: _Rows = [[reason or None, gate or None, number] for (reason, gate), number in groups.items()]
    rows.sort(key=lambda row: (-row[2], str(row[0]), str(row[1])))
    return cut(("reason", "gate", "patches"), rows, search.top or TOP)


def _waits(conn: Connection, when: Span, search: EventSearch) -> Answer:
    """Return the states in which something waits, by the time that was spent in them."""

    def key(kind: MeasureKind) -> tuple[str, ...] | None:
        place = (kind.entity_type, kind.state)
        return place if kind.measure == Measure.STATE and place in _WAITS else None

    found = _histograms(conn, when, search, key)
    rows = [[*group, _WAITS[group[0], group[1]], *_times(histogram)] for group, histogram in found.items()]
    rows.sort(key=lambda row: (-row[6], row[0], row[1]))
    return cut(("what", "state", "waits", *_TIMES), rows, search.top or TOP)


def _lead_time(conn: Connection, when: Span, search: EventSearch) -> Answer:
    """Return the time from a patch that is ready to its landing, by day."""

    def matches(kind: MeasureKind) -> bool:
        return kind.measure == Measure.LIFE and kind.state == PatchState.COMMITTED

    days: dict[int, Histogram] = defaultdict(lambda: EMPTY)
    for (day, _), histogram in time_window.histograms(conn, when, matches, unit=HOURS_IN_DAY).items():
        days[day] += histogram
    newest = sorted(days.items(), reverse=True)
    rows = [[moment(day, UNITS["day"])[:10], *_times(histogram)[:3]] for day, histogram in newest]
    shown = cut(("day", "landed", "p50", "p95"), rows, search.top or TOP)
    return replace(shown, rows=shown.rows[::-1])


REPORTS: Final[Mapping[str, Report]] = {
    "slow": _slow,
    "flaky": _flaky,
    "costly": _costly,
    "blamed": _blamed,
    "waits": _waits,
    LEAD_TIME: _lead_time,
}
"""The reports by their names."""
