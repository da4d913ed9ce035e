"""Searches for the patch that turned a gate red: the range that is meant, and the patch that was found."""

from typing import Any

from maingate.db.dao import intents, patches, runs, workstreams
from maingate.db.dao.names import lookup
from maingate.db.sql.connection import Connection
from maingate.errors import UsageError
from maingate.ids import RunId
from maingate.queries.names import run_named, task_names
from maingate.recovery.bisection import Search
from maingate.repository_context import RepositoryContext
from maingate.wording import short


def range_named(context: RepositoryContext, what: str, run: str | None) -> tuple[RunId, str, str]:
    """Return the run whose plan has the gate, and the ends of the range that is searched.

    Args:
        context: The repository and its record.
        what: A workstream that landed, or commits as ``OLD..NEW``.
        run: The words that name the run; None for the newest.

    Raises:
        UsageError: There is no run, the range has no commits, or the workstream has not landed.
    """
    repository = context.repository
    with context.database.read() as conn:
        newest = runs.newest(conn)
        if newest is None:
            raise UsageError("no runs yet; `maingate land BRANCH` or `maingate run PLAN` starts one")
        run_id = newest.id if run is None else run_named(conn, run)
        if ".." in what:
            old, _, new = what.partition("..")
            end = new.strip(".") or runs.get(conn, run_id).target_ref
            ends = repository.resolve_commit(old or "HEAD"), repository.resolve_commit(end)
            _require_order(context, what, *ends)
            return RunId(run_id), *ends
        kinds = ["workstream"]
        meant = (
            lookup.find_in_each(conn, what, kinds=kinds)
            if run is None
            else iter([lookup.find(conn, what, kinds=kinds, run_id=run_id)])
        )
        for found in meant:
            if (landing := _landing(conn, found.id)) is not None:
                return landing
    raise UsageError(f"workstream {short(what)} has landed nothing; name another, or commits as OLD..NEW")


def search_json(context: RepositoryContext, found: Search) -> dict[str, Any]:
    """Return the public JSON form of a search."""
    return {
        "state": {None: "green", 0: "red_before"}.get(found.place, "found"),
        "gate": found.gate,
        "range": {"old": found.points[0].commit, "new": found.points[-1].commit},
        "commit": None if not found.place else found.points[found.place].commit,
        "patch": None if found.patch is None else _patch_json(context, found.patch),
        "reason": None if found.said is None else found.said.as_json(),
        "asked": found.asked,
        "known": found.known,
    }


def _patch_json(context: RepositoryContext, patch_id: str) -> dict[str, Any]:
    with context.database.read() as conn:
        row = patches.get(conn, patch_id)
        return {"id": row.id, "task": task_names(conn, [row])[row.task_id], "state": str(row.state)}


def _landing(conn: Connection, workstream_id: str) -> tuple[RunId, str, str] | None:
    """Return a workstream's run and the target before and after it landed; None when it has not."""
    row = workstreams.get(conn, workstream_id)
    for each in intents.of_run(conn, row.run_id):
        if each.new == row.landed_commit and each.new is not None and each.old is not None:
            return RunId(row.run_id), each.old, each.new
    return None


def _require_order(context: RepositoryContext, what: str, old: str, new: str) -> None:
    """Refuse a range in which nothing can have begun to fail.

    Raises:
        UsageError: It is empty, reversed, or its ends lie on different branches.
    """
    is_ancestor, said = context.repository.is_ancestor, f"the range {short(what)} has no commits"
    if old == new:
        raise UsageError(f"{said}: both ends are {old[:10]}; choose an earlier OLD")
    if is_ancestor(new, old):
        raise UsageError(f"{said}, it is reversed: {new[:10]} is older than {old[:10]}; write OLD..NEW")
    if not is_ancestor(old, new):
        raise UsageError(
            f"the range {short(what)} is invalid: {old[:10]} is not in the history of {new[:10]}"
        )
