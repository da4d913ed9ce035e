"""The one writer of states (docs/SPECIFICATION.md §1, rules 1-3).

A state changes when one transaction finds the row in the state and version that the writer read, updates it,
and adds the audit row that continues the entity's hash chain. Changes that belong together are written in one
call: the statements are compiled once and sent in bulk, which makes group commits cheap.

The module is long because it is one thing: nothing else may write a state, so the check, the row and its
audit stand where they are read together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Connection

from maingate.db.ledger import running_head
from maingate.db.ledger.bound_columns import CHANGING, UNBOUND, bound_text
from maingate.db.ledger.chain import COLUMNS, EMPTY_METADATA, hash_of
from maingate.db.schema.tables import ENTITIES, LIFECYCLE, state_transitions
from maingate.db.sql.columns import Codec, canonical, encoder_of, storable, to_micros
from maingate.db.sql.statements import change_many, insertion, quoted, rows_in
from maingate.errors import InvariantError, StaleTransitionError
from maingate.ids import new_ids
from maingate.state.machines import MACHINES
from maingate.state.steps.step import Context, Head, Step, WrittenAt

CREATED: Final = "created"
"""The trigger of an entity's first audit row, which comes from no state."""


@dataclass(kw_only=True, slots=True)
class _Move:
    """The result of all steps of one entity."""

    seen: Head
    state: str
    version: int
    chain_hash: str
    starts: bool = False
    sets: dict[str, Any] = field(default_factory=dict)


_Entry = tuple[tuple[Any, ...], str | None]
"""The stored columns of one audit row from its machine to its task, and the text that it binds."""


STARTING_STATE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "run": "running",
        "workstream": "executing",
        "task": "running",
        "worker": "idle",
        "uet_worker": "IDLE",
        "patch_ledger": "queued",
        "test_gate": "RUNNING",
    }
)
"""The state in which ``started_at`` is set, the first time an entity gets there. A breaker has no start."""

FIXED: Final = frozenset(
    {
        *LIFECYCLE,
        *(
            "id",
            "name",
            "run_id",
            "workstream_id",
            "task_id",
            "patch_id",
            "parent_id",
            "retry_of",
            "replaces",
        ),
        *("is_critical", "affinity"),
    }
)
"""Columns that no step may set: the writer's own, those that say what an entity belongs to, and those that
never change after creation (docs/SPECIFICATION.md §1, rule 7; §1.5)."""

_ALLOWED: Final = {
    name: frozenset((str(state), str(to), trigger) for state, to, trigger in machine.transitions)
    for name, machine in MACHINES.items()
}
_TERMINAL: Final = {name: frozenset(map(str, machine.terminal)) for name, machine in MACHINES.items()}
_UNBOUND: Final = {machine: frozenset(UNBOUND.get(table.name, ())) for machine, table in ENTITIES.items()}
_ENCODERS: Final[dict[str, dict[str, Codec | None]]] = {
    machine: {
        column.name: encoder_of(column.type)
        for column in table.columns
        if column.name not in FIXED and column.name in CHANGING[table.name] | _UNBOUND[machine]
    }
    for machine, table in ENTITIES.items()
}
_INSERT_AUDIT: Final = insertion(state_transitions.name, COLUMNS)


