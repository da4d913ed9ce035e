"""Refused patches for which nothing else was tried yet: quarantined ones, and those that a red base stopped.

The cost is in proportion to the patches that are returned, not to the history: a patch that another one
replaces is found by index, and older ones are cut off.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from maingate.db.sql.columns import JsonText, PathText, ReasonText, from_micros, to_micros
from maingate.db.sql.statements import row_of, rows_in, rows_of
from maingate.reasons import Reason, ReasonCode

NEWEST: Final = 1000
"""Maximum refused patches that are read."""


@dataclass(frozen=True, kw_only=True)
class RefusedPatch:
    """A refused patch with the names of its task and its run.

    Args:
        id: The patch.
        run_id: Its run.
        run_name: The name of the run.
        run_created_at: The time at which the run was admitted.
        plan_file: The plan file of the run; None where it is unknown.
        target_ref: The branch that the run lands on.
        is_recovery: Whether the run tries a single refused patch again.
        source: The work that the patches of its workstream are of; None where the plan names none.
        workstream: The name of its workstream.
        task: The name of its task.
        tool: The tool that made it; None for a ready patch.
        change_key: The digest of its changes; empty when it was not read.
        reason: The reason of the refusal.
        since: The time of the refusal.
    """

    id: str
    run_id: str
    run_name: str
    run_created_at: datetime
    plan_file: str | None
    target_ref: str
    is_recovery: bool = False
    source: str | None = None
    workstream: str
    task: str
    tool: str | None
    change_key: str
    reason: Reason | None
    since: datetime

    @property
    def label(self) -> str:
        """The full name of its task."""
        return f"{self.workstream}/{self.task}"

    @property
    def attempt_of(self) -> tuple[str | None, ...]:
        """The matter that each run of it is an attempt of: work on a target, or a task of a plan file there.

        `maingate land` writes another plan for each run, so its runs have the work in common, and no file.
        """
        if self.source is not None:
            return "source", self.source, self.target_ref
        if self.plan_file is not None:
            return "plan", self.plan_file, self.target_ref, self.label
        return "patch", self.id


_COLUMNS: Final = (
    "SELECT p.id, p.run_id, r.name, r.created_at, r.plan_file, r.target_ref, r.retry_of, w.source, w.name,"
    " t.name, p.origin, p.change_key, coalesce(p.quarantine_reason, p.reason), p.changed_at"
    " FROM patches p JOIN runs r ON r.id = p.run_id JOIN workstreams w ON w.id = p.workstream_id"
    " JOIN tasks t ON t.id = p.task_id"
)
_IS_LAST: Final = (
    " AND t.completed_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM patches n WHERE n.replaces = p.id)"
)
"""The task has ended, so no retry follows, and no other patch stands for this one."""

_BASE_RED: Final = f'%"{ReasonCode.BASE_RED}"%'

_PARTS: Final = (
    "SELECT 1 FROM runs r JOIN workstreams w ON w.run_id = r.id JOIN tasks t ON t.workstream_id = w.id"
    " LEFT JOIN patches p ON p.task_id = t.id"
)
_COUNTS: Final = " AND (t.completed_at IS NULL OR p.state <> 'dropped') LIMIT 1"
"""The task is unfinished, or ended with a patch that was not dropped."""

_OF_PLAN: Final = (
    f"{_PARTS} WHERE r.plan_file = ? AND r.created_at > ? AND r.target_ref = ? AND w.name = ? AND t.name = ?"
    f"{_COUNTS}"
)
_OF_SOURCE: Final = (
    f"{_PARTS} WHERE w.source = ? AND w.created_at > ? AND r.target_ref = ? AND r.repository_id ="
    f" (SELECT repository_id FROM runs WHERE id = ?) AND r.retry_of IS NULL{_COUNTS}"
)


def quarantined(connection: Connection, repository_id: str) -> list[RefusedPatch]:
    """Read the quarantined patches of ended tasks that no other patch replaces, newest first."""
    newest = (
        f"{_COLUMNS} WHERE p.id IN (SELECT id FROM patches WHERE state = 'quarantined'"
        f" ORDER BY created_at DESC LIMIT {NEWEST}) AND r.repository_id = ?{_IS_LAST}"
        " ORDER BY p.created_at DESC, p.id DESC"
    )
    return [_row(found) for found in rows_of(connection, newest, (repository_id,))]


def stopped_by_base(connection: Connection, run_id: str) -> list[RefusedPatch]:
    """Read the patches of a run that were dropped because a gate fails without them too, oldest first."""
    dropped = (
        f"{_COLUMNS} WHERE p.run_id = ? AND p.state = 'dropped' AND p.reason LIKE ?{_IS_LAST}"
        f" ORDER BY p.created_at, p.id LIMIT {NEWEST}"
    )
    found = map(_row, rows_of(connection, dropped, (run_id, _BASE_RED)))
    return [patch for patch in found if patch.reason and patch.reason.code is ReasonCode.BASE_RED]


def newest_run_by_target(connection: Connection, repository_id: str, *, among: int) -> Mapping[str, str]:
    """Return the newest run on each target, by the target's ref; recoveries of single patches do not count.

    Args:
        connection: A transaction.
        repository_id: The repository.
        among: The number of newest runs in which they are looked for.
    """
    sql = (
        "SELECT target_ref, id FROM runs WHERE repository_id = ? AND retry_of IS NULL"
        " ORDER BY created_at DESC, id DESC LIMIT ?"
    )
    found = rows_of(connection, sql, (repository_id, among))
    return {str(ref): str(run_id) for ref, run_id in reversed(found)}


def landed_changes(connection: Connection, keys: Iterable[str]) -> set[tuple[str, str]]:
    """Return which of these changes are on which target: pairs of the change key and the target's ref."""
    sql = (
        "SELECT p.change_key, r.target_ref FROM patches p JOIN runs r ON r.id = p.run_id"
        " WHERE p.state = 'committed' AND p.change_key"
    )
    return {(str(key), str(ref)) for key, ref in rows_in(connection, sql, filter(None, keys))}


def is_tried_again(connection: Connection, patch: RefusedPatch) -> bool:
    """Return whether a later run tries, or has tried, the same on the same target.

    That is the same task of the same plan file, or any task of the same work. A task that ended there without
    a patch, or with a dropped one, does not count, nor does the recovery of a single patch for its work.
    """
    created, target = to_micros(patch.run_created_at), patch.target_ref
    if patch.source is not None:
        of_source = (PathText().encode(patch.source), created, target, patch.run_id)
        return row_of(connection, _OF_SOURCE, of_source) is not None
    if patch.plan_file is not None:
        of_plan = (PathText().encode(patch.plan_file), created, target, patch.workstream, patch.task)
        return row_of(connection, _OF_PLAN, of_plan) is not None
    return False


def _row(found: Any) -> RefusedPatch:
    id_, run_id, run_name, created, file, ref, retry_of, source, *others = found
    stream, task, origin, key, reason, since = others
    return RefusedPatch(
        id=id_,
        run_id=run_id,
        run_name=run_name,
        run_created_at=from_micros(created),
        plan_file=None if file is None else PathText().decode(file),
        target_ref=ref,
        is_recovery=retry_of is not None,
        source=None if source is None else PathText().decode(source),
        workstream=stream,
        task=task,
        tool=JsonText().decode(origin).get("tool"),
        change_key=key,
        reason=None if reason is None else ReasonText().decode(reason),
        since=from_micros(since),
    )
