"""Facts: rows of evidence beside the entities, bound into the ledger by the transaction that writes them.

A verdict, an intent, an approval or a diff is evidence. When its row is written, and whenever it changes, the
ledger gets a row with a digest over all its columns. So a row that is changed, removed, inserted or moved to
another entity by other means has no matching fact (`maingate.db.audit.record_check`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Table

from maingate.db.ledger import running_head
from maingate.db.ledger.bound_columns import WHOLE, bound_text, digest_of, fixed_columns
from maingate.db.ledger.chain import FACT_COLUMNS, hash_of_fact
from maingate.db.sql.columns import canonical
from maingate.db.sql.records import Records
from maingate.db.sql.statements import change, change_many, insertion, quoted, rows_in, rows_of
from maingate.ids import new_ids

R = TypeVar("R")

OWNER: Final[Mapping[str, str]] = {
    "patch_artifacts": "patch_id",
    "verdicts": "gate_id",
    "gate_evidence": "subject_id",
    "intents": "workstream_id",
    "approvals": "patch_id",
    "tool_runs": "task_id",
    "requests": "entity_id",
    "task_needs": "task_id",
    "workstream_needs": "workstream_id",
}
"""The column of each table that names the entity that a row is evidence for."""

_INSERT: Final = insertion("facts", FACT_COLUMNS)

LedgerFact = tuple[str, str, str, str]
"""A fact: the table, the row's key, its entity, and the text that binds it."""


def record(connection: Connection, facts: Sequence[LedgerFact]) -> None:
    """Bind rows into the ledger, in the transaction that writes them."""
    if not facts:
        return
    rows, hashes = [], []
    before = running_head.take(connection, len(facts))
    named = zip(new_ids("evt", len(facts)), facts, strict=True)
    for seq, (name, fact) in enumerate(named, before.seq + 1):
        stored = (seq, name, *fact)
        after = hash_of_fact(stored, None)
        rows.append((*stored, after))
        hashes.append(after)
    running_head.keep(connection, before, hashes)
    change_many(connection, _INSERT, rows)


def of_column(table: str, entity_id: str, column: str, stored: Any) -> LedgerFact:
    """Return the fact that a column of an entity changed without a transition."""
    return table, key_of([entity_id]), entity_id, bound_text({column: stored}) or ""


def key_of(values: Sequence[Any]) -> str:
    """Return the key of a row: the values of its primary key."""
    return canonical(list(values))


class Binding:
    """A maker of facts from the stored rows of one table.

    Args:
        table: The table; its rows are bound whole.
    """

    def __init__(self, table: Table) -> None:
        names = [column.name for column in table.columns]
        self.table: Final = table.name
        self._key: Final = [names.index(column.name) for column in table.primary_key.columns]
        self._bound: Final = [names.index(name) for name in fixed_columns(table.name)]
        self._owner: Final = names.index(OWNER[table.name])

    def key(self, stored: Sequence[Any]) -> str:
        """Return the key of a row, given its columns as they are stored, in the table's order."""
        return key_of([stored[place] for place in self._key])

    def owner(self, stored: Sequence[Any]) -> str:
        """Return the entity that a row is evidence for."""
        return str(stored[self._owner])

    def sets(self, stored: Sequence[Any]) -> str:
        """Return the text that binds a row."""
        return bound_text({WHOLE: digest_of(stored[place] for place in self._bound)}) or ""

    def fact(self, stored: Sequence[Any]) -> LedgerFact:
        """Return the fact of a row."""
        return self.table, self.key(stored), self.owner(stored), self.sets(stored)


class EvidenceTable(Records[R]):
    """A reader and writer of the rows of a table of evidence."""

    def __init__(self, table: Table, row_type: type[R]) -> None:
        super().__init__(table, row_type)
        self._binding = Binding(table)
        self._first = next(iter(table.primary_key.columns)).name

    def insert(self, connection: Connection, rows: Iterable[R], *, or_ignore: bool = False) -> None:
        """Insert rows and bind them; with ``or_ignore`` those whose key exists already are ignored."""
        insert_bound(connection, self.table, [self._values(row) for row in rows], or_ignore=or_ignore)

    def bind_again(self, connection: Connection, key: Any) -> None:
        """Bind a changed row again, given the value of its one-column key."""
        sql = f'SELECT {quoted(self.names)} FROM "{self.table.name}" WHERE "{self._first}" = ?'
        record(connection, [self._binding.fact(tuple(row)) for row in rows_of(connection, sql, (key,))])


def insert_bound(
    connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]], *, or_ignore: bool = False
) -> None:
    """Insert rows of a table as they are stored, and bind each new one.

    Args:
        connection: A writing transaction.
        table: The table.
        rows: Its columns, in its order.
        or_ignore: Whether rows whose key exists already are ignored instead of refused.
    """
    binding = Binding(table)
    names = [column.name for column in table.columns]
    if or_ignore and len(rows) == 1:
        fresh = [row for row in rows if change(connection, insertion(table.name, names, or_ignore=True), row)]
    else:
        fresh = _fresh(connection, table, binding, rows) if or_ignore else list(rows)
        change_many(connection, insertion(table.name, names), fresh)
    record(connection, [binding.fact(row) for row in fresh])


def _fresh(
    connection: Connection, table: Table, binding: Binding, rows: Sequence[tuple[Any, ...]]
) -> list[tuple[Any, ...]]:
    """Return the rows whose key does not exist yet; of several with one key the first."""
    key, names = [column.name for column in table.primary_key.columns], [each.name for each in table.columns]
    asked = OWNER[table.name] if OWNER[table.name] in key else key[0]
    sql = f'SELECT {quoted(names)} FROM "{table.name}" WHERE "{asked}"'
    values = dict.fromkeys(row[names.index(asked)] for row in rows)
    seen = {binding.key(tuple(row)) for row in rows_in(connection, sql, values)}
    fresh = []
    for row in rows:
        if (mine := binding.key(row)) not in seen:
            seen.add(mine)
            fresh.append(row)
    return fresh
