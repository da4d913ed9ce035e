"""Tables of the queues of target branches: the views that people are shown, and the orders that they give."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Integer, Table, Text

from maingate.db.schema.tables.table_parts import child_of, metadata, one_of, required
from maingate.db.sql.columns import FreeText, JsonList, JsonText, StateText, Timestamp
from maingate.state.queue_control import QueueOrder

queue_views = Table(
    "queue_views",
    metadata,
    Column("key", Text, primary_key=True),
    child_of("run_id", "runs.id"),
    required("view", JsonText),
    required("at", Timestamp),
)
"""Views of queues, as the processes at work publish them: a cache, and no part of the record."""

queue_controls = Table(
    "queue_controls",
    metadata,
    Column("key", Text, primary_key=True),
    Column("kind", StateText(QueueOrder), primary_key=True),
    required("operator", FreeText),
    required("reason", FreeText),
    required("since", Timestamp),
    Column("until", Timestamp),
    Column("cron", Text),
    Column("zone", Text),
    Column("seconds", Integer),
    Column("on_board", JsonList),
    one_of("kind", *QueueOrder),
    CheckConstraint("(kind = 'freeze') = (until IS NOT NULL)", name="freeze_has_end"),
    CheckConstraint(
        "(kind = 'schedule') = (cron IS NOT NULL AND zone IS NOT NULL AND seconds IS NOT NULL)",
        name="schedule_has_times",
    ),
    CheckConstraint("on_board IS NULL OR kind = 'drain'", name="only_drain_has_board"),
)
"""The orders about queues that have not been taken back; an event records each."""

queue_ranks = Table(
    "queue_ranks",
    metadata,
    Column("workstream_id", Text, ForeignKey("workstreams.id"), primary_key=True),
    required("key"),
    required("rank", Integer),
    CheckConstraint("rank <> 0", name="rank"),
)
"""Workstreams that people have sent to the front of a queue (below 0) or to its end; events record that."""