def write(
    connection: Connection, heads: Mapping[str, Head], steps: Sequence[Step], *, at: datetime
) -> dict[str, Head]:
    """Write transitions, all of them or none, and return the new heads of their entities.

    Steps are taken in the order given; several steps of one entity follow upon each other. The caller's
    transaction must end when this raises: leave ``Database.write()`` by the exception.

    Args:
        connection: A writing transaction.
        heads: The heads of the entities when the steps were decided; at least those that the steps name.
        steps: The transitions.
        at: Their time. An entity's own times never run backwards, even if the clock does.

    Returns:
        The new heads of the entities that changed, by id.

    Raises:
        InvalidTransitionError: A machine does not allow a step; nothing was sent to the database.
        InvariantError: A step sets a column that never changes, or a constraint refused it.
        StaleTransitionError: Another process changed one of the entities since its head was read.
    """
    if not steps:
        return {}
    moves: dict[str, _Move] = {}
    entries = [_follow(moves, heads, step, at) for step in steps]
    chains: dict[str, str | None] = {entity_id: move.seen.chain_hash for entity_id, move in moves.items()}
    audit = _audit_rows(connection, entries, chains, at)
    for entity_id, move in moves.items():
        move.chain_hash = chains[entity_id] or ""
    _update(connection, moves, at)
    change_many(connection, _INSERT_AUDIT, audit)
    return {entity_id: _new_head(move) for entity_id, move in moves.items()}


def record_creation(
    connection: Connection,
    heads: Sequence[Head],
    begun: Sequence[str],
    *,
    at: datetime,
    operator: str | None,
) -> list[str]:
    """Write the first audit row of entities that are about to be inserted, and return their hashes.

    Args:
        connection: A writing transaction.
        heads: The entities in their initial states; their hashes are ignored.
        begun: The bound text of each: see `maingate.db.ledger.bound_columns.bound_text_of_creation`.
        at: The time of their creation.
        operator: The person who creates them; None when it is automatic.
    """
    by = None if operator is None else storable(operator)
    entries: list[_Entry] = []
    for head, sets in zip(heads, begun, strict=True):
        state, context = str(head.state), _of(head.context)
        entries.append(
            ((head.machine, head.id, 1, None, state, CREATED, None, EMPTY_METADATA, by, *context), sets)
        )
    chains: dict[str, str | None] = {}
    change_many(connection, _INSERT_AUDIT, _audit_rows(connection, entries, chains, at))
    return [chains[head.id] or "" for head in heads]


def _of(context: Context) -> tuple[str | None, str | None, str | None]:
    return context.run_id, context.workstream_id, context.task_id


def _follow(moves: dict[str, _Move], heads: Mapping[str, Head], step: Step, at: datetime) -> _Entry:
    """Add a step to its entity's move, and return its audit row."""
    move = moves.get(step.head_id)
    if move is None:
        seen = heads[step.head_id]
        move = moves[step.head_id] = _Move(
            seen=seen, state=seen.state, version=seen.version, chain_hash=seen.chain_hash
        )
    _check(move, step)
    state = str(step.to)
    entry = (
        step.machine,
        step.head_id,
        move.version + 1,
        move.state,
        state,
        step.trigger,
        None if step.reason is None else canonical(step.reason.as_json()),
        canonical(dict(step.metadata)) if step.metadata else EMPTY_METADATA,
        None if step.operator is None else storable(step.operator),
        *_of(move.seen.context),
    )
    bound = None
    if step.sets:
        stored = _stored(step, at)
        move.sets.update(stored)
        loose = _UNBOUND[step.machine]
        bound = bound_text({name: stored[name] for name in stored if name not in loose} if loose else stored)
    if step.machine == "task" and move.state == "running":
        move.sets["worker_id"] = None
    move.state = state
    move.version += 1
    move.starts = move.starts or STARTING_STATE.get(step.machine) == move.state
    return entry, bound


def _check(move: _Move, step: Step) -> None:
    machine = move.seen.machine
    if step.machine != machine:
        raise InvariantError(f"{step.head_id} is a {machine}, not a {step.machine}; nothing was written")
    if (move.state, step.to, step.trigger) not in _ALLOWED[machine]:
        MACHINES[machine].check(entity_id=step.head_id, state=move.state, to=step.to, trigger=step.trigger)
    if step.sets and not step.sets.keys() <= _ENCODERS[machine].keys():
        columns = ", ".join(sorted(step.sets.keys() - _ENCODERS[machine].keys()))
        raise InvariantError(f"{step.head_id}: a transition cannot set {columns}; nothing was written")


