"""An explanation of one entity that has not ended, as a value, and the forms that many of them share."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from maingate.db.dao.entity import EntityRow
from maingate.db.dao.gates import GateRow
from maingate.events import iso_millis
from maingate.orchestrator.core.holds import HoldCode
from maingate.wording import listed

NEXT_STEP: Final = "the run takes its next step"


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """The reason why an entity is where it is.

    Args:
        code: The kind of reason, for programs.
        what: The thing it waits for.
        since: The time at which it got there.
        until: The event that will move it.
        is_moving: Whether it is being worked on now.
        kind: The thing it waits for without particulars, the same for all that wait for the same; empty
            where that is ``what``.
    """

    code: HoldCode
    what: str
    since: datetime
    until: str
    is_moving: bool = False
    kind: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the public JSON form."""
        return {
            "code": str(self.code),
            "for": self.what,
            "since": iso_millis(self.since),
            "until": self.until,
            "moving": self.is_moving,
            "kind": self.kind or self.what,
        }


def waits(
    row: EntityRow, code: HoldCode, what: str, until: str, *, is_moving: bool = False, kind: str = ""
) -> Waiting:
    """Return an explanation that holds since the entity reached its state."""
    return Waiting(code=code, what=what, since=row.changed_at, until=until, is_moving=is_moving, kind=kind)


def next_step(row: EntityRow, what: str, *, is_moving: bool = True) -> Waiting:
    """Return that an entity waits for the run's process."""
    return waits(row, HoldCode.NEXT_STEP, what, NEXT_STEP, is_moving=is_moving)


def gated(row: EntityRow, gates: Sequence[GateRow], what: str) -> Waiting:
    """Return that an entity waits for running gates, named and with the time of the first start."""
    names = listed(list(dict.fromkeys(gate.name for gate in gates)))
    since = min(gate.changed_at for gate in gates).astimezone(UTC)
    until = "they have passed or failed" if len(gates) > 1 else "it has passed or failed"
    what = f"{what} {names}, running since {since:%H:%M:%S} UTC"
    return waits(row, HoldCode.GATES, what, until, is_moving=True)
