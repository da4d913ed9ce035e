"""Approvals of patches by people, for plans with reviewers."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from maingate.db.ledger.facts import EvidenceTable
from maingate.db.schema import tables
from maingate.db.sql.statements import row_of, rows_in


@dataclass(frozen=True, kw_only=True)
class Approval:
    """One person's approval of one patch.

    Args:
        patch_id: The patch.
        operator: The person.
        message: The person's remark; may be empty.
        created_at: Its time.
    """

    patch_id: str
    operator: str
    message: str = ""
    created_at: datetime


_ROWS: Final = EvidenceTable(tables.approvals, Approval)


def add(connection: Connection, approval: Approval) -> bool:
    """Insert an approval; False when that person had approved the patch before, which stays unchanged.

    Raises:
        InvariantError: There is no such patch.
    """
    earlier = {each.operator for each in of_patch(connection, approval.patch_id)}
    if approval.operator in earlier:
        return False
    _ROWS.insert(connection, [approval])
    return True


def count(connection: Connection, patch_id: str) -> int:
    """Count the people who approved a patch."""
    found = row_of(connection, "SELECT count(*) FROM approvals WHERE patch_id = ?", (patch_id,))
    return 0 if found is None else int(found[0])


def counts(connection: Connection, patch_ids: Iterable[str]) -> Counter[str]:
    """Count the people who approved each of many patches."""
    read = "SELECT patch_id FROM approvals WHERE patch_id"
    return Counter(str(patch) for (patch,) in rows_in(connection, read, patch_ids))


def of_patch(connection: Connection, patch_id: str) -> list[Approval]:
    """Read the approvals of a patch, oldest first."""
    return _ROWS.select(connection, "WHERE patch_id = ? ORDER BY created_at, operator", (patch_id,))