def _audit_rows(
    connection: Connection, entries: Sequence[_Entry], chains: dict[str, str | None], at: datetime
) -> list[tuple[Any, ...]]:
    """Return numbered and hashed audit rows; advances each entity's chain and the ledger's head."""
    rows, hashes, micros = [], [], to_micros(at)
    names = new_ids("evt", len(entries))
    before = running_head.take(connection, len(entries))
    for seq, (name, (entry, bound)) in enumerate(zip(names, entries, strict=True), before.seq + 1):
        stored = (seq, name, *entry, micros, bound)
        entity_id = entry[1]
        continued = chains.get(entity_id)
        chains[entity_id] = after = hash_of(stored, continued)
        rows.append((*stored, continued, after))
        hashes.append(after)
    running_head.keep(connection, before, hashes)
    return rows


def _update(connection: Connection, moves: Mapping[str, _Move], at: datetime) -> None:
    """Update the rows that still have the state and version that was read, and refuse when one has not."""
    groups: dict[tuple[str, bool, bool, tuple[str, ...]], list[tuple[Any, ...]]] = {}
    micros = to_micros(at)
    for entity_id, move in moves.items():
        seen = move.seen
        ends = move.state in _TERMINAL[seen.machine]
        columns = tuple(sorted(move.sets))
        own = [move.sets[column] for column in columns]
        times = (micros,) * (1 + move.starts + ends)
        values = (
            move.state,
            move.version,
            move.chain_hash,
            *times,
            *own,
            entity_id,
            seen.state,
            seen.version,
        )
        groups.setdefault((seen.machine, move.starts, ends, columns), []).append(values)
    for (machine, starts, ends, columns), rows in groups.items():
        sql = _update_statement(machine, starts, ends, columns, connection.dialect.name)
        if change_many(connection, sql, rows) != len(rows):
            _refuse_stale(connection, machine, {row[-3]: row[2] for row in rows})


def _stored(step: Step, at: datetime) -> dict[str, Any]:
    """Return the stored values of a step's columns."""
    encoders, stored = _ENCODERS[step.machine], dict[str, Any]()
    for column, wanted in step.sets.items():
        value = at + wanted.after if isinstance(wanted, WrittenAt) else wanted
        encode = encoders[column]
        stored[column] = value if encode is None or value is None else encode(value)
    return stored


@lru_cache(maxsize=1024)
def _update_statement(machine: str, starts: bool, ends: bool, columns: tuple[str, ...], dialect: str) -> str:
    """Return the guarded UPDATE; times are never set before those that they must follow."""
    later = "max" if dialect == "sqlite" else "greatest"
    changes = ["state = ?", "version = ?", "chain_hash = ?", f"changed_at = {later}(?, changed_at)"]
    if starts:
        changes.append(f"started_at = coalesce(started_at, {later}(?, created_at))")
    if ends:
        changes.append(f"completed_at = {later}(?, coalesce(started_at, created_at))")
    changes += [f"{quoted([column])} = ?" for column in columns]
    table = ENTITIES[machine].name
    return f'UPDATE "{table}" SET {", ".join(changes)} WHERE id = ? AND state = ? AND version = ?'


def _refuse_stale(connection: Connection, machine: str, wanted: Mapping[str, str]) -> None:
    """Raise the error that names the entities whose newest hash is not of this transaction.

    Raises:
        StaleTransitionError: Always.
    """
    sql = f'SELECT id, chain_hash FROM "{ENTITIES[machine].name}" WHERE id'
    found = {row[0]: row[1] for row in rows_in(connection, sql, wanted)}
    raise StaleTransitionError(entity_ids=[each for each in wanted if found.get(each) != wanted[each]])


def _new_head(move: _Move) -> Head:
    seen = move.seen
    return Head(
        machine=seen.machine,
        id=seen.id,
        state=move.state,
        version=move.version,
        chain_hash=move.chain_hash,
        context=seen.context,
    )
