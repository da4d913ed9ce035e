"""Patches: the ledger of unified diffs, from captured to committed or quarantined.

See docs/SPECIFICATION.md §2.2, §2.5.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Final

from sqlalchemy import Connection

from maingate.db.dao.entity import Entities, EntityRow
from maingate.db.schema import tables
from maingate.db.sql.statements import rows_in, rows_of
from maingate.reasons import Reason
from maingate.state.patch_ledger import PatchState
from maingate.state.steps.step import Context


@dataclass(frozen=True, kw_only=True)
class PatchRow(EntityRow):
    """One patch; its bytes are stored by `maingate.db.dao.artifacts`.

    Args:
        run_id: Its run.
        workstream_id: Its workstream.
        task_id: The task that gave it.
        format: ``unified_diff``.
        base_ref: The ref that it was made for.
        base_commit: The commit that it was made on.
        origin: Its source: tool, tool run, file, author, time.
        summary: One line for people, at most 512 characters.
        files: The number of files that it touches.
        insertions: The number of added lines.
        deletions: The number of removed lines.
        hunks: The number of hunks.
        paths: The paths it touches; bytes that are no UTF-8 are escaped as surrogates.
        repairs: The repairs that were needed to read it and, once it is applied, to apply it: objects with
            ``kind``, ``file``, ``hunk``, ``from``, ``to`` and ``message``.
        change_key: A digest of its changes, shared by patches with the same ones; empty when it was not read.
        method: How it applied: ``exact``, ``offset`` or ``three_way``; None before that.
        commit: The commit that holds it.
        tree: The tree after it.
        quarantine_reason: Why it is quarantined; kept when it is dropped from there.
        reason: The reason for its state.
        replaces: The patch that this one is made from.
        committed_at: The time it landed on the target.
    """

    machine: ClassVar[str] = "patch_ledger"

    run_id: str
    workstream_id: str
    task_id: str
    format: str = "unified_diff"
    base_ref: str = ""
    base_commit: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""
    files: int = 0
    insertions: int = 0
    deletions: int = 0
    hunks: int = 0
    paths: Sequence[str] = ()
    repairs: Sequence[Mapping[str, Any]] = ()
    change_key: str = ""
    method: str | None = None
    commit: str | None = None
    tree: str | None = None
    quarantine_reason: Reason | None = None
    reason: Reason | None = None
    replaces: str | None = None
    committed_at: datetime | None = None
    state: PatchState = PatchState.CREATED

    @property
    def context(self) -> Context:
        """The run, workstream and task of the patch."""
        return Context(run_id=self.run_id, workstream_id=self.workstream_id, task_id=self.task_id)


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchOutline:
    """The columns of a patch by which it is found in its run.

    Args:
        id: The patch.
        state: Its state.
        task: The name of its task, with that of the workstream.
        stored_paths: The paths that it touches, as they are stored.
    """

    id: str
    state: PatchState
    task: str
    stored_paths: str

    @property
    def paths(self) -> Sequence[str]:
        """The paths that it touches."""
        found: Sequence[str] = json.loads(self.stored_paths)
        return found


ROWS: Final = Entities(tables.patches, PatchRow)
get, get_many, insert_many = ROWS.get, ROWS.get_many, ROWS.insert_many


def of_run(connection: Connection, run_id: str) -> list[PatchRow]:
    """Read a run's patches, oldest first."""
    return ROWS.select(connection, "WHERE run_id = ? ORDER BY created_at, id", (run_id,))


def of_task(connection: Connection, task_id: str) -> list[PatchRow]:
    """Read a task's patches, oldest first by the clock; `present` selects the present one."""
    return ROWS.select(connection, "WHERE task_id = ? ORDER BY created_at, id", (task_id,))


def of_tasks(connection: Connection, task_ids: Iterable[str]) -> list[PatchRow]:
    """Read the patches of several tasks."""
    return ROWS.select_in(connection, "task_id", task_ids)


