"""Aggregates of a part of the ledger, computed by the database: the rows that it adds to the roll-ups."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection

from maingate.db.rollups.conditions import EVERYTHING, Conditions
from maingate.db.rollups.expressions import (
    BEFORE,
    HOUR,
    JOINS,
    TOOL,
    bucket,
    code,
    gate,
    gate_of_reason,
    is_critical,
    is_flaky,
    spent,
)
from maingate.db.schema.rollup_kinds import EMPTY, EventKind, Histogram, Measure, MeasureKind
from maingate.db.schema.tables import ENTITIES
from maingate.db.sql.statements import rows_of
from maingate.events import TRANSITION_SUFFIX, severity_of
from maingate.reasons import ReasonCode
from maingate.state.machines import MACHINES
from maingate.state.patch_ledger import PatchState

_CODES: Final = frozenset(map(str, ReasonCode))
_TIMED: Final = ("run", "workstream", "task", "patch_ledger")
"""The machines whose entities have a life and work to measure; those of gates are times in states."""


@dataclass(kw_only=True, slots=True)
class Aggregate:
    """The counts and values of a part of the ledger.

    Args:
        events: The number of events by hour and kind.
        measures: The histograms by hour and kind.
        hours: The first and the last number of the ledger's rows by hour.
    """

    events: dict[tuple[int, EventKind], int] = field(default_factory=lambda: defaultdict(int))
    measures: dict[tuple[int, MeasureKind], Histogram] = field(
        default_factory=lambda: defaultdict(lambda: EMPTY)
    )
    hours: dict[int, tuple[int, int]] = field(default_factory=dict)

    def count(self, hour: int, kind: EventKind, number: int) -> None:
        """Add events."""
        self.events[hour, kind] += number

    def measure(self, hour: int, kind: MeasureKind, bucket: int, number: int, total: int) -> None:
        """Add values."""
        self.measures[hour, kind] += Histogram(buckets={bucket: number}, total=total)

    def reach(self, hour: int, first: int, last: int) -> None:
        """Widen the range of an hour."""
        known = self.hours.get(hour, (first, last))
        self.hours[hour] = min(known[0], first), max(known[1], last)


def aggregate(
    connection: Connection, after: int, upto: int, *, only: Conditions = EVERYTHING, unit: int = HOUR
) -> Aggregate:
    """Return the counts of the rows of the ledger that are after one number and not after another.

    Args:
        connection: A transaction.
        after: The number before the first row.
        upto: The number of the last row.
        only: Conditions on the rows; with any, lives, tools and reuse are not measured.
        unit: The microseconds of an "hour".
    """
    found = Aggregate()
    is_sqlite = connection.dialect.name == "sqlite"
    if (branch := only.transitions) is not None:
        sql = _transitions_sql(is_sqlite, unit, branch.sql)
        for row in rows_of(connection, sql, (after, upto, *branch.values)):
            _add_transitions(found, row)
    if (branch := only.events) is not None:
        for row in rows_of(
            connection, _events_sql(is_sqlite, unit, branch.sql), (after, upto, *branch.values)
        ):
            _add_events(found, row)
    if only is EVERYTHING:
        _measure(connection, found, (after, upto), is_sqlite=is_sqlite)
    return found


def _measure(connection: Connection, found: Aggregate, span: tuple[int, int], *, is_sqlite: bool) -> None:
    """Add lives, tools and reuse."""
    for machine in _TIMED:
        for row in rows_of(connection, _ends_sql(machine, is_sqlite), span):
            _add_ends(found, machine, row)
    for row in rows_of(connection, _TOOL_RUNS, span):
        _add_tool_runs(found, row)
    for row in rows_of(connection, _REUSE, span):
        _add_reuse(found, row)


@lru_cache(maxsize=64)
def _transitions_sql(is_sqlite: bool, unit: int, only: str) -> str:
    return f"""
        SELECT hour, entity_type, from_state, to_state, cause, operator, code, gate, tool, variant, is_flaky,
            is_critical, {bucket("spent")} AS bucket, count(*), coalesce(sum(spent), 0), min(seq), max(seq)
        FROM (
            SELECT t.seq, t.at / {unit} AS hour, t.entity_type, coalesce(t.from_state, '') AS from_state,
                t.to_state, t."trigger" AS cause, coalesce(t.operator, '') AS operator,
                {code("t.reason", is_sqlite)} AS code, {gate(is_sqlite)} AS gate, {TOOL} AS tool,
                coalesce(g.type, k.kind, '') AS variant,
                CASE WHEN {is_flaky(is_sqlite)} THEN 1 ELSE 0 END AS is_flaky,
                CASE WHEN {is_critical(is_sqlite)} THEN 1 ELSE 0 END AS is_critical,
                {spent(is_sqlite)} AS spent
            FROM state_transitions t {JOINS} {BEFORE}
            WHERE t.seq > ? AND t.seq <= ?{only}
        ) one
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13
    """


@lru_cache(maxsize=64)
def _events_sql(is_sqlite: bool, unit: int, only: str) -> str:
    return f"""
        SELECT hour, event_type, severity, entity_type, from_state, to_state, cause, operator, code, gate,
            count(*), min(seq), max(seq)
        FROM (
            SELECT t.seq, t.at / {unit} AS hour, t.event_type, t.severity,
                coalesce(t.entity_type, '') AS entity_type, coalesce(t.from_state, '') AS from_state,
                coalesce(t.to_state, '') AS to_state, coalesce(t."trigger", '') AS cause,
                coalesce(t.operator, '') AS operator, {code("t.reason", is_sqlite)} AS code,
                {gate_of_reason("t.reason", is_sqlite)} AS gate
            FROM events t WHERE t.seq > ? AND t.seq <= ?{only}
        ) one
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
    """


@lru_cache
def _ends_sql(machine: str, is_sqlite: bool) -> str:
    """Return the statement about entities that ended, or landed."""
    states = {str(state) for state in MACHINES[machine].terminal}
    states |= {str(PatchState.COMMITTED)} if machine == "patch_ledger" else set()
    ends = ", ".join(f"'{state}'" for state in sorted(states))
    variant, tool = ("k.kind", "coalesce(r.tool, '')") if machine == "task" else ("''", "''")
    positive = "max" if is_sqlite else "greatest"
    life, work = (f"{positive}(t.at - e.{since}, 0)" for since in ("created_at", "started_at"))
    return f"""
        SELECT hour, to_state, variant, tool, {bucket("life")}, {bucket("work")},
            work IS NOT NULL, count(*), sum(life), coalesce(sum(work), 0)
        FROM (
            SELECT t.at / {HOUR} AS hour, t.to_state, {variant} AS variant, {tool} AS tool,
                {life} AS life, CASE WHEN e.started_at IS NULL THEN NULL ELSE {work} END AS work
            FROM state_transitions t JOIN "{ENTITIES[machine].name}" e ON e.id = t.entity_id
            {JOINS if machine == "task" else ""}
            WHERE t.seq > ? AND t.seq <= ? AND t.entity_type = '{machine}' AND t.to_state IN ({ends})
        ) one
        GROUP BY 1, 2, 3, 4, 5, 6, 7
    """


def _add_transitions(found: Aggregate, row: Sequence[Any]) -> None:
    hour, machine, left, reached, cause, operator, code_, gate_, tool, variant, flaky, critical = row[:12]
    bucket_, number, total, first, last = row[12:]
    facts = {"critical": True} if critical else {}
    kind = EventKind(
        event_type=f"{machine}{TRANSITION_SUFFIX}",
        entity_type=machine,
        from_state=left,
        to_state=reached,
        trigger=cause,
        severity=str(severity_of(machine, left or None, reached, cause, facts, operator=operator or None)),
        operator=operator,
        reason=_known(code_),
        gate=gate_,
        tool=tool,
        variant=variant,
        mark="flaky" if flaky else "",
    )
    found.count(hour, kind, number)
    found.reach(hour, first, last)
    if left:
        # the gate of a reason is why the state ended, not what was in it
        at = gate_ if machine == "test_gate" else ""
        state = MeasureKind(
            measure=Measure.STATE, entity_type=machine, state=left, gate=at, tool=tool, variant=variant
        )
        found.measure(hour, state, bucket_, number, int(total))


def _add_events(found: Aggregate, row: Sequence[Any]) -> None:
    hour, event_type, severity, machine, left, reached, cause, operator, code_, gate_ = row[:10]
    number, first, last = row[10:]
    kind = EventKind(
        event_type=event_type,
        entity_type=machine,
        from_state=left,
        to_state=reached,
        trigger=cause,
        severity=severity,
        operator=operator,
        reason=_known(code_),
        gate=gate_,
    )
    found.count(hour, kind, number)
    found.reach(hour, first, last)


def _add_ends(found: Aggregate, machine: str, row: Sequence[Any]) -> None:
    hour, end, variant, tool, life_bucket, work_bucket, has_work, number, life, work = row
    kind = MeasureKind(measure=Measure.LIFE, entity_type=machine, state=end, tool=tool, variant=variant)
    found.measure(hour, kind, life_bucket, number, int(life))
    if has_work:
        found.measure(hour, replace(kind, measure=Measure.WORK), work_bucket, number, int(work))


def _add_tool_runs(found: Aggregate, row: Sequence[Any]) -> None:
    hour, tool, outcome, bucket_, number, millis, cost, tokens = row
    kind = MeasureKind(measure=Measure.TOOL, tool=tool, variant=outcome)
    found.measure(hour, kind, bucket_, number, int(millis) * 1000)
    found.measure(hour, replace(kind, measure=Measure.TOOL_COST), 0, number, int(cost))
    found.measure(hour, replace(kind, measure=Measure.TOOL_TOKENS), 0, number, int(tokens))


def _add_reuse(found: Aggregate, row: Sequence[Any]) -> None:
    hour, gate_, variant, number = row
    kind = MeasureKind(measure=Measure.REUSE, entity_type="test_gate", gate=gate_, variant=variant)
    found.measure(hour, kind, 0, number, 0)


def _known(text: str) -> str:
    """Return a code of the program's own; other text is not counted apart."""
    return text if text in _CODES else ""


