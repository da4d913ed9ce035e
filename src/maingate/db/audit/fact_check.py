"""Checks of events and facts, and of every row of evidence against its last fact."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Table

from maingate.db.audit.chain_check import Bound, merge, sets_of
from maingate.db.audit.findings import AuditFinding
from maingate.db.ledger.bound_columns import CHANGING, FACTS
from maingate.db.ledger.chain import EVENT_COLUMNS, FACT_COLUMNS, HashOf, hash_of_event, hash_of_fact
from maingate.db.ledger.facts import Binding
from maingate.db.schema.tables import metadata
from maingate.db.sql.statements import quoted, rows_of
from maingate.ids import ENTITY_OF_PREFIX

_PAGE: Final = 2000

See = Callable[[Mapping[str, Any]], None]
"""A function that is called with each row as it is read."""


@dataclass(frozen=True, kw_only=True)
class LedgerFacts:
    """All facts, by their rows.

    Args:
        count: Their number.
        latest: The last fact about each row, by table and key: its text, its entity, its number.
        of_entities: The bound columns of entities, by table and entity.
        findings: The faults of facts and events themselves.
    """

    count: int
    latest: Mapping[tuple[str, str], tuple[str, str, int]]
    of_entities: Mapping[tuple[str, str], Bound]
    findings: Sequence[AuditFinding]


def read_facts(connection: Connection, see: See) -> LedgerFacts:
    """Read all events and facts, check each against its hash, and collect the bound values."""
    findings: list[AuditFinding] = []
    for row in _rows(connection, "events", EVENT_COLUMNS):
        see(row)
        findings += _check(row, EVENT_COLUMNS, hash_of_event)
    count, latest, of_entities = 0, {}, dict[tuple[str, str], Bound]()
    for row in _rows(connection, "facts", FACT_COLUMNS):
        see(row)
        count += 1
        findings += _check(row, FACT_COLUMNS, hash_of_fact)
        if row["about"] in CHANGING:
            bound = of_entities.setdefault((row["about"], row["entity_id"]), {})
            merge(bound, row["seq"], sets_of(row["sets"]))
        else:
            latest[row["about"], row["key"]] = (row["sets"], row["entity_id"], row["seq"])
    return LedgerFacts(count=count, latest=latest, of_entities=of_entities, findings=findings)


def check_evidence(connection: Connection, facts: LedgerFacts) -> Iterator[AuditFinding]:
    """Check that each row of evidence is as its last fact states, and that none is missing."""
    unseen = dict(facts.latest)
    for name in FACTS:
        for key, owner, sets in _evidence(connection, metadata.tables[name]):
            said = unseen.pop((name, key), None)
            if said is None:
                yield _about(
                    owner, None, f"{name} {key} was inserted past the writer, or its fact was removed"
                )
            elif said[1] != owner or said[0] != sets:
                yield _about(said[1], said[2], f"{name} {key} was changed: row {said[2]} says otherwise")
    for (name, key), (_, owner, seq) in unseen.items():
        yield _about(owner, seq, f"{name} {key} was removed")


def _evidence(connection: Connection, table: Table) -> Iterator[tuple[str, str, str]]:
    binding, names = Binding(table), [column.name for column in table.columns]
    for row in rows_of(connection, f'SELECT {quoted(names)} FROM "{table.name}"'):
        stored = tuple(row)
        yield binding.key(stored), binding.owner(stored), binding.sets(stored)


def _rows(connection: Connection, table: str, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield all rows of a table of the ledger in order, a page at a time."""
    select, after = f"SELECT {quoted(columns)} FROM {table} WHERE seq > ? ORDER BY seq LIMIT ?", -(1 << 62)
    while found := rows_of(connection, select, (after, _PAGE)):
        yield from (dict(zip(columns, row, strict=True)) for row in found)
        after = found[-1][0]


def _check(row: Mapping[str, Any], columns: Sequence[str], hash_row: HashOf) -> Iterator[AuditFinding]:
    if hash_row([row[name] for name in columns[:-1]], None) != row["hash"]:
        yield _about(row["entity_id"], row["seq"], "the row was changed: its hash does not fit its content")


def _about(entity_id: str | None, seq: int | None, problem: str) -> AuditFinding:
    machine = ENTITY_OF_PREFIX.get((entity_id or "").partition("_")[0])
    return AuditFinding(entity_type=machine, entity_id=entity_id, seq=seq, problem=problem)