def of_unfinished_tasks(connection: Connection, run_id: str) -> list[PatchRow]:
    """Read the patches of a run's unfinished tasks that are neither refused nor landed, oldest first."""
    tasks = "SELECT id FROM tasks WHERE run_id = ? AND completed_at IS NULL"
    where = f"WHERE task_id IN ({tasks}) AND completed_at IS NULL AND state <> 'committed'"
    return ROWS.select(connection, f"{where} ORDER BY created_at, id", (run_id,))


def outlines(connection: Connection, run_id: str) -> list[PatchOutline]:
    """Read the outlines of a run's patches, oldest first."""
    sql = (
        "SELECT p.id, p.state, w.name, t.name, p.paths FROM patches p JOIN tasks t ON t.id = p.task_id"
        " JOIN workstreams w ON w.id = p.workstream_id WHERE p.run_id = ? ORDER BY p.created_at, p.id"
    )
    return [
        PatchOutline(id=id_, state=PatchState(state), task=f"{stream}/{task}", stored_paths=paths)
        for id_, state, stream, task, paths in rows_of(connection, sql, (run_id,))
    ]


def present(ledger: Sequence[PatchRow]) -> dict[str, PatchRow]:
    """Return the present patch of each task, by the task: the one that no other replaces.

    Their times do not decide, since a clock may jump back.
    """
    replaced = {patch.replaces for patch in ledger}
    return {patch.task_id: patch for patch in ledger if patch.id not in replaced}


def of_commit(connection: Connection, commit: str) -> list[PatchRow]:
    """Read the patches that landed with a commit, oldest first."""
    where = 'WHERE "commit" = ? AND committed_at IS NOT NULL ORDER BY created_at, id'
    return ROWS.select(connection, where, (commit,))


@dataclass(frozen=True, kw_only=True)
class LandedPatch:
    """A patch that is on its target.

    Args:
        id: The patch.
        run_id: Its run.
        change_key: The digest of its changes.
        sha256: The checksum of its bytes.
        commit: The commit that holds it.
        new_head: The target's commit after the landings of its run so far.
    """

    id: str
    run_id: str
    change_key: str
    sha256: str
    commit: str
    new_head: str | None


def landed_with(connection: Connection, keys: Iterable[str]) -> list[LandedPatch]:
    """Read the patches with these change keys that have landed and were not rolled back."""
    sql = (
        'SELECT p.id, p.run_id, p.change_key, a.sha256, p."commit", r.new_head FROM patches p'
        " JOIN patch_artifacts a ON a.patch_id = p.id JOIN runs r ON r.id = p.run_id"
        " WHERE p.state = 'committed' AND p.\"commit\" IS NOT NULL AND p.change_key"
    )
    names = ("id", "run_id", "change_key", "sha256", "commit", "new_head")
    return [LandedPatch(**dict(zip(names, row, strict=True))) for row in rows_in(connection, sql, keys)]


def quarantined_in(connection: Connection, repository_id: str) -> list[str]:
    """Read the ids of the patches that are quarantined in the runs of a repository."""
    sql = (
        "SELECT p.id FROM patches p JOIN runs r ON r.id = p.run_id"
        " WHERE p.state = 'quarantined' AND r.repository_id = ?"
    )
    return [row[0] for row in rows_of(connection, sql, (repository_id,))]


def listed(
    connection: Connection, *, run_id: str | None = None, state: str | None = None, limit: int = 200
) -> list[PatchRow]:
    """Read patches, newest first.

    Args:
        connection: A transaction.
        run_id: Only this run's.
        state: Only those in this state.
        limit: Most patches to return.
    """
    where, values = _where(run_id, state)
    return ROWS.select(connection, f"{where} ORDER BY created_at DESC, id DESC LIMIT ?", (*values, limit))


def count(connection: Connection, *, run_id: str | None = None, state: str | None = None) -> int:
    """Count the patches that ``listed`` would read without a limit."""
    where, values = _where(run_id, state)
    return ROWS.count(connection, where, values)


def _where(run_id: str | None, state: str | None) -> tuple[str, list[str]]:
    wanted = {column: value for column, value in (("run_id", run_id), ("state", state)) if value is not None}
    where = "WHERE " + " AND ".join(f"{column} = ?" for column in wanted) if wanted else ""
    return where, list(wanted.values())
