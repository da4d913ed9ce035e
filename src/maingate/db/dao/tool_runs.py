"""Tool runs: how each attempt of a tool ended, and what it cost."""

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
"""Micro-dollars in a dollar: money is kept as whole numbers."""


@dataclass(frozen=True, kw_only=True)
class ToolRun:
    """One attempt of a tool that has ended.

    Args:
        task_id: The task.
        attempt: Which of its attempts.
        run_id: The task's run.
        tool: The plan's name of the tool.
        outcome: What came of it: a patch, or why there is none.
        exit_code: What it exited with; None where it did not end by itself.
        cost_micros: What it said it cost, in micro-dollars; None where it says nothing.
        tokens_in: Tokens it said it read.
        tokens_out: Tokens it said it wrote.
        duration_ms: How long it took.
        message: What is to be said about it; empty where it went well.
        log_path: Where its output is.
        diff_path: Where what it left is, also when it failed.
        ended_at: When it ended.
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
    """Write down how attempts ended; one that is on record already stays as it is."""
    _ROWS.insert(connection, ended, or_ignore=True)


def of_task(connection: Connection, task_id: str) -> list[ToolRun]:
    """Read the attempts of a task, oldest first."""
    return _ROWS.select(connection, "WHERE task_id = ? ORDER BY attempt", (task_id,))


def of_run(connection: Connection, run_id: str) -> list[ToolRun]:
    """Read the attempts of a run, in the order in which they ended."""
    return _ROWS.select(connection, "WHERE run_id = ? ORDER BY ended_at, task_id, attempt", (run_id,))


def spent_by_run(connection: Connection, run_id: str) -> int | None:
    """Sum up what the tools of a run have cost, in micro-dollars; None when none said what it cost."""
    [(spent,)] = rows_of(connection, "SELECT sum(cost_micros) FROM tool_runs WHERE run_id = ?", (run_id,))
    return None if spent is None else int(spent)


def spent_by_task(connection: Connection, run_id: str) -> Mapping[str, int]:
    """Sum up what each task of a run has cost, in micro-dollars."""
    sql = "SELECT task_id, sum(cost_micros) FROM tool_runs WHERE run_id = ? GROUP BY task_id"
    return {task: int(spent) for task, spent in rows_of(connection, sql, (run_id,)) if spent}
