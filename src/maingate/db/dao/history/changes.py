"""Changes: the entities that the rows of the ledger behind a place are about, without the rows themselves."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from maingate.db.sql.statements import rows_of

_FIRST_ROW: Final = "first_row.entity_id = facts.entity_id AND first_row.version = 1"
SINCE: Final = (
    "SELECT run_id, entity_type, seq FROM state_transitions WHERE seq > ?"
    " UNION ALL"
    " SELECT run_id, entity_type, seq FROM events WHERE seq > ?"
    " UNION ALL"
    " SELECT first_row.run_id, first_row.entity_type, facts.seq FROM facts"
    f" LEFT JOIN state_transitions AS first_row ON {_FIRST_ROW}"
    " WHERE facts.seq > ?"
)
"""The rows behind a place; grouped here, SQLite would read all there are, by an index for that."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangedPart:
    """A kind of entities of a run that rows of the ledger are about.

    Args:
        run_id: The run; None for entities of no run.
        machine: The machine of the entities; None where a row is about none, or about an unknown one.
        seq: The place of the last such row.
    """

    run_id: str | None
    machine: str | None
    seq: int


def since(connection: Connection, seq: int) -> list[ChangedPart]:
    """Read which entities the rows behind a place are about; a fact is about the entity of its evidence."""
    last: dict[tuple[str | None, str | None], int] = {}
    for run_id, machine, at in rows_of(connection, SINCE, (seq, seq, seq)):
        last[run_id, machine] = max(at, last.get((run_id, machine), 0))
    return [ChangedPart(run_id=run_id, machine=machine, seq=at) for (run_id, machine), at in last.items()]
