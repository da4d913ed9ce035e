"""Queue items: workstreams that one process hands to the one which holds their target, and its answers.

No part of the record: intents and the branch say what has landed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from maingate.db.schema import tables
from maingate.db.sql.columns import encoder_of
from maingate.db.sql.records import Records
from maingate.db.sql.statements import change, change_many
from maingate.errors import RecordError
from maingate.reasons import Reason
from maingate.state.queue_item import QueueItemState


@dataclass(frozen=True, kw_only=True)
class QueueItemRow:
    """The standing of a workstream that is handed over: the part of its row that is read again and again.

    Args:
        workstream_id: The workstream.
        run_id: Its run.
        offer: Identifies the hand-over.
        place: Its place: the time at which it was ready, in microseconds.
        place_in_run: Its place among those of its run with the same time.
        state: How it stands.
        reason: Why it is refused.
        is_blamed: Whether it is to blame for that.
        is_wanted_back: Whether its own process wants it back.
    """

    workstream_id: str
    run_id: str
    offer: str
    place: int
    place_in_run: int
    state: QueueItemState = QueueItemState.WAITING
    reason: Reason | None = None
    is_blamed: bool = False
    is_wanted_back: bool = False


@dataclass(frozen=True, kw_only=True)
class OfferedItemRow(QueueItemRow):
    """A workstream as it is handed over: its whole row, of which the rest stays the same and may be large.

    Args:
        target: The key of its target's lease.
        landing: The workstream as it is to land.
        gates: The gates that it must pass.
        terms: All that its verdict depends on beside the tree, in the form of `maingate.state.landing_terms`.
    """

    target: str
    landing: Mapping[str, Any]
    gates: Sequence[str]
    terms: str


_ROWS: Final = Records(tables.queue_items, OfferedItemRow)
_STANDINGS: Final = Records(tables.queue_items, QueueItemRow, without=("target", "landing", "gates", "terms"))


def offer(connection: Connection, row: OfferedItemRow) -> None:
    """Hand a workstream over; an earlier hand-over of it is over."""
    remove(connection, [row.workstream_id])
    _ROWS.insert(connection, [row])


def want_back(connection: Connection, workstream_ids: Iterable[str]) -> None:
    """Note that workstreams are wanted back by their own process."""
    values = [(True, each) for each in workstream_ids]
    change_many(connection, "UPDATE queue_items SET is_wanted_back = ? WHERE workstream_id = ?", values)


def take(connection: Connection, workstream_id: str) -> None:
    """Note that the intent to land a workstream is on record.

    Raises:
        RecordError: It is not handed over any more, which only its own process can have ended.
    """
    where = "workstream_id = ? AND state IN ('waiting', 'landing')"
    if change(connection, f"UPDATE queue_items SET state = 'landing' WHERE {where}", (workstream_id,)) != 1:
        raise RecordError(
            f"the workstream {workstream_id} of another run is not handed over any more, though this process "
            "holds its target: the record was changed by hand or restored to an older state"
        )


def answer(
    connection: Connection,
    workstream_id: str,
    state: QueueItemState,
    *,
    reason: Reason | None = None,
    is_blamed: bool = False,
) -> None:
    """Answer about a workstream; one that is not handed over any more needs no answer."""
    sql = "UPDATE queue_items SET state = ?, reason = ?, is_blamed = ? WHERE workstream_id = ?"
    change(connection, sql, (str(state), _stored(reason), is_blamed, workstream_id))


def remove(connection: Connection, workstream_ids: Iterable[str]) -> None:
    """Remove workstreams whose answers have been taken, or are not wanted any more."""
    values = [(each,) for each in workstream_ids]
    change_many(connection, "DELETE FROM queue_items WHERE workstream_id = ?", values)


def of_run(connection: Connection, run_id: str) -> list[QueueItemRow]:
    """Read how the workstreams of a run stand that are handed over."""
    return _STANDINGS.select(connection, f"WHERE run_id = ? {_IN_ORDER}", (run_id,))


def answered(connection: Connection, run_id: str) -> list[QueueItemRow]:
    """Read the workstreams of a run that are handed over and answered."""
    where = "WHERE run_id = ? AND state NOT IN ('waiting', 'landing')"
    return _STANDINGS.select(connection, f"{where} {_IN_ORDER}", (run_id,))


def on_target(connection: Connection, target: str) -> list[QueueItemRow]:
    """Read how the workstreams of all runs stand that are handed over on a target, in the order of places."""
    return _STANDINGS.select(connection, f"WHERE target = ? {_IN_ORDER}", (target,))


def as_offered(connection: Connection, workstream_ids: Iterable[str]) -> list[OfferedItemRow]:
    """Read workstreams as they are handed over, in the order of their places."""
    rows = _ROWS.select_in(connection, "workstream_id", workstream_ids)
    return sorted(rows, key=lambda row: (row.place, row.place_in_run, row.workstream_id))


_IN_ORDER: Final = "ORDER BY place, place_in_run, workstream_id"


def _stored(reason: Reason | None) -> str | None:
    encode = encoder_of(tables.queue_items.c.reason.type)
    return None if reason is None or encode is None else encode(reason)
