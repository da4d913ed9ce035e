"""Tables of rollups: numbers of events and durations by the hour."""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Table, UniqueConstraint

from maingate.db.schema.rollup_kinds import EVENT_COLUMNS, MEASURE_COLUMNS
from maingate.db.schema.tables.table_parts import metadata, required

event_kinds = Table(
    "event_kinds",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    *(required(name) for name in EVENT_COLUMNS),
    UniqueConstraint(*EVENT_COLUMNS, name="uq_event_kinds"),
)
"""The kinds by which `maingate.db.rollups` counts events; an empty text stands for none."""

duration_kinds = Table(
    "duration_kinds",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    *(required(name) for name in MEASURE_COLUMNS),
    UniqueConstraint(*MEASURE_COLUMNS, name="uq_duration_kinds"),
)
"""The kinds by which `maingate.db.rollups` keeps durations and sums; an empty text stands for none."""

event_rollups = Table(
    "event_rollups",
    metadata,
    Column("kind_id", Integer, ForeignKey("event_kinds.id"), primary_key=True, autoincrement=False),
    Column("hour", Integer, primary_key=True, autoincrement=False),
    required("count", BigInteger),
    sqlite_with_rowid=False,
)
"""The number of events of a kind in an hour since the epoch; hour -1 counts all time."""

duration_rollups = Table(
    "duration_rollups",
    metadata,
    Column("kind_id", Integer, ForeignKey("duration_kinds.id"), primary_key=True, autoincrement=False),
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("bucket", Integer, primary_key=True, autoincrement=False),
    required("count", BigInteger),
    required("total", BigInteger),
    sqlite_with_rowid=False,
)
"""The values of a kind in an hour, by bucket of their histogram; their sum is that over all its rows."""

rollup_hours = Table(
    "rollup_hours",
    metadata,
    Column("hour", Integer, primary_key=True, autoincrement=False),
    required("first_seq", BigInteger),
    required("last_seq", BigInteger),
)
"""The first and the last row of the ledger with a time in an hour: rows are found by it without an index on
their times. Hour -1 stands for the hours that were removed."""
