"""The answer to "why is this waiting?" for each entity of a run, for the command line, the API and pages.

Where a process works on the run, its rows and the holds that it publishes answer; else the run waits for a
process, and so does all that has not ended.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from maingate.db.dao import gates, patches, runs, tasks, workstreams
from maingate.db.dao.entity import EntityRow
from maingate.db.dao.gates import GateRow
from maingate.db.dao.overviews.taken_back import TakenBack, taken_back
from maingate.db.dao.patches import PatchRow
from maingate.db.dao.runs import RunRow
from maingate.db.dao.tasks import TaskRow
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.db.sql.connection import Connection
from maingate.errors import UsageError
from maingate.ids import ENTITY_OF_PREFIX, RunId
from maingate.queries.waits.explanation import Explanation, waits
from maingate.queries.waits.not_running import Standstill
from maingate.queries.waits.run_rows import RunRows, has_ended, read_unfinished
from maingate.queries.waits.sentences import Explainer
from maingate.queries.waits.server_line import server_line
from maingate.reasons import Reason, ReasonCode
from maingate.repository_context import RepositoryContext
from maingate.state.holds import HoldCode
from maingate.state.patch_ledger import PatchState

_GETTERS: Final[Mapping[str, Callable[[Connection, Any], EntityRow]]] = {
    "run": runs.get,
    "workstream": workstreams.get,
    "task": tasks.get,
    "patch_ledger": patches.get,
    "test_gate": gates.get,
}

EXPLAINED: Final = frozenset(prefix for prefix, machine in ENTITY_OF_PREFIX.items() if machine in _GETTERS)
"""The prefixes of the identifiers of entities that are explained."""


def why(context: RepositoryContext, entity_id: str) -> Explanation:
    """Return why an entity of a run is where it is.

    Args:
        context: The repository and its record.
        entity_id: The id of a run, workstream, task, patch or gate.

    Raises:
        UsageError: It is an entity of another kind.
        UnknownEntityError: There is no such entity.
    """
    with context.database.read() as conn:
        row = _entity(conn, entity_id)
        run = row if isinstance(row, RunRow) else runs.get(conn, RunId(row.context.run_id or ""))
        if has_ended(row) or has_ended(run):
            return _ended(row, _taken_back(conn, row))
        return _of_unfinished(context, conn, row, run)


def standing(context: RepositoryContext, entity_id: str) -> dict[str, Any]:
    """Return the state of an entity, its reason, and what it waits for, in the public JSON form.

    Args:
        context: The repository and its record.
        entity_id: The id of a run, workstream, task, patch or gate.

    Raises:
        UsageError: It is an entity of another kind.
        UnknownEntityError: There is no such entity.
    """
    with context.database.read() as conn:
        row = _entity(conn, entity_id)
    explanation, reason = why(context, entity_id), _reason(row)
    return {
        "id": row.id,
        "kind": row.machine,
        "run_id": row.context.run_id or row.id,
        "state": str(row.state),
        "reason": None if reason is None else reason.as_json(),
        "waiting": None if explanation.code is HoldCode.ENDED else explanation.as_json(),
    }


def why_waiting(
    rows: RunRows, *, is_alive: bool, among: Iterable[EntityRow] | None = None
) -> dict[str, Explanation]:
    """Return for every entity of a run that has not ended why it is where it is.

    Args:
        rows: The run; the cost is in proportion to their number.
        is_alive: Whether a living process is at work on it.
        among: Explain only these, none of which has ended; None explains all.

    Returns:
        The explanations by the entities' ids; nothing for an entity that has ended.
    """
    explained = rows.open_ones() if among is None else among
    if not is_alive:
        return {row.id: _abandoned(row, rows) for row in explained}
    explainer = Explainer(rows)
    return {row.id: explainer.explain(row) for row in explained}


def _of_unfinished(context: RepositoryContext, conn: Connection, row: EntityRow, run: RunRow) -> Explanation:
    streams = {row.id, row.context.workstream_id or ""} if row is not run else None
    rows = read_unfinished(conn, run, streams, now=context.clock.now())
    rows = replace(rows, line=server_line(context, conn, run))
    return Explainer(rows).explain(row) if context.is_at_work(conn, run) else _abandoned(row, rows)


def _taken_back(conn: Connection, row: EntityRow) -> TakenBack | None:
    """Return the rollback of what a passed-over entity had on the target; None without one."""
    reason = _reason(row)
    if reason is None or reason.code is not ReasonCode.ALREADY_APPLIED or row.context.run_id is None:
        return None
    found = taken_back(conn, row.context.run_id)
    mine = patches.get_many(conn, found).values()
    own = (each.id for each in mine if row.id in {each.id, each.task_id, each.workstream_id})
    return next((found[patch] for patch in own), None)


def _ended(row: EntityRow, gone: TakenBack | None) -> Explanation:
    """Return that an entity has ended, how, and the command that shows more or tries again."""
    reason = _reason(row)
    said = "" if reason is None else f": {reason.code}: {reason.message}"
    said += "" if gone is None else f"; {gone.sentence}"
    return Explanation(
        code=HoldCode.ENDED,
        what=f"{row.state}{said}",
        since=row.changed_at,
        until="",
        about={"state": str(row.state)} | ({} if reason is None else {"reason": str(reason.code)}),
        command=_command_after_end(row),
    )


def _reason(row: EntityRow) -> Reason | None:
    match row:
        case PatchRow():
            return row.quarantine_reason or row.reason
        case RunRow() | WorkstreamRow() | TaskRow() | GateRow():
            return row.reason
    return None


def _command_after_end(row: EntityRow) -> str | None:
    match row:
        case PatchRow(state=PatchState.QUARANTINED | PatchState.DROPPED | PatchState.ROLLED_BACK):
            return f"maingate patch recover {row.id}"
        case PatchRow():
            return f"maingate patch show {row.id}"
        case TaskRow() if row.attempt:
            return f"maingate patch show {row.id}"
        case RunRow():
            return f"maingate status {row.id} --all"
    return None


def _abandoned(row: EntityRow, rows: RunRows) -> Explanation:
    resume = Standstill(run_id=rows.run.id, is_overspent=rows.is_overspent).command
    if (line := rows.line) is not None:
        return waits(row, HoldCode.SERVER, line.waits_for, line.until, kind=line.kind, about=line.about)
    if rows.is_overspent:
        return waits(row, HoldCode.BUDGET, "a larger budget", f"`{resume}`", command=resume)
    what = "a process: its own has exited"
    return waits(row, HoldCode.RESUME, what, f"`{resume}`", kind="a process", command=resume)


def _entity(conn: Connection, entity_id: str) -> EntityRow:
    """Read a run, workstream, task, patch or gate."""
    found = _GETTERS.get(ENTITY_OF_PREFIX.get(entity_id.partition("_")[0], ""))
    if found is None:
        raise UsageError(f"{entity_id!r} is not the id of a run, workstream, task, patch or gate")
    return found(conn, entity_id)
