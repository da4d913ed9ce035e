"""What somebody with all rights on the database could do: the triggers away, everything hashed anew."""

import json
from typing import Any

from sqlalchemy import Connection, Table

from maingate.db.ledger import running_head
from maingate.db.ledger.bound_columns import FACTS, WHOLE, digest_of, fixed_columns, form_of
from maingate.db.ledger.chain import (
    COLUMNS,
    EVENT_COLUMNS,
    FACT_COLUMNS,
    HASHED,
    hash_of,
    hash_of_event,
    hash_of_fact,
)
from maingate.db.ledger.facts import Binding
from maingate.db.schema.tables import ENTITIES, metadata
from maingate.db.schema.triggers import triggers
from maingate.db.sql.columns import canonical
from maingate.db.sql.statements import change, quoted, rows_of


def drop_triggers(connection: Connection) -> None:
    """Do what somebody who wants to tamper does first."""
    for trigger in triggers(connection.dialect.name):
        name = trigger.statements[-1].split()[2]
        on_table = f" ON {trigger.table}" if connection.dialect.name == "postgresql" else ""
        connection.exec_driver_sql(f"DROP TRIGGER {name}{on_table}")


def rehash(connection: Connection, *, with_head: bool = True) -> None:
    """Hash everything anew to its end, as somebody with all rights could; entities and head with it."""
    ends: dict[str, tuple[str, str]] = {}
    for row in rows_of(connection, f"SELECT {', '.join(COLUMNS)} FROM state_transitions ORDER BY seq"):
        values = dict(zip(COLUMNS, row, strict=True))
        _, prev = ends.get(values["entity_id"], ("", None))
        digest = hash_of([values[name] for name in HASHED], prev)
        sql = "UPDATE state_transitions SET prev_hash = ?, hash = ? WHERE seq = ?"
        change(connection, sql, (prev, digest, values["seq"]))
        ends[values["entity_id"]] = (values["entity_type"], digest)
    for entity_id, (machine, digest) in ends.items():
        table = ENTITIES[machine].name
        change(connection, f"UPDATE {table} SET chain_hash = ? WHERE id = ?", (digest, entity_id))
    for table, columns, hash_row in (
        ("events", EVENT_COLUMNS, hash_of_event),
        ("facts", FACT_COLUMNS, hash_of_fact),
    ):
        for row in rows_of(connection, f"SELECT {', '.join(columns)} FROM {table}"):
            digest = hash_row(tuple(row)[:-1], None)
            change(connection, f"UPDATE {table} SET hash = ? WHERE seq = ?", (digest, row[0]))
    if with_head:
        numbers = " UNION ALL ".join(
            f"SELECT seq, hash FROM {table}" for table in ("state_transitions", "events", "facts")
        )
        found = rows_of(connection, f"SELECT hash FROM ({numbers}) numbers ORDER BY seq")
        head = running_head.onward(running_head.beginning(connection), (row[0] for row in found))
        change(connection, "UPDATE counters SET value = ?, head = ?", (len(found), head))


def rebind(connection: Connection) -> None:
    """Bind all rows anew as they are now; hash them with `rehash` after that."""
    for name in FACTS:
        table = metadata.tables[name]
        binding, columns = Binding(table), quoted(column.name for column in table.columns)
        for row in rows_of(connection, f"SELECT {columns} FROM {name}"):
            _, key, owner, sets = binding.fact(tuple(row))
            change(
                connection,
                "UPDATE facts SET entity_id = ?, sets = ? WHERE about = ? AND key = ? AND seq ="
                " (SELECT max(seq) FROM facts f WHERE f.about = facts.about AND f.key = facts.key)",
                (owner, sets, name, key),
            )
    for table in ENTITIES.values():
        names = [column.name for column in table.columns]
        for found in rows_of(connection, f"SELECT {quoted(names)} FROM {table.name}"):
            _rebind_entity(connection, table, dict(zip(names, found, strict=True)))


def _rebind_entity(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    sql = "SELECT seq, sets FROM state_transitions WHERE entity_id = ? ORDER BY seq"
    transitions = rows_of(connection, sql, (row["id"],))
    facts = rows_of(
        connection, "SELECT seq, sets FROM facts WHERE entity_id = ? AND about = ?", (row["id"], table.name)
    )
    last: dict[str, int] = {}
    texts = {seq: json.loads(sets) if sets else {} for seq, sets in (*transitions, *facts)}
    for seq in sorted(texts):
        last |= dict.fromkeys(texts[seq], seq)
    for column, seq in last.items():
        fixed = [row[name] for name in fixed_columns(table.name)]
        texts[seq][column] = digest_of(fixed) if column == WHOLE else form_of(row[column])
    for place, rows in (("state_transitions", transitions), ("facts", facts)):
        for seq, _ in rows:
            text = canonical(texts[seq]) if texts[seq] else None
            change(connection, f"UPDATE {place} SET sets = ? WHERE seq = ?", (text, seq))
