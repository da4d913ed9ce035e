"""Views of queues as the processes at work publish them: a cache, valid while that process lives."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from maingate.db.schema import tables
from maingate.db.sql.records import Records
from maingate.db.sql.statements import change


@dataclass(frozen=True, kw_only=True)
class QueueViewRow:
    """The view of the queue of one target.

    Args:
        key: The repository and the target's ref.
        run_id: The run whose process wrote it.
        view: The view, in the form of `maingate.orchestrator.queue_publisher`.
        at: The moment that it is of.
    """

    key: str
    run_id: str
    view: Mapping[str, Any]
    at: datetime


_ROWS: Final = Records(tables.queue_views, QueueViewRow)


def publish(connection: Connection, row: QueueViewRow) -> None:
    """Write the view of a queue in place of the last one."""
    change(connection, "DELETE FROM queue_views WHERE key = ?", (row.key,))
    _ROWS.insert(connection, [row])


def of_target(connection: Connection, key: str) -> QueueViewRow | None:
    """Read the last view of the queue of a target; None where there never was one."""
    return _ROWS.one(connection, "key", key)
