"""Queries have the answers that counting event by event gives, on both databases, rolled up or not."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product
from typing import Any, cast

import pytest

from maingate.clock import ManualClock
from maingate.db.dao.history import events
from maingate.db.engine import Database, open_database
from maingate.db.ledger.new_event import new_event, the_run
from maingate.db.rollups import store
from maingate.db.rollups.expressions import severity
from maingate.db.sql.statements import row_of
from maingate.events import Event, EventType, severity_of
from maingate.monitoring.event_query_language import EventSearch, full_type, parse
from maingate.monitoring.recorded_work import recorded_work
from maingate.queries.events import answers, search
from maingate.queries.events.answers import Answer, answer, count
from maingate.queries.events.reports import REPORTS, report
from maingate.queries.events.search import before, follow, newest
from maingate.repository_context import RepositoryContext
from maingate.state.machines import MACHINES
from support.database_factories import NOW, World
from support.databases import DIALECTS, Templates
from support.ledger_story import LATER, tell_a_story

LONG_AFTER = NOW + timedelta(days=2)


@dataclass(frozen=True)
class _Context:
    """The part of a context that queries use."""

    database: Database
    clock: ManualClock


@pytest.fixture
def context(database: Database, world: World) -> RepositoryContext:
    """Return a record with a story."""
    tell_a_story(database, world)
    return _context_of(database)


@pytest.fixture(
    scope="module", params=product(DIALECTS, ("rows", "partly", "rolled up", "forgotten")), ids="-".join
)
def prepared(
    request: pytest.FixtureRequest, templates: Templates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RepositoryContext]:
    """Give such a record to read only: not rolled up, a part of it, all, or with the first hours removed."""
    dialect, how = request.param
    url = templates.copy(dialect, tmp_path_factory.mktemp("prepared") / "state.db", has_world=True)
    database = open_database(url)
    tell_a_story(database, templates.world(dialect))
    if how == "partly":
        store.advance(database, at=LATER, batch=41)
    if how in ("rolled up", "forgotten"):
        store.catch_up(database, at=LATER)
    if how == "forgotten":
        store.forget(database, NOW + timedelta(hours=2))
    yield _context_of(database)
    database.close()
    templates.remove(url)


def _context_of(database: Database) -> RepositoryContext:
    return cast("RepositoryContext", _Context(database, ManualClock(current=LONG_AFTER)))


def all_events(context: RepositoryContext) -> list[Event]:
    """Read every event."""
    with context.database.read() as conn:
        return events.query(conn, limit=100_000)


def matches(event: Event, search: EventSearch) -> bool:
    """Decide about one event, without SQL."""
    values = {
        "type": event.event_type,
        "severity": str(event.severity),
        "state": event.to_state,
        "from": event.from_state,
        "trigger": event.trigger,
        "operator": event.operator,
        "reason": (event.reason or {}).get("code"),
        "entity": event.entity_id,
        "run": event.run_id,
    }
    for key, wanted in search.wanted.items():
        names = map(full_type, wanted) if key == "type" else wanted
        if values[key] not in tuple(names):
            return False
    text = f"{event.reason} {event.metadata}".lower()
    in_time = (search.since is None or event.timestamp >= search.since) and (
        search.until is None or event.timestamp < search.until
    )
    return in_time and all(word.lower() in text for word in search.words)


def group(event: Event, name: str) -> Any:
    """Return an event's value of a column."""
    if name in ("minute", "hour", "day"):
        zeros: dict[str, int] = {"second": 0, "microsecond": 0}
        zeros |= {"minute": 0} if name in ("hour", "day") else {}
        zeros |= {"hour": 0} if name == "day" else {}
        return event.timestamp.replace(**zeros).isoformat(timespec="milliseconds").replace("+00:00", "Z")  # type: ignore[arg-type]
    return {
        "type": event.event_type,
        "state": event.to_state,
        "trigger": event.trigger,
        "severity": str(event.severity),
        "operator": event.operator,
        "reason": (event.reason or {}).get("code"),
    }[name]


QUERIES = (
    "by:type",
    "by:state,trigger",
    "by:severity",
    "by:reason,operator",
    "type:task,warning by:state",
    "severity:error,critical by:type",
    "from:running by:trigger",
    "operator:ada by:type",
    "trigger:created by:hour",
    "by:hour,state",
    "by:day",
    "by:minute",
    "reason:gate_failed by:type",
    '"gate failed" by:state',
)
TIMES = (
    "",
    "since:2026-01-01T13:00:00+00:00",
    "since:2026-01-01T12:01:00+00:00",
    "until:2026-01-01T14:00:30+00:00",
    "since:2026-01-01T12:00:30+00:00 until:2026-01-01T12:01:20+00:00",
    "since:2026-01-01T13:00:00+00:00 until:2026-01-01T15:00:00+00:00",
)


