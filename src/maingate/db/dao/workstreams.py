"""Workstreams: groups of tasks that land as a whole or not at all (docs/SPECIFICATION.md §1.3)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from sqlalchemy import Connection

from maingate.db.dao import needs as dependency
from maingate.db.dao.entity import Entities, EntityRow
from maingate.db.schema import tables
from maingate.reasons import Reason
from maingate.state.steps.step import Context
from maingate.state.workstream import WorkstreamState


@dataclass(frozen=True, kw_only=True)
class WorkstreamRow(EntityRow):
    """One workstream.

    Args:
        run_id: Its run.
        name: The plan's own id of it.
        title: Its title for people.
        position: Its place in the plan, from 0.
        priority: Higher goes first.
        is_critical: Whether its failure fails the run; never changes.
        source: The work that its patches are of, as the plan names it.
        base_commit: The commit that its ref began from.
        head_commit: The commit that its ref is at.
        landed_commit: The target's commit that holds it.
        reason: The reason for its state.
        retry_of: The workstream that this one repeats.
    """

    machine: ClassVar[str] = "workstream"

    run_id: str
    name: str
    title: str = ""
    position: int = 0
    priority: int = 0
    is_critical: bool = True
    source: str | None = None
    base_commit: str | None = None
    head_commit: str | None = None
    landed_commit: str | None = None
    retry_of: str | None = None
    reason: Reason | None = None
    state: WorkstreamState = WorkstreamState.PLANNED

    @property
    def context(self) -> Context:
        """The context of the workstream: its run and itself."""
        return Context(run_id=self.run_id, workstream_id=self.id)


ROWS: Final = Entities(tables.workstreams, WorkstreamRow)
get, get_many, insert_many = ROWS.get, ROWS.get_many, ROWS.insert_many


def of_run(connection: Connection, run_id: str) -> list[WorkstreamRow]:
    """Read a run's workstreams in the plan's order."""
    return ROWS.select(connection, "WHERE run_id = ? ORDER BY position, id", (run_id,))


def executing(connection: Connection, run_id: str) -> list[WorkstreamRow]:
    """Read a run's executing workstreams."""
    return ROWS.select(connection, "WHERE run_id = ? AND state = 'executing' ORDER BY position", (run_id,))


def landed_as(connection: Connection, commit: str) -> WorkstreamRow | None:
    """Read the workstream whose landing made a commit of the target; None when there is none."""
    found = ROWS.select(connection, "WHERE landed_commit = ? ORDER BY created_at, id", (commit,))
    return found[0] if found else None


def add_needs(connection: Connection, pairs: Iterable[tuple[str, str]]) -> None:
    """Insert pairs of a workstream and one that it needs."""
    dependency.add(connection, tables.workstream_needs, pairs)


def needs(connection: Connection, run_id: str) -> dict[str, tuple[str, ...]]:
    """Read the needs of each workstream of a run; workstreams without needs are missing."""
    return dependency.of_run(connection, tables.workstream_needs, tables.workstreams, run_id)
