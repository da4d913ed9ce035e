"""Changes that a run passed over because the target had them, and that were rolled back since."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from maingate.db.sql.columns import ReasonText, from_micros
from maingate.db.sql.statements import rows_of
from maingate.events import iso_millis
from maingate.reasons import ReasonCode
from maingate.wording import short


@dataclass(frozen=True, kw_only=True)
class TakenBack:
    """The rollback of the patch by which the target had a change.

    Args:
        patch: The patch that had landed with the same changes.
        run: Its run.
        run_name: The name of that run.
        why: The person and the reason of the rollback; empty where none is on record.
        at: The time of the rollback.
    """

    patch: str
    run: str
    run_name: str
    why: str
    at: datetime

    @property
    def sentence(self) -> str:
        """The fact for people."""
        why = f": {self.why}" if self.why else ""
        return f"the target had it with {self.patch} of {short(self.run_name)}, rolled back since{why}"

    def as_json(self) -> dict[str, Any]:
        """Return the public JSON form."""
        return {"patch": self.patch, "run": self.run, "message": self.sentence, "at": iso_millis(self.at)}


_SQL: Final = (
    "SELECT p.id, b.id, s.id, s.name, b.reason, b.changed_at"
    " FROM patches p JOIN runs r ON r.id = p.run_id"
    " JOIN patches b ON b.change_key = p.change_key JOIN runs s ON s.id = b.run_id"
    " WHERE p.run_id = ? AND p.state = 'dropped' AND p.reason LIKE ? AND p.change_key <> ''"
    " AND b.state = 'rolled_back' AND b.committed_at <= p.changed_at AND b.changed_at > p.changed_at"
    " AND s.repository_id = r.repository_id AND s.target_ref = r.target_ref"
    " AND NOT EXISTS (SELECT 1 FROM patches c JOIN runs t ON t.id = c.run_id"
    " WHERE c.change_key = p.change_key AND c.state = 'committed'"
    " AND t.repository_id = r.repository_id AND t.target_ref = r.target_ref)"
    " ORDER BY b.changed_at"
)


def taken_back(connection: Connection, run_id: str) -> Mapping[str, TakenBack]:
    """Return the patches of a run whose changes were on its target when it came to them, and are not now.

    The record tells by the changes: one with the same had landed, was rolled back since, and none has landed
    again. A person who takes changes back by hand leaves no trace of that here.

    Args:
        connection: A reading connection.
        run_id: The run.

    Returns:
        The newest rollback for each of these patches.
    """
    like = f'%"{ReasonCode.ALREADY_APPLIED}"%'
    return {
        str(patch): TakenBack(
            patch=other,
            run=run,
            run_name=name,
            why="" if reason is None else ReasonText().decode(reason).message,
            at=from_micros(at),
        )
        for patch, other, run, name, reason, at in rows_of(connection, _SQL, (run_id, like))
    }
