"""Tables of target branches: the intents to move them, the leases, and what waits to land on them."""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text

from maingate.db.schema.tables.table_parts import child_of, metadata, one_of, required
from maingate.db.sql.columns import FreeText, HolderText, JsonList, JsonText, ReasonText, StateText, Timestamp
from maingate.state.queue_item import QueueItemState

intents = Table(
    "intents",
    metadata,
    Column("id", Text, primary_key=True),
    child_of("run_id", "runs.id"),
    child_of("workstream_id", "workstreams.id"),
    required("ref"),
    Column("old", Text),
    required("new"),
    required("commits", JsonText),
    required("kind"),
    Column("reason", ReasonText),
    Column("operator", FreeText),
    required("state"),
    required("created_at", Timestamp),
    Column("completed_at", Timestamp),
    one_of("kind", "landing", "rollback"),
    one_of("state", "pending", "landed", "abandoned"),
    CheckConstraint("kind <> 'rollback' OR reason IS NOT NULL", name="rollback_has_reason"),
    CheckConstraint("(state = 'pending') = (completed_at IS NULL)", name="ended_has_end"),
    CheckConstraint("completed_at IS NULL OR completed_at >= created_at", name="times_in_order"),
    Index(None, "state"),
)
"""Refs that are about to move; written before git moves them, so that a crash in between can be completed."""

leases = Table(
    "leases",
    metadata,
    Column("key", Text, primary_key=True),
    required("holder", HolderText),
    required("host", FreeText),
    required("pid", Integer),
    required("pid_started", Text),
    required("token", BigInteger),
    required("acquired_at", Timestamp),
    required("expires_at", Timestamp),
    CheckConstraint("token >= 1", name="token"),
)
"""The holders of targets, runs and repositories. The token grows with every holder and fences off earlier."""

queue_items = Table(
    "queue_items",
    metadata,
    Column("workstream_id", Text, ForeignKey("workstreams.id"), primary_key=True),
    child_of("run_id", "runs.id"),
    required("target"),
    required("offer"),
    required("landing", JsonText),
    required("gates", JsonList),
    required("terms"),
    required("place", BigInteger),
    required("place_in_run", Integer),
    required("state", StateText(QueueItemState)),
    Column("reason", ReasonText),
    required("is_blamed", Boolean),
    required("is_wanted_back", Boolean),
    one_of("state", *QueueItemState),
    Index(None, "target"),
    Index(None, "run_id"),
)
"""Workstreams that their own run's process has handed to the one that holds their target, and its answers."""
