"""The ledger of a run: its patches with what refused them, counted, filtered, and searched."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from maingate.db.dao import gates, patches, runs
from maingate.db.dao.gates import GateRow
from maingate.db.dao.patches import PatchOutline
from maingate.ids import RunId
from maingate.queries.details.patch import patch_json
from maingate.repository_context import RepositoryContext

Json = dict[str, Any]

_ORDER: Final = (
    *("quarantined", "apply_failed", "rolled_back", "dropped"),
    *("created", "validated", "queued", "applied", "verified", "committed"),
)
"""The states in the order of the ledger: refused patches come first."""


@dataclass(frozen=True, kw_only=True)
class LedgerChoice:
    """A choice of patches of a run.

    Args:
        state: Only those in this state; empty for all.
        text: Only those whose task, path, gate or gate's output contains this; empty for all.
        start: The number of the first one that is returned.
        limit: Most patches to return.
    """

    state: str = ""
    text: str = ""
    start: int = 0
    limit: int = 200


def ledger(context: RepositoryContext, run_id: RunId, choice: LedgerChoice) -> Json:
    """Return patches of a run, refused ones first, then in the order of their creation.

    Args:
        context: The repository and its record.
        run_id: The run.
        choice: The choice.

    Returns:
        The ``counts`` by state of all that contain the text, the chosen ``patches``, and their whole number
        as ``found``.

    Raises:
        UnknownEntityError: There is no such run.
    """
    with context.database.read() as conn:
        run = runs.get(conn, run_id)
        failed: defaultdict[str, list[GateRow]] = defaultdict(list)
        for gate in gates.failed_of_run(conn, run_id):
            failed[gate.patch_id or gate.workstream_id or ""].append(gate)
        text = choice.text.casefold()
        matching = [row for row in patches.outlines(conn, run_id) if _contains(row, failed, text)]
        chosen = [row for row in matching if choice.state in {"", str(row.state)}]
        chosen.sort(key=lambda row: _place(str(row.state)))
        shown = chosen[choice.start : choice.start + choice.limit]
        rows = patches.get_many(conn, [row.id for row in shown])
    return {
        "run_id": run.id,
        "name": run.name,
        "state": str(run.state),
        "counts": dict(
            sorted(Counter(str(row.state) for row in matching).items(), key=lambda pair: _place(pair[0]))
        ),
        "total": len(matching),
        "found": len(chosen),
        "start": choice.start,
        "patches": [
            patch_json(rows[row.id], row.task) | {"failed_gates": _names(failed.get(row.id, ()))}
            for row in shown
        ],
    }


def _place(state: str) -> int:
    return _ORDER.index(state) if state in _ORDER else len(_ORDER)


def _names(judged: Sequence[GateRow]) -> list[str]:
    return sorted({gate.name for gate in judged})


def _contains(row: PatchOutline, failed: Mapping[str, Sequence[GateRow]], text: str) -> bool:
    """Return whether the task, a path, or a failed gate of a patch contains a text."""
    if not text or text in row.task.casefold() or any(text in path.casefold() for path in row.paths):
        return True
    return any(
        text in gate.name.casefold() or text in (gate.output or "").casefold()
        for gate in failed.get(row.id, ())
    )