@pytest.mark.parametrize("query", QUERIES)
def test_counts_are_those_of_every_event(prepared: RepositoryContext, query: str) -> None:
    """Whole hours, parts of hours at both ends, and what was removed: always the same numbers."""
    every = all_events(prepared)
    for when in TIMES:
        search = parse(f"{query} {when} top:10000", now=LONG_AFTER)
        found = answer(prepared, search)
        wanted = Counter(
            tuple(group(event, name) for name in search.by) for event in every if matches(event, search)
        )
        counted = Counter({named(search, row): row[-1] for row in found.rows if row[0] != answers.EARLIER})
        earlier = sum(row[-1] for row in found.rows if row[0] == answers.EARLIER)
        if not earlier:
            assert counted == wanted, when
        assert counted.total() + earlier == wanted.total()
        assert counted <= wanted
        assert count(prepared, search) == wanted.total()


def named(search: EventSearch, row: list[Any]) -> tuple[Any, ...]:
    """Return the group of a row, with full names of types."""
    return tuple(
        full_type(value) if name == "type" else value for name, value in zip(search.by, row, strict=False)
    )


def test_rows_and_roll_ups_agree_about_gates_tools_and_flakes(prepared: RepositoryContext) -> None:
    """What only joins know is the same in both."""
    for query in (
        "by:gate,state",
        "by:tool,state",
        "type:flake by:gate",
        "gate:unit by:type",
        "tool:aider by:trigger",
    ):
        search = parse(query, now=LONG_AFTER)
        with prepared.database.read() as conn:
            rows = sorted(_grouped(answers._of_rows(conn, search, None), search))
            rolled = sorted(_grouped(answers._of_rollups(conn, search, None), search))
        assert rows == rolled
        assert rows or query.startswith("type:flake")


def _grouped(found: Any, search: EventSearch) -> list[tuple[str, int]]:
    names = ["to_state" if name == "state" else name for name in search.by]
    groups: Counter[str] = Counter()
    for (_, kind), number in found:
        groups[str([getattr(kind, name, None) for name in names])] += number
    return list(groups.items())


TIMED = ("show:time by:type,state", "type:gate show:time by:gate", "type:task show:time by:state")


@pytest.mark.parametrize("query", TIMED)
def test_times_of_roll_ups_are_those_of_rows(prepared: RepositoryContext, query: str) -> None:
    """Numbers and sums are equal, and percentiles in the bucket of the exact ones."""
    search = parse(query, now=LONG_AFTER)
    rolled = answer(prepared, search)
    exact = answer(prepared, replace(search, words=("",)))
    assert (rolled.source, exact.source) == ("rollups", "rows")
    width = len(search.by)
    wanted = {tuple(map(str, row[:width])): row[width:] for row in exact.rows}
    assert len(wanted) == len(rolled.rows)
    for row in rolled.rows:
        number, p50, p95, longest, total = wanted[tuple(map(str, row[:width]))]
        assert (row[width], round(row[-1], 6)) == (number, round(total, 6))
        assert row[width + 3] is None
        assert p50 <= p95 <= longest


def test_exact_percentiles_are_nearest_ranks(context: RepositoryContext) -> None:
    """The least time that at least the share does not exceed."""
    found = answer(context, parse("type:patch from:queued show:time by:state x", now=LONG_AFTER))
    assert found.rows == []
    [row] = answer(context, parse('type:patch from:created show:time by:type "{"', now=LONG_AFTER)).rows
    assert row[1] == 2
    assert row[2] == 45.0
    assert row[3] == row[4] == 70.0


def test_lists_are_the_newest_and_pages_before_them(prepared: RepositoryContext) -> None:
    """A page ends where the next one begins: nothing twice, nothing left out."""
    every = all_events(prepared)
    for query, when in product(
        ("type:task,warning", "severity:error", "gate:unit", "run:nothing", "ada"), TIMES[:3]
    ):
        search = parse(f"{query} {when}", now=LONG_AFTER)
        whole = newest(prepared, search, 0)
        if "gate" not in search.wanted and not search.words:
            assert whole == [event for event in every if matches(event, search)]
        paged: list[Event] = newest(prepared, search, 3)
        while page := before(prepared, search, paged[0].seq or 0, 3) if paged else []:
            paged = page + paged
        assert paged == whole


