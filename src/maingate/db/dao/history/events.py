"""Events: the transitions of the audit and all other events, in one order.

See docs/SPECIFICATION.md §7.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from heapq import merge
from itertools import chain, islice
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection

from maingate.db.ledger import running_head
from maingate.db.ledger.chain import EVENT_COLUMNS, hash_of_event
from maingate.db.sql.columns import canonical, from_micros, storable, to_micros
from maingate.db.sql.statements import change, insertion, quoted, row_of, rows_in, rows_of
from maingate.errors import InvariantError
from maingate.events import TRANSITION_SUFFIX, Event, Severity, severity_of
from maingate.state.machines import MACHINES

SHARED: Final = (
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
STORED: Final = (*SHARED, "event_type", "severity")
"""The columns of an event that is no transition."""
_SEQ: Final = 0
"""The place of the number in both."""

_INSERT: Final = insertion("events", EVENT_COLUMNS)
_TRANSITIONS: Final = f"SELECT {quoted(SHARED)}, NULL AS event_type, NULL AS severity FROM state_transitions"
_OTHERS: Final = f"SELECT {quoted(STORED)} FROM events"


_NEWEST_OTHERS: Final = f"{_OTHERS} WHERE seq IN (SELECT max(seq) FROM events WHERE entity_id"
_STATES: Final = "SELECT entity_id, seq, to_state, at FROM state_transitions WHERE entity_id"


@dataclass(frozen=True, kw_only=True, slots=True)
class StateReached:
    """A state that an entity has reached.

    Args:
        seq: The number of the event.
        state: The state.
        at: The time.
    """

    seq: int
    state: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class EventCount:
    """The number of events of one kind.

    Args:
        event_type: Its type.
        entity_type: The machine that it is about.
        from_state: The state before.
        to_state: The state after.
        trigger: Its trigger.
        count: Their number.
        first: The time of the first.
        last: The time of the last.
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
    """Insert an event that is no transition, and return its number in the order of all events.

    Raises:
        InvariantError: The event claims to be a transition; those are made by the writer of states alone.
    """
    if event.is_transition:
        raise InvariantError(f"{event.event_type} is written by a transition, not by hand")
    before = running_head.take(connection, 1)
    values = (
        before.seq + 1,
        event.event_id,
        event.event_type,
        str(event.severity),
        event.entity_type,
        event.entity_id,
        event.from_state,
        event.to_state,
        event.trigger,
        None if event.reason is None else canonical(dict(event.reason)),
        canonical(dict(event.metadata)),
        None if event.operator is None else storable(event.operator),
        event.run_id,
        event.workstream_id,
        event.task_id,
        to_micros(event.timestamp),
    )
    hashed = hash_of_event(values, None)
    change(connection, _INSERT, (*values, hashed))
    running_head.keep(connection, before, [hashed])
    return before.seq + 1


def query(
    connection: Connection,
    *,
    entity: str | None = None,
    type: str | None = None,  # noqa: A002 - the public name of the filter
    since: datetime | None = None,
    after_seq: int | None = None,
    run_id: str | None = None,
    trigger: str | None = None,
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
        trigger: Only those with this trigger.
        limit: Most events to return.
        newest: Whether to return the last ones, newest first, instead of the first ones, oldest first.
    """
    wanted: list[tuple[str, Any]] = []
    wanted += [] if entity is None else [("entity_id = ?", entity)]
    wanted += [] if since is None else [("at >= ?", to_micros(since))]
    wanted += [] if after_seq is None else [("seq > ?", after_seq)]
    wanted += [] if run_id is None else [("run_id = ?", run_id)]
    wanted += [] if trigger is None else [('"trigger" = ?', trigger)]
    order = "DESC" if newest else "ASC"
    parts = [
        rows_of(connection, f"{sql} ORDER BY seq {order} LIMIT ?", (*values, limit))
        for sql, values in _sources(type, wanted)
    ]
    found = merge(*parts, key=itemgetter(_SEQ), reverse=newest) if all(parts) else chain(*parts)
    return [event_of(row) for row in islice(found, limit)]


def newest_of(connection: Connection, entity_ids: Iterable[str]) -> dict[str, Event]:
    """Read the newest event of each of some entities that is no transition, by entity."""
    found = map(event_of, rows_in(connection, _NEWEST_OTHERS, entity_ids, end=" GROUP BY entity_id)"))
    return {str(event.entity_id): event for event in found}


def transitions_of(connection: Connection, entity_ids: Iterable[str]) -> list[Event]:
    """Read the transitions of some entities, those of each in their order."""
    found = [event_of(row) for row in rows_in(connection, f"{_TRANSITIONS} WHERE entity_id", entity_ids)]
    return sorted(found, key=lambda event: event.seq or 0)


def newest_transition_of(connection: Connection, entity_id: str) -> Event | None:
    """Read the last transition of an entity, which is found by its version however many there were."""
    found = row_of(
        connection, f"{_TRANSITIONS} WHERE entity_id = ? ORDER BY version DESC LIMIT 1", (entity_id,)
    )
    return None if found is None else event_of(found)


def states_of(connection: Connection, entity_ids: Iterable[str]) -> dict[str, list[StateReached]]:
    """Read the states that entities have reached, by entity, in the order in which they were committed."""
    found: dict[str, list[StateReached]] = {}
    for entity_id, seq, state, at in sorted(rows_in(connection, _STATES, entity_ids), key=itemgetter(1)):
        found.setdefault(entity_id, []).append(StateReached(seq=seq, state=state, at=from_micros(at)))
    return found


def first_of_run(connection: Connection, run_id: str) -> int:
    """Return the number of the first transition of a run; 1 when it has none."""
    found = row_of(connection, "SELECT min(seq) FROM state_transitions WHERE run_id = ?", (run_id,))
    return 1 if found is None or found[0] is None else int(found[0])


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
    """Return the event of a row's shared columns; a transition does not store its type and severity."""
    seq, event_id, machine, entity_id, from_state, to_state, trigger, reason, metadata = row[:9]
    operator, run_id, workstream_id, task_id, at, event_type, severity = row[9:]
    facts = {} if metadata == "{}" else json.loads(metadata)
    if event_type is not None:
        severity = Severity(severity)
    else:
        event_type = _type_of_transition(machine)
        severity = severity_of(machine, from_state, to_state, trigger, facts, operator=operator)
    event = object.__new__(Event)
    vars(event).update(  # as its constructor does, which sets one value after the other, at twice the cost
        event_id=event_id,
        timestamp=from_micros(at),
        event_type=event_type,
        severity=severity,
        entity_type=machine,
        entity_id=entity_id,
        from_state=from_state,
        to_state=to_state,
        trigger=trigger,
        reason=None if reason is None else json.loads(reason),
        metadata=facts,
        operator=operator,
        run_id=run_id,
        workstream_id=workstream_id,
        task_id=task_id,
        seq=seq,
    )
    return event


@lru_cache(maxsize=256)
def _type_of_transition(machine: str) -> str:
    return f"{machine}{TRANSITION_SUFFIX}"


def _sources(type_: str | None, wanted: Sequence[tuple[str, Any]]) -> list[tuple[str, tuple[Any, ...]]]:
    """Return the statements of the tables that have such events, with their values."""
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
