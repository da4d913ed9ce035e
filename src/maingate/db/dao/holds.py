"""Holds as the process at work on a run publishes them: a cache, valid while that process lives."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from maingate.db.schema import tables
from maingate.db.sql.records import Records
from maingate.db.sql.statements import change_many
from maingate.state.holds import EndedBy, Hold, HoldCode


@dataclass(frozen=True, kw_only=True)
class HoldRow:
    """The hold of one entity.

    Args:
        entity_id: The entity.
        run_id: Its run.
        code: The kind of reason.
        about: The particulars of its kind.
        since: The time at which the entity began to wait for this.
        ends_by: The side that can end it.
    """

    entity_id: str
    run_id: str
    code: HoldCode
    about: Mapping[str, Any]
    since: datetime
    ends_by: EndedBy


_ROWS: Final = Records(tables.holds, HoldRow)


def publish(connection: Connection, run_id: str, changes: Mapping[str, Hold | None]) -> None:
    """Write the holds of a run that changed.

    Args:
        connection: A writing transaction.
        run_id: The run.
        changes: The new hold of each entity; None for an entity without one.
    """
    change_many(connection, "DELETE FROM holds WHERE entity_id = ?", [(key,) for key in changes])
    _ROWS.insert(
        connection,
        [
            HoldRow(
                entity_id=key,
                run_id=run_id,
                code=hold.code,
                about=hold.about,
                since=hold.since,
                ends_by=hold.ends_by,
            )
            for key, hold in changes.items()
            if hold is not None
        ],
    )


def of_run(connection: Connection, run_id: str) -> dict[str, Hold]:
    """Read the published holds of a run, by entity."""
    return {row.entity_id: _hold(row) for row in _ROWS.select(connection, "WHERE run_id = ?", (run_id,))}


def of_entity(connection: Connection, entity_id: str) -> Hold | None:
    """Read the published hold of an entity; None without one."""
    row = _ROWS.one(connection, "entity_id", entity_id)
    return None if row is None else _hold(row)


def _hold(row: HoldRow) -> Hold:
    return Hold(code=row.code, about=row.about, since=row.since, ends_by=row.ends_by)
