"""Tables of the ledger: transitions, events and facts in one sequence, and the identity of the record."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, Table, Text, UniqueConstraint

from maingate.db.schema.tables.table_parts import SEQUENCE, metadata, one_of, required
from maingate.db.sql.columns import FreeText, Timestamp
from maingate.events import Severity
from maingate.state.machines import MACHINES

state_transitions = Table(
    "state_transitions",
    metadata,
    Column("seq", SEQUENCE, primary_key=True, autoincrement=False),
    required("event_id"),
    required("entity_type"),
    required("entity_id"),
    required("version", Integer),
    Column("from_state", Text),
    required("to_state"),
    required("trigger"),
    Column("reason", Text),
    required("metadata"),
    Column("operator", FreeText),
    Column("run_id", Text),
    Column("workstream_id", Text),
    Column("task_id", Text),
    required("at", Timestamp),
    Column("sets", Text),
    Column("prev_hash", Text),
    required("hash"),
    one_of("entity_type", *MACHINES),
    CheckConstraint("version >= 1", name="version"),
    CheckConstraint(
        "(version = 1) = (from_state IS NULL) AND (version = 1) = (prev_hash IS NULL)", name="first_of_chain"
    ),
    UniqueConstraint("entity_id", "version"),
    Index(None, "run_id", "seq"),
)
"""The audit: one row per transition, a hash chain per entity. The reason, the metadata and ``sets``
(`maingate.db.ledger.bound_columns`) are stored as the text that was hashed. No foreign key leads to an
entity, because the audit must outlive its entities."""

events = Table(
    "events",
    metadata,
    Column("seq", SEQUENCE, primary_key=True, autoincrement=False),
    required("event_id"),
    required("event_type"),
    required("severity"),
    Column("entity_type", Text),
    Column("entity_id", Text),
    Column("from_state", Text),
    Column("to_state", Text),
    Column("trigger", Text),
    Column("reason", Text),
    required("metadata"),
    Column("operator", FreeText),
    Column("run_id", Text),
    Column("workstream_id", Text),
    Column("task_id", Text),
    required("at", Timestamp),
    required("hash"),
    one_of("severity", *Severity),
    Index(None, "entity_id", "seq"),
    Index(None, "run_id", "seq"),
)
"""Events that are no change of state: overrides, errors, warnings (docs/SPECIFICATION.md §7)."""

facts = Table(
    "facts",
    metadata,
    Column("seq", SEQUENCE, primary_key=True, autoincrement=False),
    required("event_id"),
    required("about"),
    required("key"),
    required("entity_id"),
    required("sets"),
    required("hash"),
)
"""The binding of a row of another table: the table, the row's key, its entity, and the text that binds it
(`maingate.db.ledger.bound_columns`). When the row changes another fact follows; the last one counts."""

counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    required("value", BigInteger),
    Column("head", Text),
    CheckConstraint("value >= 0", name="value"),
)
"""Numbers allocated within transactions. ``event`` numbers transitions, events and facts together, so that
the sequence has no gap and follows the order of the commits; a gap means that a row was removed. The head is
the running hash over all of them (`maingate.db.ledger.running_head`)."""

record = Table("record", metadata, Column("id", Text, primary_key=True))
"""The identity of this database, one row, by which a process recognises the record of its run."""
