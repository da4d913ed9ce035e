"""Reports and queries on a year of events: the seconds that each takes, and how they grow with the record.

Maingate runs one plan for real: tools, gates, retries and failures. Its rows are copied under other ids and
times, run after run over a year, until the record has enough events. The roll-ups are made from the rows by
Maingate itself.
"""

import json
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import chdir, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from bench import repository
from bench.figures import Limit
from maingate.bootstrap import Maingate
from maingate.db.rollups import store
from maingate.monitoring.event_query_language import parse
from maingate.queries.events.answers import answer
from maingate.queries.events.reports import REPORTS, report
from maingate.queries.events.search import newest, resolved
from maingate.repository_context import RepositoryContext

SIZES: Final[Mapping[str, int]] = {"1m": 1_000_000, "10m": 10_000_000}
"""The numbers of events, by their names in cases."""

ASKED: Final = 1.0
"""Seconds that a report or a query may take."""

QUERIES: Final[Mapping[str, str]] = {
    "failures": "severity:error,critical since:7d",
    "flakes-by-gate": "type:gate state:FAILED since:30d by:gate,day",
    "times-by-state": "type:task show:time by:state since:90d",
}
"""Three typical queries: a list, a count by two groups, and times."""

CASES: Final = (
    *(f"{name}-{size}" for size in SIZES for name in (*REPORTS, *QUERIES)),
    *(f"growth-{name}" for name in (*REPORTS, *QUERIES)),
)

_YEAR: Final = timedelta(days=364)
_MICRO: Final = 1_000_000
_COPIED: Final = (
    *("runs", "workstreams", "tasks", "patches", "gates", "tool_runs", "gate_evidence"),
    *("state_transitions", "events", "facts"),
)
_LETTERS: Final = 26
_IDS: Final = ("run_", "ws_", "task_", "patch_", "gate_", "evt_", "wrk_", "uet_")
"""The prefixes of ids."""
_PLAN: Final = {
    "maingate": 1,
    "name": "bench events",
    "gates": {
        "lint": {"type": "LINT", "run": "true"},
        "unit": {"type": "UNIT", "run": "test ! -e bad", "needs": ["lint"]},
    },
    "tools": {
        "writer": {"run": ["sh", "-c", "echo new > made-$$.txt"]},
        "spoiler": {"run": ["sh", "-c", "touch bad; echo new > bad"]},
    },
    "workstreams": {
        f"stream-{number}": {
            "critical": False,
            "tasks": {
                f"task-{place}": {"tool": "spoiler" if number == place == 0 else "writer", "prompt": "x"}
                | {"max_retries": 1, "critical": number == 0}
                for place in range(4)
            },
        }
        for number in range(6)
    },
}


def measure(cases: Collection[str], *, folder: Path, rounds: int) -> Sequence[Limit]:
    """Measure each report and query on each size of the record."""
    growing = {case.removeprefix("growth-") for case in cases if case.startswith("growth-")}
    seconds: dict[str, float] = {}
    for size, events in SIZES.items():
        if not growing and not any(case.endswith(f"-{size}") for case in cases):
            continue
        with _record(folder / size) as maingate:
            now = fill(maingate.context, events)
            for name, ask in _asked(maingate.context, now).items():
                if f"{name}-{size}" in cases or name in growing:
                    seconds[f"{name}-{size}"] = _timed(ask, rounds)
    return [_limit(case, seconds) for case in cases]


def _limit(case: str, seconds: Mapping[str, float]) -> Limit:
    if case in seconds:
        return Limit(case=case, maingate=seconds[case], asked=ASKED, unit="s")
    small, large = (seconds[f"{case.removeprefix('growth-')}-{size}"] for size in SIZES)
    times = max(SIZES.values()) / min(SIZES.values())
    title = f"{case}, {times:g} times the events"
    return Limit(case=title, maingate=large / small, asked=times, unit="times")


def _asked(context: RepositoryContext, now: datetime) -> Mapping[str, Callable[[], object]]:
    """Return the reports and queries, each as a call."""

    def reported(name: str) -> Callable[[], object]:
        return lambda: report(context, name, parse("", now=now))

    def queried(text: str) -> Callable[[], object]:
        search = resolved(context, parse(text, now=now))
        return lambda: newest(context, search) if search.is_list else answer(context, search)

    calls = {name: reported(name) for name in REPORTS}
    return calls | {name: queried(text) for name, text in QUERIES.items()}


