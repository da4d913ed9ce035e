"""Numbers of transitions and of other events in the time just past, from the rows of its hours."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from maingate.db.rollups import time_window
from maingate.db.sql.columns import to_micros
from maingate.db.sql.statements import rows_of


@dataclass(frozen=True, kw_only=True)
class RecentCounts:
    """Numbers of events from a time on.

    Args:
        transitions: The number of transitions by machine and new state.
        events: The number of other events by type.
    """

    transitions: Mapping[tuple[str, str], int]
    events: Mapping[str, int]


def recent_counts(connection: Connection, since: datetime) -> RecentCounts:
    """Count the events from a time on."""
    values = (time_window.first_row(connection, since), to_micros(since))
    where = "WHERE seq > ? AND at >= ?"
    by_state = f"SELECT entity_type, to_state, count(*) FROM state_transitions {where} GROUP BY 1, 2"
    by_type = f"SELECT event_type, count(*) FROM events {where} GROUP BY 1"
    return RecentCounts(
        transitions={
            (machine, state): int(number) for machine, state, number in rows_of(connection, by_state, values)
        },
        events={kind: int(number) for kind, number in rows_of(connection, by_type, values)},
    )
