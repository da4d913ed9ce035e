"""Tool runs: the end and the cost of each attempt of a tool."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection

from maingate.db import tables
from maingate.db.facts import EvidenceTable
from maingate.db.statements import rows_of

ToolRunOutcome = Literal["patch", "failed", "timed_out", "rate_limited", "lost"]

MICROS: Final = 1_000_000
"""Micro-dollars in a dollar: money is stored as whole numbers."""


@dataclass(frozen=True, kw_only=True)
class ToolRun:
    """One attempt of a tool that has ended.

    Args:
        task_id: The task.
        attempt: The number of the attempt.
        run_id: The task's run.
        tool: The plan's name of the tool.
        outcome: Its result: a patch, or the kind of its failure.
        exit_code: Its exit code; None if it did not end by itself.
        cost_micros: Its reported cost, in micro-dollars; None if it reports none.
        tokens_in: The tokens that it reports as read.
        tokens_out: The tokens that it reports as written.
        duration_ms: Its duration, in milliseconds.
        message: A remark for people; empty if it ended well.
        log_path: The file with its output.
        diff_path: The file with the diff that it left, also if it failed.
        ended_at: The time it ended.
    """

    task_id: str
    attempt: int
    run_id: str
    tool: str
    outcome: ToolRunOutcome
    exit_code: int | None = None
    cost_micros: int | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    duration_ms: int = 0
    message: str = ""
    log_path: str | None = None
    diff_path: str | None = None
    ended_at: datetime


_ROWS: Final = EvidenceTable(tables.tool_runs, ToolRun)


def record(connection: Connection, ended: Iterable[ToolRun]) -> None:
    """Insert ended attempts; one that is on record already is ignored."""
    _ROWS.insert(connection, ended, or_ignore=True)


def of_task(connection: Connection, task_id: str) -> list[ToolRun]:
    """Read the attempts of a task, oldest first."""
    return _ROWS.select(connection, "WHERE task_id = ? ORDER BY attempt", (task_id,))


def of_run(connection: Connection, run_id: str) -> list[ToolRun]:
    """Read the attempts of a run, in the order in which they ended."""
    return _ROWS.select(connection, "WHERE run_id = ? ORDER BY ended_at, task_id, attempt", (run_id,))


def spent_by_run(connection: Connection, run_id: str) -> int | None:
    """Return the cost of the tools of a run, in micro-dollars; None when none reported a cost."""
    [(spent,)] = rows_of(connection, "SELECT sum(cost_micros) FROM tool_runs WHERE run_id = ?", (run_id,))
    return None if spent is None else int(spent)


def spent_by_task(connection: Connection, run_id: str) -> Mapping[str, int]:
    """Return the cost of each task of a run, in micro-dollars."""
    sql = "SELECT task_id, sum(cost_micros) FROM tool_runs WHERE run_id = ? GROUP BY task_id"
    return {task: int(spent) for task, spent in rows_of(connection, sql, (run_id,)) if spent}