def _timed(ask: Callable[[], object], rounds: int) -> float:
    """Return the median of the seconds that a call takes, after a warm-up."""
    took = []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        ask()
        took.append(time.perf_counter() - begin)
    return statistics.median(took[1:])


def _record(folder: Path) -> Maingate:
    """Make a repository, run the plan, and return its record."""
    repository.make(folder)
    (folder / "plan.json").write_text(json.dumps(_PLAN))
    repository.commit(folder, "base")
    command = [sys.executable, "-m", "maingate", "run", "plan.json", "--workers", "2"]
    env = repository.environment()
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"the plan did not run: {done.stderr}")
    with chdir(folder):
        return Maingate.open(create=False)


def fill(context: RepositoryContext, events: int) -> datetime:
    """Copy the run on record over the year that follows until there are some events, and roll up.

    Returns:
        The time of the last event.
    """
    path = context.database.engine.url.database
    if path is None:
        raise RuntimeError("the record is not in a file")
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        last = _copy_all(conn, events)
    now = datetime.fromtimestamp(last / _MICRO, UTC)
    store.catch_up(context.database, at=now)
    return now


def _copy_all(conn: sqlite3.Connection, events: int) -> int:
    """Copy the rows of all tables; return the time of the last event, in microseconds."""
    conn.executescript("PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -400000;")
    in_run, last = map(int, conn.execute("SELECT count(*), max(at) FROM state_transitions").fetchone())
    (length,) = conn.execute("SELECT value FROM counters WHERE name = 'event'").fetchone()
    copies = -(-events // in_run) - 1
    step = int(_YEAR.total_seconds()) * _MICRO // max(copies, 1)
    conn.execute("BEGIN")
    for table in _COPIED:
        _copy(conn, table, copies=copies, step=step, length=length)
    conn.execute("UPDATE counters SET value = ? WHERE name = 'event'", ((copies + 1) * length,))
    conn.execute("COMMIT")
    conn.execute("ANALYZE")
    return last + copies * step


def _copy(conn: sqlite3.Connection, table: str, *, copies: int, step: int, length: int) -> None:
    """Copy the rows of a table, each time with other ids, later times and the next numbers."""
    conn.execute(f"CREATE TEMP TABLE first AS SELECT * FROM {table}")
    columns = [row[1] for row in conn.execute(f"PRAGMA table_info({table})")]
    chosen = ", ".join(_copied(conn, column, step, length) for column in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    conn.execute(
        "WITH RECURSIVE copy (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copy WHERE n < ?)"
        f" INSERT INTO {table} ({names}) SELECT {chosen} FROM copy CROSS JOIN first",
        (copies,),
    )
    conn.execute("DROP TABLE first")


def _copied(conn: sqlite3.Connection, column: str, step: int, length: int) -> str:
    """Return the value of a column in a copy, as SQL."""
    if column == "seq":
        return f"seq + copy.n * {length}"
    if column == "at" or column.endswith("_at"):
        return f'"{column}" + copy.n * {step}'
    if column == "key":
        return f"replace(key, entity_id, {_other_id('entity_id')})"
    is_id = f"SELECT 1 FROM first WHERE {_has_id(column)} LIMIT 1"
    if column != "repository_id" and conn.execute(is_id).fetchone():
        others = f'SELECT 1 FROM first WHERE "{column}" IS NOT NULL AND NOT {_has_id(column)} LIMIT 1'
        if conn.execute(others).fetchone() is None:
            return _other_id(column)
        return f'CASE WHEN {_has_id(column)} THEN {_other_id(column)} ELSE "{column}" END'
    return f'"{column}"'


def _has_id(column: str) -> str:
    """Return whether a column has an id of the run, as SQL."""
    return "(" + " OR ".join(f"\"{column}\" GLOB '{prefix}{'?' * _LETTERS}'" for prefix in _IDS) + ")"


def _other_id(column: str) -> str:
    """Return an id with the number of the copy as the first letters of its time, as SQL."""
    begin = f"instr(\"{column}\", '_')"
    return f'substr("{column}", 1, {begin}) || printf(\'%08X\', copy.n) || substr("{column}", {begin} + 9)'
