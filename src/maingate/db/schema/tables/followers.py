"""Tables of followers of the ledger, with the receivers of webhooks."""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Integer, Table, Text

from maingate.db.schema.tables.table_parts import metadata, required
from maingate.db.sql.columns import FreeText, Timestamp

followers = Table(
    "followers",
    metadata,
    Column("name", Text, primary_key=True),
    required("seq", BigInteger),
    required("updated_at", Timestamp),
    required("failures", Integer),
    Column("failure", FreeText),
    Column("holder", Text),
    Column("held_until", Timestamp),
    CheckConstraint("seq >= 0 AND failures >= 0", name="counts"),
    CheckConstraint("(failures = 0) = (failure IS NULL)", name="failed_has_failure"),
    CheckConstraint("(holder IS NULL) = (held_until IS NULL)", name="held_has_end"),
)
"""The positions of the followers of the ledger (`maingate.db.ledger.follower_positions`)."""

webhooks = Table(
    "webhooks",
    metadata,
    Column("repository_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    required("seq", BigInteger),
    required("delivered", BigInteger),
    required("failed", BigInteger),
    Column("delivered_at", Timestamp),
    required("failures", Integer),
    Column("failure", FreeText),
    Column("failing_since", Timestamp),
    Column("tried_at", Timestamp),
    Column("next_at", Timestamp),
    required("is_gone", Boolean),
    Column("holder", Text),
    Column("held_until", Timestamp),
    CheckConstraint("seq >= 0 AND delivered >= 0 AND failed >= failures AND failures >= 0", name="counts"),
    CheckConstraint(
        "(failures = 0) = (failure IS NULL) AND (failures = 0) = (failing_since IS NULL)"
        " AND (failures = 0) = (next_at IS NULL)",
        name="failed_has_failure",
    ),
    CheckConstraint("(holder IS NULL) = (held_until IS NULL)", name="held_has_end"),
)
"""The receivers of webhooks: the last row of the ledger that each is done with, and how it fares."""