_TOOL_RUNS: Final = f"""
    SELECT hour, tool, outcome, {bucket("millis * 1000")}, count(*), sum(millis), sum(cost), sum(tokens)
    FROM (
        SELECT r.ended_at / {HOUR} AS hour, r.tool, r.outcome, r.duration_ms AS millis,
            coalesce(r.cost_micros, 0) AS cost,
            coalesce(r.tokens_in, 0) + coalesce(r.tokens_out, 0) AS tokens
        FROM facts f JOIN tool_runs r ON r.task_id = f.entity_id
            AND f.key = '["' || r.task_id || '",' || r.attempt || ']'
        WHERE f.seq > ? AND f.seq <= ? AND f.about = 'tool_runs'
    ) one
    GROUP BY 1, 2, 3, 4
"""
_REUSE: Final = f"""
    SELECT e.created_at / {HOUR}, e.gate_name, g.type, count(*)
    FROM facts f JOIN gate_evidence e ON e.subject_id = f.entity_id
        AND f.key = '["' || e.subject_kind || '","' || e.subject_id || '","' || e.gate_name || '","'
            || e.tree || '"]'
    JOIN gates g ON g.id = e.gate_id
    WHERE f.seq > ? AND f.seq <= ? AND f.about = 'gate_evidence' AND e.reused
    GROUP BY 1, 2, 3
"""
