"""What somebody with all rights on the database could do: the triggers away, everything hashed anew."""

from sqlalchemy import Connection

from maingate.db import ledger
from maingate.db.chain import (
    COLUMNS,
    EVENT_COLUMNS,
    FACT_COLUMNS,
    HASHED,
    hash_of,
    hash_of_event,
    hash_of_fact,
)
from maingate.db.statements import change, rows_of
from maingate.db.tables import ENTITIES
from maingate.db.triggers import triggers


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
        head = ledger.onward(ledger.beginning(connection), (row[0] for row in found))
        change(connection, "UPDATE counters SET value = ?, head = ?", (len(found), head))
