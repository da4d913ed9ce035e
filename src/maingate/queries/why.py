"""The reason why an entity of a run is where it is: the reason of its state, and what it waits for."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from maingate.db.connection import Connection
from maingate.db.dao import gates, patches, runs, tasks, workstreams
from maingate.db.dao.entity import EntityRow
from maingate.db.dao.gates import GateRow
from maingate.db.dao.patches import PatchRow
from maingate.ids import RunId
from maingate.queries.run_parts import reason_json
from maingate.queries.run_report import report
from maingate.repository_context import RepositoryContext
from maingate.state.machines import MACHINES

_READ: Final[Mapping[str, Callable[[Connection, str], Any]]] = {
    "run": runs.get,
    "ws": workstreams.get,
    "task": tasks.get,
    "patch": patches.get,
    "gate": gates.get,
}

EXPLAINED: Final = frozenset(_READ)
"""The prefixes of the identifiers of entities that are explained."""


def why(context: RepositoryContext, entity_id: str) -> dict[str, Any]:
    """Return why an entity is where it is, in the public JSON form.

    A patch and a gate wait as their task or workstream does; an entity that has ended waits for nothing.

    Args:
        context: The repository and its record.
        entity_id: A run, workstream, task, patch or gate, by its whole identifier.

    Raises:
        UnknownEntityError: There is no such entity.
    """
    with context.database.read() as conn:
        row: Any = _READ[entity_id.partition("_")[0]](conn, entity_id)
        judged = patches.get(conn, row.patch_id) if isinstance(row, GateRow) and row.patch_id else row
    return {
        "id": row.id,
        "kind": row.machine,
        "run_id": row.context.run_id or row.id,
        "state": str(row.state),
        "reason": reason_json(getattr(row, "quarantine_reason", None) or row.reason),
        "waiting": _waiting(context, row, judged),
    }


def _waiting(context: RepositoryContext, row: EntityRow, judged: EntityRow) -> dict[str, Any] | None:
    if MACHINES[row.machine].is_terminal(row.state):
        return None
    told = report(context, RunId(row.context.run_id or row.id))
    wanted = judged.task_id if isinstance(judged, PatchRow) else getattr(judged, "workstream_id", None)
    known = {each["id"]: each["waiting"] for each in (*told["workstreams"], *told["tasks"])}
    known[told["run_id"]] = told["waiting"]
    found: dict[str, Any] | None = known.get(row.id) or known.get(wanted)
    return found
