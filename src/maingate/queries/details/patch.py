"""Patches: the list of them, and each with its ledger entry, the gates that judged it, and its history."""

import base64
import shlex
from pathlib import Path
from typing import Any

from maingate.db.dao import approvals, artifacts, gates, patches, runs, workstreams
from maingate.db.dao.gates import GateRow
from maingate.db.dao.history import events
from maingate.db.dao.overviews.taken_back import taken_back
from maingate.db.dao.patches import PatchRow
from maingate.db.dao.tasks import TaskRow
from maingate.db.sql.connection import Connection
from maingate.ids import GateId
from maingate.queries.details.task import describe_task
from maingate.queries.events.history import history_json
from maingate.queries.limited_list import Page
from maingate.queries.names import older_run, patch_named, patch_or_task_named, run_named, task_names
from maingate.queries.runs.report_parts import lifecycle_json
from maingate.repository_context import RepositoryContext

Json = dict[str, Any]


def list_patches(
    context: RepositoryContext, *, state: str | None = None, run: str | None = None, limit: int
) -> Page:
    """Return the newest patches in the public JSON form, newest first.

    Args:
        context: The repository and its record.
        state: Only those in this state.
        run: Only those of the run that is named so.
        limit: How many at most.
    """
    with context.database.read() as conn:
        run_id = run_named(conn, run) if run is not None else None
        rows = patches.listed(conn, run_id=run_id, state=state, limit=limit)
        more = patches.count(conn, run_id=run_id, state=state) - limit if len(rows) == limit else 0
        names = task_names(conn, rows)
        return Page(rows=[patch_json(row, names[row.task_id]) for row in rows], more=more)


def patch_or_task_detail(
    context: RepositoryContext, text: str, *, run: str | None = None
) -> tuple[Json, str | None]:
    """Return all that is known of a patch, or of a task that was tried and has none.

    Args:
        context: The repository and its record.
        text: The words that name it.
        run: The words that name the run in which names are looked for; None for the newest that has it.

    Returns:
        The object, whose ``id`` is null for a task; and its run, where that is not the newest.
    """
    with context.database.read() as conn:
        row = patch_or_task_named(conn, text, run=run)
        if isinstance(row, TaskRow):
            return describe_task(conn, row, logs=context.paths.logs), older_run(conn, row.run_id)
        return describe_patch(conn, context, row), older_run(conn, row.run_id)


def patch_with_history(context: RepositoryContext, patch_id: str) -> Json:
    """Return all that is known of a patch, by its whole identifier.

    Raises:
        UnknownEntityError: There is no such patch.
    """
    with context.database.read() as conn:
        row = patches.get(conn, patch_id)
        return describe_patch(conn, context, row) | lifecycle_json(row)


def patch_diff(
    context: RepositoryContext, text: str, *, run: str | None = None
) -> tuple[str, bytes, str | None]:
    """Return a patch's id, its diff byte for byte, and its run where that is not the newest."""
    with context.database.read() as conn:
        row = patch_named(conn, text, run=run)
        return row.id, artifacts.diff_of(conn, row.id), older_run(conn, row.run_id)


def diff_json(raw: bytes) -> dict[str, str]:
    """Return the public JSON form of a diff: as text, or in base64 where it is none."""
    try:
        return {"encoding": "utf-8", "diff": raw.decode()}
    except UnicodeDecodeError:
        return {"encoding": "base64", "diff": base64.b64encode(raw).decode()}


def patch_state(context: RepositoryContext, patch_id: str) -> Json:
    """Return where a patch is, and why."""
    with context.database.read() as conn:
        row = patches.get(conn, patch_id)
    return {
        "id": row.id,
        "state": str(row.state),
        "reason": None if row.reason is None else row.reason.as_json(),
    }


def patch_approvals(context: RepositoryContext, patch_id: str) -> list[Json]:
    """Return who has approved a patch."""
    with context.database.read() as conn:
        given = approvals.of_patch(conn, patch_id)
    return [{"operator": each.operator, "message": each.message, "at": each.created_at} for each in given]


