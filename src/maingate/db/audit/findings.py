"""Findings of an audit."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class AuditFinding:
    """One difference from what the writer wrote.

    Args:
        entity_type: Name of the entity's machine; None when no entity can be named.
        entity_id: The entity; None when none can be named.
        seq: The number of the audit row; None when it is about no single row.
        problem: The fault, for people.
    """

    entity_type: str | None
    entity_id: str | None
    seq: int | None
    problem: str

    def as_json(self) -> dict[str, Any]:
        """Return the public JSON form."""
        return {
            "entity_type": self.entity_type,
            "entity_id": self.entity_id,
            "seq": self.seq,
            "problem": self.problem,
        }
