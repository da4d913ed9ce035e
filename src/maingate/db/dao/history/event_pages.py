"""Pages of events that fulfil conditions, in the order of their numbers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection

from maingate.db.dao.history.events import SHARED, event_of
from maingate.db.rollups.conditions import Conditions, RowConditions
from maingate.db.rollups.expressions import JOINS
from maingate.db.sql.statements import rows_of
from maingate.events import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

_COLUMNS: Final = ", ".join(f't."{name}"' for name in SHARED)
_LAST: Final = (1 << 63) - 1


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A part of the ledger.

    Args:
        after: The number before its first row.
        upto: The number of its last row.
    """

    after: int = 0
    upto: int = _LAST


def page(
    connection: Connection, only: Conditions, stretch: Stretch, *, limit: int, newest: bool = False
) -> list[Event]:
    """Read the first or the newest events of a part of the ledger, oldest of them first.

    Args:
        connection: A transaction.
        only: The conditions.
        stretch: The part of the ledger.
        limit: Most events to return.
        newest: Whether to return the newest instead of the first ones.
    """
    found: list[Sequence[Any]] = []
    for source, branch in ((_transitions, only.transitions), (_events, only.events)):
        if branch is not None:
            values = (stretch.after, stretch.upto, *branch.values, limit)
            found += rows_of(connection, source(branch, "DESC" if newest else "ASC"), values)
    found.sort(key=lambda row: int(row[0]), reverse=newest)
    cut = found[:limit]
    return [event_of(row) for row in (cut[::-1] if newest else cut)]


def _transitions(branch: RowConditions, order: str) -> str:
    joins = JOINS if branch.needs_joins else ""
    return (
        f"SELECT {_COLUMNS}, NULL AS event_type, NULL AS severity FROM state_transitions t {joins}"
        f" WHERE t.seq > ? AND t.seq <= ?{branch.sql} ORDER BY t.seq {order} LIMIT ?"
    )


def _events(branch: RowConditions, order: str) -> str:
    return (
        f"SELECT {_COLUMNS}, t.event_type, t.severity FROM events t"
        f" WHERE t.seq > ? AND t.seq <= ?{branch.sql} ORDER BY t.seq {order} LIMIT ?"
    )
