"""Gates: executions of one gate command on one tree (docs/SPECIFICATION.md §2.3)."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar, Final

from sqlalchemy import Connection

from maingate.db.dao.entity import Entities, EntityRow
from maingate.db.schema import tables
from maingate.db.sql.statements import marks, rows_of
from maingate.reasons import NOT_RUN, Reason, ReasonCode
from maingate.state.gate import GateState
from maingate.state.steps.step import Context


@dataclass(frozen=True, kw_only=True)
class GateRow(EntityRow):
    """One execution of one gate.

    Args:
        run_id: Its run.
        workstream_id: The workstream whose result it judges.
        patch_id: The patch that it judges.
        name: The plan's own id of the gate.
        type: ``LINT``, ``UNIT``, ``INTEGRATION`` or ``SECURITY``.
        tree: The tree that it runs on.
        verdict_key: The key of its verdict.
        uet_worker_id: The slot that ran it.
        attempts: The number of executions of its command.
        is_flaky: Whether it passed only on another execution.
        fault: The fault that kept it from a verdict, if any.
        exit_code: The command's exit code; a signal is negative.
        output: An excerpt of the command's output.
        log_path: The file with its output.
        duration_ms: The duration of the command, in milliseconds.
        reason: The reason for its state.
    """

    machine: ClassVar[str] = "test_gate"

    run_id: str
    workstream_id: str | None = None
    patch_id: str | None = None
    name: str
    type: str = "UNIT"
    tree: str
    verdict_key: str = ""
    uet_worker_id: str | None = None
    attempts: int = 0
    is_flaky: bool = False
    fault: str | None = None
    exit_code: int | None = None
    output: str | None = None
    log_path: str | None = None
    duration_ms: int | None = None
    reason: Reason | None = None
    state: GateState = GateState.PENDING

    @property
    def context(self) -> Context:
        """The run and workstream of the gate."""
        return Context(run_id=self.run_id, workstream_id=self.workstream_id)

    @property
    def is_lost(self) -> bool:
        """Return whether it failed only on record, because its worker or its run was ended."""
        return self.state is GateState.FAILED and self.fault in NOT_RUN

    @property
    def is_not_needed(self) -> bool:
        """Return whether it was stopped because its answer was not needed any more."""
        return self.fault == ReasonCode.CANCELLED and self.reason is not None


ROWS: Final = Entities(tables.gates, GateRow)
get, get_many, insert_many = ROWS.get, ROWS.get_many, ROWS.insert_many


def of_run(connection: Connection, run_id: str) -> list[GateRow]:
    """Read a run's gates, oldest first."""
    return ROWS.select(connection, "WHERE run_id = ? ORDER BY created_at, id", (run_id,))


def running_of_run(connection: Connection, run_id: str) -> list[GateRow]:
    """Read a run's gates that run now, oldest first."""
    where = "WHERE run_id = ? AND state = 'RUNNING' ORDER BY created_at, id"
    return ROWS.select(connection, where, (run_id,))


def failed_of_run(connection: Connection, run_id: str) -> list[GateRow]:
    """Read a run's gates that failed, oldest first."""
    where = "WHERE run_id = ? AND state = 'FAILED' ORDER BY created_at, id"
    return ROWS.select(connection, where, (run_id,))


def on_merged_results(connection: Connection, run_id: str) -> list[GateRow]:
    """Read a run's gates on the merged results of workstreams, oldest first."""
    where = "WHERE run_id = ? AND patch_id IS NULL AND workstream_id IS NOT NULL ORDER BY created_at, id"
    return ROWS.select(connection, where, (run_id,))


def slots_of_run(connection: Connection, run_id: str) -> list[str]:
    """Read the slots that have run a run's gates."""
    sql = "SELECT DISTINCT uet_worker_id FROM gates WHERE run_id = ? AND uet_worker_id IS NOT NULL"
    return [slot for (slot,) in rows_of(connection, sql, (run_id,))]


def of_slots(connection: Connection, run_id: str, slots: Collection[str]) -> list[GateRow]:
    """Read a run's gates that some slots have run, oldest first."""
    if not slots:
        return []
    where = f"WHERE run_id = ? AND uet_worker_id IN ({marks(len(slots))}) ORDER BY created_at, id"
    return ROWS.select(connection, where, (run_id, *slots))


def of_workstream(connection: Connection, workstream_id: str) -> list[GateRow]:
    """Read the gates of a workstream and its patches, oldest first."""
    return ROWS.select(connection, "WHERE workstream_id = ? ORDER BY created_at, id", (workstream_id,))


def of_patch(connection: Connection, patch_id: str) -> list[GateRow]:
    """Read the gates that judged a patch, oldest first."""
    return ROWS.select(connection, "WHERE patch_id = ? ORDER BY created_at, id", (patch_id,))


def running(connection: Connection) -> list[GateRow]:
    """Read the gates that are on record as running."""
    return ROWS.select(connection, "WHERE state = 'RUNNING'")
