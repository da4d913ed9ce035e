"""Checks of every hash chain, row by row, and of every entity against its chain.

An entity's state, version and times follow from its chain. The columns that are evidence are bound: those
that never change by the chain's first row, the others by the row that set them last, or by a fact if they
change without a transition.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Table

from maingate.db.audit.findings import AuditFinding
from maingate.db.ledger.bound_columns import (
    CHANGING,
    UNBOUND,
    WHOLE,
    digest_of,
    empty_of,
    fixed_columns,
    form_of,
)
from maingate.db.ledger.chain import COLUMNS, HASHED, hash_of
from maingate.db.schema.tables import ENTITIES, LIFECYCLE
from maingate.db.sql.statements import quoted, rows_of
from maingate.db.transitions import CREATED, STARTING_STATE
from maingate.state.machines import MACHINES

_PAGE_ROWS: Final = 2000

Bound = dict[str, tuple[int, Any]]
"""The bound columns of an entity: the number of the row that bound each last, and the bound form."""


@dataclass(kw_only=True)
class Chain:
    """The end of a chain.

    Args:
        entity_type: The machine.
        state: The state that it ends in.
        version: The number of rows that it states.
        hash: Its last hash.
        created_at: The times of an entity with this chain, in microseconds.
        bound: The columns that it binds.
    """

    entity_type: str
    state: str = ""
    version: int = 0
    hash: str = ""
    created_at: int = 0
    changed_at: int = 0
    started_at: int | None = None
    completed_at: int | None = None
    bound: Bound = field(default_factory=dict)

    def follow(self, row: Mapping[str, Any]) -> None:
        """Add one more row."""
        at = row["at"] if isinstance(row["at"], int) else 0  # its hash tells
        begins = row["from_state"] is None
        self.state, self.version, self.hash = row["to_state"], row["version"], row["hash"]
        if begins:
            self.created_at = self.changed_at = at
        else:
            self.changed_at = max(at, self.changed_at)
            machine = MACHINES.get(self.entity_type)
            if self.started_at is None and STARTING_STATE.get(self.entity_type) == self.state:
                self.started_at = max(at, self.created_at)
            if machine is not None and self.state in set(map(str, machine.terminal)):
                self.completed_at = max(at, self.started_at or self.created_at)
        merge(self.bound, row["seq"], sets_of(row["sets"]))


def merge(bound: Bound, seq: int, sets: Mapping[str, Any]) -> None:
    """Add the columns that a row of the ledger binds; the latest row counts."""
    for column, form in sets.items():
        if column not in bound or bound[column][0] <= seq:
            bound[column] = (seq, form)


def sets_of(text: Any) -> Mapping[str, Any]:
    """Return the columns that a row binds; an unreadable text binds none, and its hash shows it."""
    try:
        found = {} if text is None else json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def audit_rows(connection: Connection) -> Iterator[dict[str, Any]]:
    """Yield all audit rows, chain by chain, a page at a time."""
    select = f"SELECT {quoted(COLUMNS)} FROM state_transitions"
    order = "ORDER BY entity_id, version, seq"
    found = rows_of(connection, f"{select} {order} LIMIT ?", (_PAGE_ROWS,))
    while found:
        rows = [dict(zip(COLUMNS, row, strict=True)) for row in found]
        yield from rows
        last = rows[-1]
        place = (last["entity_id"], last["version"], last["seq"])
        found = rows_of(
            connection,
            f"{select} WHERE (entity_id, version, seq) > (?, ?, ?) {order} LIMIT ?",
            (*place, _PAGE_ROWS),
        )


def check_row(row: Mapping[str, Any], before: Mapping[str, Any] | None) -> Iterator[AuditFinding]:
    """Check one row against itself, the row before it in its chain, and its machine."""
    if hash_of([row[name] for name in HASHED], row["prev_hash"]) != row["hash"]:
        yield _finding(row, "the row was changed: its hash does not fit its content")
    if row["version"] != (1 if before is None else _next(before["version"])):
        missing = "the first row" if before is None else "a row before this one"
        yield _finding(row, f"{missing} of the chain was removed, or a row was inserted")
    if row["prev_hash"] != (None if before is None else before["hash"]):
        yield _finding(
            row, "the row does not continue the chain: a row was changed, removed or inserted before it"
        )
    yield from _check_transition(row, before)


def check_entities(connection: Connection, chains: Mapping[str, Chain]) -> Iterator[AuditFinding]:
    """Check every entity against its chain, and every chain for its entity."""
    unseen = dict(chains)
    for machine, table in ENTITIES.items():
        names = [column.name for column in table.columns]
        for found in rows_of(connection, f'SELECT {quoted(names)} FROM "{table.name}" ORDER BY id'):
            row = dict(zip(names, found, strict=True))
            for problem in _problems(table, row, unseen.pop(row["id"], None)):
                yield AuditFinding(entity_type=machine, entity_id=row["id"], seq=None, problem=problem)
    for entity_id, chain in unseen.items():
        yield AuditFinding(
            entity_type=chain.entity_type,
            entity_id=entity_id,
            seq=None,
            problem="the chain's entity was removed, or the chain was inserted",
        )


def _next(version: Any) -> int:
    return version + 1 if isinstance(version, int) else 0


def _finding(row: Mapping[str, Any], problem: str) -> AuditFinding:
    return AuditFinding(
        entity_type=row["entity_type"], entity_id=row["entity_id"], seq=row["seq"], problem=problem
    )


def _check_transition(row: Mapping[str, Any], before: Mapping[str, Any] | None) -> Iterator[AuditFinding]:
    machine = MACHINES.get(row["entity_type"])
    if machine is None:
        yield _finding(row, f"there is no machine {row['entity_type']!r}")
    elif row["from_state"] is None:
        if row["trigger"] != CREATED or row["to_state"] != machine.initial:
            yield _finding(row, f"a {machine.name} is not created as {row['to_state']} by {row['trigger']}")
    elif not machine.allows(row["from_state"], row["to_state"], row["trigger"]):
        wrong = f"{row['from_state']} to {row['to_state']} by {row['trigger']}"
        yield _finding(row, f"the machine does not allow {wrong}: the row was inserted or changed")
    if before is not None and row["from_state"] != before["to_state"]:
        yield _finding(
            row, f"the row leaves {row['from_state']}, but the one before reached {before['to_state']}"
        )


def _problems(table: Table, row: Mapping[str, Any], chain: Chain | None) -> Iterator[str]:
    stands = _standing(row, chain)
    if chain is None or stands is not None:
        yield stands or ""
        return
    for column in LIFECYCLE:
        if column.endswith("_at") and row[column] != getattr(chain, column):
            yield f"{column} of the entity was changed: its chain says another time"
    fixed = fixed_columns(table.name)
    if WHOLE not in chain.bound or chain.bound[WHOLE][1] != digest_of(row[name] for name in fixed):
        yield f"the entity was changed in what never changes ({_some(fixed)})"
    for column in sorted(CHANGING[table.name] - UNBOUND.get(table.name, {}).keys()):
        said = chain.bound.get(column)
        is_unsaid = said is None and row[column] == empty_of(table.c[column])
        if not is_unsaid and (said is None or form_of(row[column]) != said[1]):
            yield f"{column} of the entity was changed: {_whose(said)}"


def _standing(row: Mapping[str, Any], chain: Chain | None) -> str | None:
    state, version = row["state"], row["version"]
    if chain is None:
        return "the whole chain of the entity was removed, or the entity was inserted"
    if version != chain.version:
        is_cut = isinstance(version, int) and isinstance(chain.version, int) and version > chain.version
        what = "the chain's last rows were removed" if is_cut else "rows were added to the chain"
        return f"{what}: it ends at {chain.version}, the entity is at {version}"
    if state != chain.state:
        return f"the state of the entity was changed: it is {state}, the chain says {chain.state}"
    if row["chain_hash"] != chain.hash:
        return "the end of the chain is not the one that the writer left: a row or the entity was changed"
    return None


def _whose(said: tuple[int, Any] | None) -> str:
    return "nothing in the ledger sets it" if said is None else f"row {said[0]} of the ledger says otherwise"


def _some(names: Sequence[str]) -> str:
    return ", ".join(name for name in names if name != "id")
