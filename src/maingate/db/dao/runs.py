"""Runs: one execution of a plan against one repository and target branch (docs/SPECIFICATION.md §1.2)."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from sqlalchemy import Connection

from maingate.db.dao.entity import Entities, EntityRow
from maingate.db.engine import repository_of
from maingate.db.schema import tables
from maingate.db.sql.columns import PathText
from maingate.db.sql.statements import row_of, rows_of
from maingate.errors import UnknownEntityError
from maingate.reasons import Reason
from maingate.state.run import RunState
from maingate.state.steps.step import Context


@dataclass(frozen=True, kw_only=True)
class RunRow(EntityRow):
    """One run.

    Args:
        name: The plan's name.
        repository: Absolute path of the repository's git directory when the run was admitted.
        repository_id: The repository's own id, which stays when it is moved.
        target_ref: Full name of the branch to land on.
        landing: ``merge``, ``squash`` or ``rebase``.
        strict: Whether every landed state must itself have passed its gates.
        plan: The plan as it was read, so that the run can continue without the file.
        tree_settings: The values of the tree's ``maingate.toml`` when the run was admitted.
        plan_file: The file of the plan.
        old_head: The target's commit when the run began.
        new_head: The target's commit after the run's last landing.
        retry_of: The run that this one repeats.
        traceparent: The span of the program that asked for it (W3C Trace Context).
        reason: The reason of its end.
    """

    machine: ClassVar[str] = "run"

    name: str
    repository: str
    repository_id: str
    target_ref: str
    landing: str = "merge"
    strict: bool = True
    plan: Mapping[str, Any] = field(default_factory=dict)
    tree_settings: Mapping[str, Any] = field(default_factory=dict)
    plan_file: str | None = None
    old_head: str | None = None
    new_head: str | None = None
    retry_of: str | None = None
    traceparent: str | None = None
    reason: Reason | None = None
    state: RunState = RunState.PENDING

    @property
    def context(self) -> Context:
        """The context of the run: itself."""
        return Context(run_id=self.id)


ROWS: Final = Entities(tables.runs, RunRow)
get, get_many, insert_many = ROWS.get, ROWS.get_many, ROWS.insert_many


def newest(connection: Connection) -> RunRow | None:
    """Read the run that was created last; None when there is none."""
    found = recent(connection, limit=1)
    return found[0] if found else None


def recent(connection: Connection, *, limit: int = 50, before: str | None = None) -> list[RunRow]:
    """Read runs, newest first; from a shared database only those of the repository that it is opened for.

    Args:
        connection: A transaction.
        limit: Most runs to return.
        before: Only runs older than this one: the id of the last run of the page before.
    """
    conditions, values = [], []
    if (whose := repository_of(connection)) is not None:
        conditions, values = ["repository_id = ?"], [whose]
    if before is not None:
        conditions.append("(created_at, id) < (SELECT created_at, id FROM runs WHERE id = ?)")
        values.append(before)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    return ROWS.select(connection, f"{where} ORDER BY created_at DESC, id DESC LIMIT ?", (*values, limit))


def count(connection: Connection) -> int:
    """Count all runs."""
    return ROWS.count(connection)


def unfinished(connection: Connection) -> list[RunRow]:
    """Read the runs that have not ended, oldest first."""
    return ROWS.select(connection, "WHERE completed_at IS NULL ORDER BY created_at, id")


def has_ended(connection: Connection, run_id: str) -> bool:
    """Return whether a run is there and has ended."""
    return ROWS.count(connection, "WHERE id = ? AND completed_at IS NOT NULL", (run_id,)) > 0


def name_and_state(connection: Connection, run_id: str) -> tuple[str, RunState]:
    """Read the name and the state of a run, without its plan.

    Raises:
        UnknownEntityError: There is no such run.
    """
    name, state = _two_of(connection, "name, state", run_id)
    return name, RunState(state)


def target_of(connection: Connection, run_id: str) -> tuple[str, str]:
    """Read the id of a run's repository and the ref of its target, without the run's plan.

    Raises:
        UnknownEntityError: There is no such run.
    """
    return _two_of(connection, "repository_id, target_ref", run_id)


def _two_of(connection: Connection, columns: str, run_id: str) -> tuple[str, str]:
    found = row_of(connection, f"SELECT {columns} FROM runs WHERE id = ?", (run_id,))
    if found is None:
        raise UnknownEntityError(run_id)
    return str(found[0]), str(found[1])


def of_plan_files(connection: Connection, files: Iterable[str]) -> list[RunRow]:
    """Read the runs whose plan was read from one of these files, by their absolute paths."""
    return ROWS.select_in(connection, "plan_file", map(PathText().encode, files))


def has_plan_at(connection: Connection, part: str) -> bool:
    """Return whether the path of a run's plan has a part, which has neither ``%`` nor ``_``."""
    return ROWS.count(connection, "WHERE plan_file LIKE ?", (f"%{part}%",)) > 0


def ends_after(connection: Connection, seq: int) -> list[tuple[int, str]]:
    """Read the ends of runs after a place in the ledger: the place of each, and the run."""
    sql = (
        "SELECT t.seq, r.id FROM runs r"
        " JOIN state_transitions t ON t.entity_id = r.id AND t.version = r.version"
        " WHERE r.completed_at IS NOT NULL AND t.seq > ? ORDER BY t.seq"
    )
    return [(int(place), str(run_id)) for place, run_id in rows_of(connection, sql, (seq,))]


def tools(connection: Connection) -> set[str]:
    """Read the names of the tools in the plans of all runs."""
    return {name for (plan,) in rows_of(connection, "SELECT plan FROM runs") for name in _tools_of(plan)}


def _tools_of(plan: str) -> Iterable[str]:
    found: Iterable[str] = (json.loads(plan).get("tools") or {}).keys()
    return found


def record_base(connection: Connection, run_id: str, old_head: str) -> None:
    """Update the target's commit that a run begins on; no transition.

    Raises:
        UnknownEntityError: There is no such run.
    """
    ROWS.set_column(connection, run_id, "old_head", old_head)


def record_head(connection: Connection, run_id: str, new_head: str) -> None:
    """Update the target's commit after a landing of the run; no transition.

    Raises:
        UnknownEntityError: There is no such run.
    """
    ROWS.set_column(connection, run_id, "new_head", new_head)