def gate_command(context: RepositoryContext, run_id: str, gate: str) -> str | None:
    """Return the command line of a gate of a run's plan; None where the plan has none."""
    with context.database.read() as conn:
        plan = runs.get(conn, run_id).plan
    stated = (plan.get("gates") or {}).get(gate) or {}
    run = stated.get("run")
    return shlex.join(run) if isinstance(run, list | tuple) else run


def patch_json(row: PatchRow, task: str) -> Json:
    """Return the public JSON form of a patch.

    Args:
        row: The patch.
        task: The full name of its task.
    """
    reason = row.quarantine_reason or row.reason
    return {
        "id": row.id,
        "run_id": row.run_id,
        "task": task,
        "task_id": row.task_id,
        "state": str(row.state),
        "reason": None if reason is None else reason.as_json(),
        "summary": row.summary,
        "scope": {
            "files": row.files,
            "insertions": row.insertions,
            "deletions": row.deletions,
            "hunks": row.hunks,
        },
        "paths": list(row.paths),
        "repairs": list(row.repairs),
        "method": row.method,
        "base_ref": row.base_ref,
        "base_commit": row.base_commit,
        "commit": row.commit,
        "tree": row.tree,
        "origin": dict(row.origin),
        "replaces": row.replaces,
        "created_at": row.created_at,
        "committed_at": row.committed_at,
    }


def describe_patch(conn: Connection, context: RepositoryContext, row: PatchRow) -> Json:
    """Return a patch with its gates, their output, and its history."""
    names = task_names(conn, [row])
    kept = context.paths.quarantine / f"{row.id}.patch"
    judged = [*gates.of_patch(conn, row.id), *gates.of_workstream(conn, row.workstream_id)]
    mine = {gate.id: gate for gate in judged if gate.patch_id in (None, row.id)}
    named, is_base_red = _gate_named(row)
    mine |= gates.get_many(conn, [named] if named else [])  # it may have judged for another patch first
    without = _trees_without(conn, context, row)
    gone = taken_back(conn, row.run_id).get(row.id)
    return {
        **patch_json(row, names[row.task_id]),
        "quarantine_file": str(kept) if row.state == "quarantined" and kept.exists() else None,
        "gates": [
            _gate_json(gate, context.paths.logs, without)
            | ({"judged": "base"} if is_base_red and gate.id == named else {})
            for gate in mine.values()
        ],
        "taken_back": None if gone is None else gone.as_json(),
        "history": [history_json(event) for event in events.query(conn, entity=row.id)],
    }


def _gate_named(row: PatchRow) -> tuple[GateId | None, bool]:
    """Return the gate execution behind a patch's reason, and whether it ran on the base."""
    reason = row.quarantine_reason or row.reason
    if reason is None or not isinstance(named := reason.detail.get("gate_id"), str):
        return None, False
    return GateId(named), reason.code == "base_red"


def _trees_without(conn: Connection, context: RepositoryContext, row: PatchRow) -> set[str | None]:
    """Return the trees on which a gate ran to find out whether it fails without the patch too."""
    run, tree_of = runs.get(conn, row.run_id), context.repository.tree_of
    others = [stream for stream in workstreams.of_run(conn, row.run_id) if stream.id != row.workstream_id]
    before = [commit for commit in (run.old_head, *(other.landed_commit for other in others)) if commit]
    ahead = [patch for patch in patches.of_run(conn, row.run_id) if patch.workstream_id == row.workstream_id]
    return {tree_of(commit) for commit in before} | {patch.tree for patch in ahead if patch.id != row.id}


def _gate_json(gate: GateRow, logs: Path, without: set[str | None]) -> Json:
    on_result = "base" if gate.tree in without else "merged result"
    return {
        "id": gate.id,
        "name": gate.name,
        "type": gate.type,
        "judged": "patch" if gate.patch_id is not None else on_result,
        "state": str(gate.state),
        "exit_code": gate.exit_code,
        "seconds": None if gate.duration_ms is None else gate.duration_ms / 1000,
        "attempts": gate.attempts,
        "is_flaky": gate.is_flaky,
        "is_lost": gate.is_lost,
        "fault": gate.fault,
        "tree": gate.tree,
        "log": str(logs / gate.log_path) if gate.log_path else None,
        "output": gate.output,
    }
