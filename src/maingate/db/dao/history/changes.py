"""Changes: the entities that the rows of the ledger behind a place are about, without the rows themselves."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from maingate.db.sql.statements import rows_of

_FIRST_ROW: Final = "first_row.entity_id = facts.entity_id AND first_row.version = 1"
_SINCE: Final = (
    "SELECT run_id, entity_type, max(seq) FROM state_transitions WHERE seq > ? GROUP BY run_id, entity_type"
    " UNION ALL"
    " SELECT run_id, entity_type, max(seq) FROM events WHERE seq > ? GROUP BY run_id, entity_type"
    " UNION ALL"
    " SELECT first_row.run_id, first_row.entity_type, max(facts.seq) FROM facts"
    f" LEFT JOIN state_transitions AS first_row ON {_FIRST_ROW}"
    " WHERE facts.seq > ? GROUP BY first_row.run_id, first_row.entity_type"
)


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
    return [
        ChangedPart(run_id=row[0], machine=row[1], seq=int(row[2]))
        for row in rows_of(connection, _SINCE, (seq, seq, seq))
    ]
