"""Events: transitions from the audit and everything else that was recorded, in one order (SSOT §7)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection

from maingate.db.chain import EMPTY_METADATA
from maingate.db.columns import canonical, from_micros, keepable, text_of, to_micros
from maingate.db.statements import change, insertion, quoted, rows_of
from maingate.db.transitions import take_numbers
from maingate.errors import InvariantError
from maingate.events import TRANSITION_SUFFIX, Event, Severity, iso_millis, severity_of
from maingate.state.machines import MACHINES

_SHARED: Final = (
    "seq",
    "event_id",
    "entity_type",
    "entity_id",
    "from_state",
    "to_state",
    "trigger",
    "reason",
    "metadata",
    "operator",
    "run_id",
    "workstream_id",
    "task_id",
    "at",
)
_STORED: Final = (*_SHARED, "event_type", "severity")
_INSERT: Final = insertion("events", _STORED)
_TRANSITIONS: Final = f"SELECT {quoted(_SHARED)}, NULL AS event_type, NULL AS severity FROM state_transitions"
_AFTER: Final = (
    f"SELECT {quoted(_SHARED)}, version, hash FROM state_transitions WHERE seq > ? ORDER BY seq LIMIT ?"
)
_OTHERS: Final = f"SELECT {quoted(_STORED)} FROM events"


@dataclass(frozen=True, kw_only=True)
class EventCount:
    """How often one kind of event happened.

    Args:
        event_type: Its type.
        entity_type: The machine that it is about.
        from_state: The state before.
        to_state: The state after.
        trigger: What moved it.
        count: How often.
        first: When it first happened.
        last: When it last happened.
    """

    event_type: str
    entity_type: str | None
    from_state: str | None
    to_state: str | None
    trigger: str | None
    count: int
    first: datetime
    last: datetime


def record(connection: Connection, event: Event) -> int:
    """Keep an event that is no transition, and return its place in the order of all events.

    Raises:
        InvariantError: The event claims to be a transition; those are made by the writer of states alone.
    """
    if event.is_transition:
        raise InvariantError(f"{event.event_type} is written by a transition, not by hand")
    seq = take_numbers(connection, 1)
    values = (
        seq,
        event.event_id,
        event.entity_type,
        event.entity_id,
        event.from_state,
        event.to_state,
        event.trigger,
        None if event.reason is None else canonical(dict(event.reason)),
        canonical(dict(event.metadata)),
        None if event.operator is None else keepable(event.operator),
        event.run_id,
        event.workstream_id,
        event.task_id,
        to_micros(event.timestamp),
        event.event_type,
        str(event.severity),
    )
    change(connection, _INSERT, values)
    return seq


def query(
    connection: Connection,
    *,
    entity: str | None = None,
    type: str | None = None,  # noqa: A002 - the public name of the filter
    since: datetime | None = None,
    after_seq: int | None = None,
    run_id: str | None = None,
    limit: int = 1000,
    newest: bool = False,
) -> list[Event]:
    """Read events in the order in which they were committed.

    Args:
        connection: A transaction.
        entity: Only those of this entity.
        type: Only those of this type, such as ``task_state_transition`` or ``manual_override``.
        since: Only those from this time on.
        after_seq: Only those after this place.
        run_id: Only those of this run.
        limit: How many at most.
        newest: Whether to give the last ones, newest first, instead of the first ones, oldest first.
    """
    wanted: list[tuple[str, Any]] = []
    wanted += [] if entity is None else [("entity_id = ?", entity)]
    wanted += [] if since is None else [("at >= ?", to_micros(since))]
    wanted += [] if after_seq is None else [("seq > ?", after_seq)]
    wanted += [] if run_id is None else [("run_id = ?", run_id)]
    sources = _sources(type, wanted)
    order = "DESC" if newest else "ASC"
    limited = [
        (f"SELECT * FROM ({sql} ORDER BY seq {order} LIMIT ?) part", (*values, limit))
        for sql, values in sources
    ]
    sql = " UNION ALL ".join(sql for sql, _ in limited)
    values = [value for _, values in limited for value in values]
    found = rows_of(
        connection, f"SELECT * FROM ({sql}) joined ORDER BY seq {order} LIMIT ?", (*values, limit)
    )
    return [event_of(row) for row in found]


def aggregate(
    connection: Connection, *, since: datetime | None = None, run_id: str | None = None
) -> list[EventCount]:
    """Count events by type, states and trigger, most frequent first.

    Args:
        connection: A transaction.
        since: Only those from this time on.
        run_id: Only those of this run.
    """
    wanted: list[tuple[str, Any]] = []
    wanted += [] if since is None else [("at >= ?", to_micros(since))]
    wanted += [] if run_id is None else [("run_id = ?", run_id)]
    sources = _sources(None, wanted)
    sql = " UNION ALL ".join(sql for sql, _ in sources)
    kinds = "event_type, entity_type, from_state, to_state, trigger"
    found = rows_of(
        connection,
        f"SELECT {kinds}, count(*), min(at), max(at) FROM ({sql}) joined GROUP BY {kinds}",
        [value for _, values in sources for value in values],
    )
    counts = [
        EventCount(
            event_type=row[0] or f"{row[1]}{TRANSITION_SUFFIX}",
            entity_type=row[1],
            from_state=row[2],
            to_state=row[3],
            trigger=row[4],
            count=row[5],
            first=from_micros(row[6]),
            last=from_micros(row[7]),
        )
        for row in found
    ]
    return sorted(
        counts, key=lambda each: (-each.count, each.event_type, each.to_state or "", each.trigger or "")
    )


def event_of(row: Sequence[Any]) -> Event:
    """Make an event of a row's shared columns, its type and its severity; a transition has no stored ones."""
    values = dict(zip(_STORED, row, strict=True))
    metadata = json.loads(values["metadata"])
    is_transition = values["event_type"] is None
    severity = (
        severity_of(
            values["entity_type"],
            values["from_state"],
            values["to_state"],
            values["trigger"],
            metadata,
            operator=values["operator"],
        )
        if is_transition
        else Severity(values["severity"])
    )
    return Event(
        event_id=values["event_id"],
        timestamp=from_micros(values["at"]),
        event_type=f"{values['entity_type']}{TRANSITION_SUFFIX}" if is_transition else values["event_type"],
        severity=severity,
        entity_type=values["entity_type"],
        entity_id=values["entity_id"],
        from_state=values["from_state"],
        to_state=values["to_state"],
        trigger=values["trigger"],
        reason=None if values["reason"] is None else json.loads(values["reason"]),
        metadata=metadata,
        operator=values["operator"],
        run_id=values["run_id"],
        workstream_id=values["workstream_id"],
        task_id=values["task_id"],
        seq=values["seq"],
    )


