"""Tool runs: the end and the cost of each attempt of a tool."""

from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import Connection

from maingate.db.ledger.facts import EvidenceTable
from maingate.db.schema import tables
from maingate.db.sql.statements import rows_of
from maingate.state.tool_run import ToolRun

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


def put_off_by_task(connection: Connection, run_id: str) -> Mapping[str, int]:
    """Return the number of attempts that a provider put off, of each task of a run that has any."""
    sql = "SELECT task_id, count(*) FROM tool_runs WHERE run_id = ? AND outcome = ? GROUP BY task_id"
    return {task: int(number) for task, number in rows_of(connection, sql, (run_id, "rate_limited"))}