def test_severity_in_sql_is_severity_in_python(database: Database) -> None:
    """Both know the same rule."""
    is_sqlite = database.dialect == "sqlite"
    steps = [
        (name, state, to, trigger)
        for name, machine in MACHINES.items()
        for state, to, trigger in machine.transitions
    ]
    names = ("entity_type", "from_state", "to_state", "trigger", "metadata", "operator")
    row = ", ".join(f'CAST(? AS TEXT) AS "{name}"' for name in names)
    with database.read() as conn:
        for (name, state, to, trigger), facts, by in product(steps, ({}, {"critical": True}), (None, "ada")):
            values = (name, str(state), str(to), trigger, '{"critical":true}' if facts else "{}", by)
            found = row_of(conn, f"SELECT {severity(is_sqlite)} FROM (SELECT {row}) t", values)
            assert found is not None
            assert found[0] == severity_of(name, str(state), str(to), trigger, facts, operator=by)


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_the_same_rolled_up_or_not(context: RepositoryContext, name: str) -> None:
    """Reports read the roll-ups and the rows behind them."""
    since = parse("since:2026-01-01T12:00:00+00:00", now=LONG_AFTER)
    before_rollup = [report(context, name, EventSearch()), report(context, name, since)]
    store.catch_up(context.database, at=LATER)
    assert [report(context, name, EventSearch()), report(context, name, since)] == before_rollup
    assert before_rollup[0].rows == before_rollup[1].rows
    assert before_rollup[0].rows or name == "flaky"


def test_reports_have_what_they_promise(context: RepositoryContext) -> None:
    """Costs by tool, blame by reason, lead times by day, waits by state."""
    assert rows_of_report(context, "costly")[0] == {
        "what": "tool",
        "name": "aider",
        "count": 1,
        "usd": 0.00025,
        "tokens": 15,
        "seconds": 1.5,
    }
    [day] = rows_of_report(context, "lead-time")
    assert (day["day"], day["landed"]) == ("2026-01-01", 1)
    assert 30 <= day["p50"] <= 60
    blamed = rows_of_report(context, "blamed")
    assert [row["patches"] for row in blamed] == [1]
    waits = {(row["what"], row["state"]): row["total"] for row in rows_of_report(context, "waits")}
    assert waits["test_gate", "PENDING"] == 70.0


def rows_of_report(context: RepositoryContext, name: str) -> list[dict[str, Any]]:
    """Return the rows of a report by the names of their columns."""
    found: Answer = report(context, name, EventSearch())
    return cast("list[dict[str, Any]]", found.as_json()["rows"])


def test_following_has_no_gap_and_no_duplicate_with_concurrent_writers(
    context: RepositoryContext, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writers commit at once, the reader connects anew each time: it sees each event once, in order."""
    monkeypatch.setattr(search, "PAGE", 7)
    start, done = search.last_place(context), threading.Event()
    writers, each = 4, 25

    def write(_number: int) -> None:
        own = open_database(url)
        for _ in range(each):
            with own.write() as conn:
                for _ in range(2):
                    events.record(conn, new_event(EventType.WARNING, the_run("run_1"), NOW))
        own.close()

    seen: list[int] = []

    def read() -> None:
        own = cast("RepositoryContext", _Context(open_database(url), ManualClock()))
        place = start
        while True:
            is_last = done.is_set()
            for page in follow(own, EventSearch(), place, wait=lambda: False):  # a new connection each time
                seen.extend(event.seq or 0 for event in page)
                place = seen[-1]
            if is_last:
                break
        own.database.close()

    with ThreadPoolExecutor(writers + 1) as pool:
        reading = pool.submit(read)
        try:
            list(pool.map(write, range(writers)))
        finally:
            done.set()
        reading.result()
    assert seen == list(range(start + 1, start + 1 + writers * each * 2))


def test_a_simulation_has_the_times_and_failures_of_the_record(context: RepositoryContext) -> None:
    """Gates by their time at work, tools by that of their attempts, and workstreams by their ends."""
    found = recorded_work(context)
    assert {key: histogram.count for key, histogram in found.times.items()} == {
        ("gate", "unit"): 1,
        ("tool", "aider"): 1,
    }
    assert (found.failed, found.ended) == (1, 1)
