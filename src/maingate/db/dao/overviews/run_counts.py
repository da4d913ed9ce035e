"""Counts of the parts of a run, made by the database: a page that shows numbers reads no rows for them."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from maingate.db.sql.statements import rows_of
from maingate.reasons import NOT_RUN, ReasonCode
from maingate.state.gate import GateState


@dataclass(frozen=True, kw_only=True)
class GateCount:
    """The ended executions of gates of a run.

    Args:
        passed: Those that passed.
        failed: Those that failed on a verdict.
        flaky: Those that passed only on another execution.
        lost: Those that ended without a verdict, because their worker or run was ended.
        reused: The verdicts that were reused instead of another execution.
    """

    passed: int
    failed: int
    flaky: int
    lost: int
    reused: int


def tasks_by_state(connection: Connection, run_id: str) -> Mapping[str, Mapping[str, int]]:
    """Return the number of a run's tasks in each state, by workstream."""
    sql = "SELECT workstream_id, state, count(*) FROM tasks WHERE run_id = ? GROUP BY workstream_id, state"
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for workstream_id, state, count in rows_of(connection, sql, (run_id,)):
        found[workstream_id][state] = count
    return found


def ended_gates(connection: Connection, run_id: str) -> GateCount:
    """Count the ended executions of a run's gates."""
    columns = "state, fault, reason IS NULL, is_flaky"
    sql = f"SELECT {columns}, count(*) FROM gates WHERE run_id = ? GROUP BY {columns}"
    counted: Counter[str] = Counter()
    for state, fault, is_unexplained, is_flaky, count in rows_of(connection, sql, (run_id,)):
        if state not in {GateState.PASSED, GateState.FAILED}:
            continue
        if fault == ReasonCode.CANCELLED and not is_unexplained:
            continue  # it was stopped because its answer was not needed any more
        is_lost = state == GateState.FAILED and fault in NOT_RUN
        counted["lost" if is_lost else str(state)] += count
        counted["flaky"] += count if is_flaky else 0
    return GateCount(
        passed=counted[GateState.PASSED],
        failed=counted[GateState.FAILED],
        flaky=counted["flaky"],
        lost=counted["lost"],
        reused=sum(_reused(connection, table, run_id) for table in ("patches", "workstreams")),
    )


def _reused(connection: Connection, table: str, run_id: str) -> int:
    """Count the reused verdicts about the entities of a table."""
    sql = (
        f'SELECT count(*) FROM gate_evidence e JOIN "{table}" s ON s.id = e.subject_id'
        " WHERE s.run_id = ? AND e.reused"
    )
    [(count,)] = rows_of(connection, sql, (run_id,))
    return int(count)
