"""Trends: how fast, how often and how surely patches land, in equal steps of time."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from maingate.db.dao import gates, patches, tool_runs, verdicts
from maingate.db.dao.gates import GateRow
from maingate.db.dao.patches import PatchRow
from maingate.db.dao.verdicts import Evidence
from maingate.db.sql.connection import Connection
from maingate.events import iso_millis
from maingate.queries.details.patch import patch_json
from maingate.queries.names import task_names
from maingate.repository_context import RepositoryContext
from maingate.state.gate import GateState
from maingate.state.tool_run import MICROS, ToolRun

Json = dict[str, Any]
Timed = TypeVar("Timed")

STEPS: Final = 24
"""Steps that a time is divided into."""
MOST_PATCHES: Final = 5_000
MOST_GATES: Final = 20_000
"""Newest landed patches and executions of gates that are looked at."""
_HOUR: Final = 3600.0


@dataclass(frozen=True, kw_only=True)
class TrendRows:
    """The rows that trends are made of.

    Args:
        landed: Landed patches.
        judged: Executions of gates.
        evidence: The verdicts that landed patches and their workstreams rely on.
        tried: Attempts of tools.
    """

    landed: Sequence[PatchRow] = ()
    judged: Sequence[GateRow] = ()
    evidence: Sequence[Evidence] = ()
    tried: Sequence[ToolRun] = ()


def trends(context: RepositoryContext, span: timedelta, until: datetime | None = None) -> Json:
    """Return the trends of the time before now, or before another time.

    Args:
        context: The repository and its record.
        span: The length of that time.
        until: Its end; None for now.
    """
    end = until or context.clock.now()
    with context.database.read() as conn:
        rows = _read(conn, end - span)
    return {"begin": iso_millis(end - span), "end": iso_millis(end), "steps": steps(rows, end - span, span)}


def landed_between(context: RepositoryContext, begin: datetime, end: datetime) -> list[Json]:
    """Return the patches that landed in a time, newest first."""
    with context.database.read() as conn:
        rows = [
            row for row in _landed(conn, begin) if row.committed_at is not None and row.committed_at < end
        ]
        names = task_names(conn, rows)
    return [patch_json(row, names[row.task_id]) for row in rows]


def steps(rows: TrendRows, begin: datetime, span: timedelta) -> list[Json]:
    """Return the figures of each step of a time.

    Args:
        rows: The rows.
        begin: The beginning of the time.
        span: Its length.
    """
    length = span / STEPS
    landed = _divided(rows.landed, lambda row: row.committed_at, begin, length)
    judged = _divided(rows.judged, lambda row: row.completed_at, begin, length)
    relied = _divided(rows.evidence, lambda row: row.created_at, begin, length)
    tried = _divided(rows.tried, lambda row: row.ended_at, begin, length)
    return [
        {
            "begin": iso_millis(begin + number * length),
            "end": iso_millis(begin + (number + 1) * length),
            **_figures(landed[number], judged[number], relied[number], tried[number], length),
        }
        for number in range(STEPS)
    ]


def percentile(values: Sequence[float], part: float) -> float | None:
    """Return the value that a part of the values does not exceed; None without values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)] if ordered else None


def _read(conn: Connection, begin: datetime) -> TrendRows:
    landed = _landed(conn, begin)
    judged = [
        row
        for row in gates.ROWS.page(conn, among={"state": ["PASSED", "FAILED"]}, limit=MOST_GATES)
        if row.completed_at is not None and row.completed_at >= begin and not row.is_lost
    ]
    subjects = [*(row.id for row in landed), *{row.workstream_id for row in landed}]
    runs = sorted({row.run_id for row in landed} | {row.run_id for row in judged})
    return TrendRows(
        landed=landed,
        judged=judged,
        evidence=verdicts.evidence(conn, subjects),
        tried=[each for run_id in runs for each in tool_runs.of_run(conn, run_id)],
    )


def _landed(conn: Connection, begin: datetime) -> list[PatchRow]:
    rows = patches.ROWS.page(conn, among={"state": ["committed", "rolled_back"]}, limit=MOST_PATCHES)
    return [row for row in rows if row.committed_at is not None and row.committed_at >= begin]


def _divided(
    rows: Iterable[Timed], time_of: Callable[[Timed], datetime | None], begin: datetime, length: timedelta
) -> list[list[Timed]]:
    """Return rows by the step that their time is in; those outside are left out."""
    found: list[list[Timed]] = [[] for _ in range(STEPS)]
    for row in rows:
        at = time_of(row)
        if at is not None and 0 <= (number := int((at - begin) / length)) < STEPS:
            found[number].append(row)
    return found


def _figures(
    landed: Sequence[PatchRow],
    judged: Sequence[GateRow],
    relied: Sequence[Evidence],
    tried: Sequence[ToolRun],
    length: timedelta,
) -> Json:
    lead = [(row.committed_at - row.created_at).total_seconds() for row in landed if row.committed_at]
    flaky = sum(row.is_flaky for row in judged if row.state is GateState.PASSED)
    costs = [each.cost_micros for each in tried if each.cost_micros is not None]
    return {
        "landed": len(landed),
        "lead_p50": percentile(lead, 0.5),
        "lead_p95": percentile(lead, 0.95),
        "landed_per_hour": len(landed) / (length.total_seconds() / _HOUR),
        "gate_runs": len(judged),
        "gate_runs_per_patch": len(judged) / len(landed) if landed else None,
        "reused_part": sum(each.reused for each in relied) / len(relied) if relied else None,
        "flaky": flaky,
        "cost_usd": sum(costs) / MICROS if costs else None,
    }
