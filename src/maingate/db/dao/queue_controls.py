"""Orders about the queues of targets, and the workstreams that people have moved in them.

Both hold until they are taken back, whichever process is at work; an event records each change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from maingate.db.schema import tables
from maingate.db.sql.columns import canonical
from maingate.db.sql.records import Records
from maingate.db.sql.statements import change
from maingate.state.queue_control import QueueControl, QueueOrder


@dataclass(frozen=True, kw_only=True)
class QueueRank:
    """A workstream that a person has moved: below 0 to the front of the queue, above 0 to its end."""

    workstream_id: str
    key: str
    rank: int


_CONTROLS: Final = Records(tables.queue_controls, QueueControl)
_RANKS: Final = Records(tables.queue_ranks, QueueRank)


def of_target(connection: Connection, key: str) -> list[QueueControl]:
    """Read the orders about the queue of a target."""
    return _CONTROLS.select(connection, "WHERE key = ? ORDER BY kind", (key,))


def of_repository(connection: Connection, repository_id: str) -> list[QueueControl]:
    """Read the orders about all queues of a repository."""
    mine = f"{repository_id}#"
    return _CONTROLS.select(
        connection, "WHERE substr(key, 1, ?) = ? ORDER BY since, key, kind", (len(mine), mine)
    )


def put(connection: Connection, control: QueueControl) -> None:
    """Write an order in place of one of the same kind."""
    remove(connection, control.key, control.kind)
    _CONTROLS.insert(connection, [control])


def remove(connection: Connection, key: str, *kinds: QueueOrder) -> None:
    """Take orders about the queue of a target back."""
    for kind in kinds:
        change(connection, "DELETE FROM queue_controls WHERE key = ? AND kind = ?", (key, str(kind)))


def set_board(connection: Connection, key: str, on_board: Sequence[str]) -> None:
    """Write which workstreams a drain still lands, unless that was written before."""
    change(
        connection,
        "UPDATE queue_controls SET on_board = ? WHERE key = ? AND kind = ? AND on_board IS NULL",
        (canonical(list(on_board)), key, str(QueueOrder.DRAIN)),
    )


def ranks(connection: Connection, key: str) -> Mapping[str, int]:
    """Read the ranks of the workstreams that were moved in the queue of a target."""
    return {row.workstream_id: row.rank for row in _RANKS.select(connection, "WHERE key = ?", (key,))}


def set_rank(connection: Connection, rank: QueueRank) -> None:
    """Write the rank of a workstream."""
    change(connection, "DELETE FROM queue_ranks WHERE workstream_id = ?", (rank.workstream_id,))
    _RANKS.insert(connection, [rank])