def transition_of(row: Mapping[str, Any]) -> Event:
    """Make an event of a row of the audit, by the names of its columns."""
    return event_of((*(row[name] for name in _SHARED), None, None))


def lines_after(connection: Connection, seq: int, limit: int) -> tuple[list[str], int]:
    """Write transitions after a place as lines of JSON, and return them and the place of the last.

    A line is the public form of the event, and besides it the ``version`` and the ``hash`` of its row. Its
    parts are stored as JSON or as plain text, so it is put together from them as it is.

    Args:
        connection: A transaction.
        seq: Only those after this place.
        limit: How many at most.
    """
    found = rows_of(connection, _AFTER, (seq, limit))
    return [_line(row) for row in found], found[-1][0] if found else seq


def _line(row: Sequence[Any]) -> str:
    seq, name, machine, entity, left, reached, trigger, reason, metadata, by, run, ws, task, at = row[:-2]
    facts = {} if metadata == EMPTY_METADATA else json.loads(metadata)
    severity = severity_of(machine, left, reached, trigger, facts, operator=by)
    return (
        f'{{"seq":{seq},"event_id":{text_of(name)},"timestamp":"{_timestamp(at)}",'
        f'"event_type":"{machine}{TRANSITION_SUFFIX}","severity":"{severity}","entity_type":"{machine}",'
        f'"entity_id":{text_of(entity)},"from_state":{text_of(left)},"to_state":{text_of(reached)},'
        f'"trigger":{text_of(trigger)},"reason":{reason or "null"},"metadata":{metadata},'
        f'"operator":{text_of(by)},"context":{{"run_id":{text_of(run)},"workstream_id":{text_of(ws)},'
        f'"task_id":{text_of(task)}}},"version":{row[-2]},"hash":{text_of(row[-1])}}}'
    )


@lru_cache(maxsize=64)
def _timestamp(micros: int) -> str:
    return iso_millis(from_micros(micros))


def _sources(type_: str | None, wanted: Sequence[tuple[str, Any]]) -> list[tuple[str, tuple[Any, ...]]]:
    """Write the statements of the tables in which such events are, with their values."""
    machine = type_.removesuffix(TRANSITION_SUFFIX) if type_ is not None else None
    is_transition = type_ is not None and type_.endswith(TRANSITION_SUFFIX) and machine in MACHINES
    if type_ is None:
        chosen = [(_TRANSITIONS, list(wanted)), (_OTHERS, list(wanted))]
    elif is_transition:
        chosen = [(_TRANSITIONS, [*wanted, ("entity_type = ?", machine)])]
    else:
        chosen = [(_OTHERS, [*wanted, ("event_type = ?", type_)])]
    return [
        (
            f"{sql} WHERE {' AND '.join(clause for clause, _ in clauses)}" if clauses else sql,
            tuple(v for _, v in clauses),
        )
        for sql, clauses in chosen
    ]
