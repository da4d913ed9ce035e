"""Tables of the HTTP interface: tokens of callers, their sessions, and answers that are asked for again."""

from sqlalchemy import CheckConstraint, Column, Index, Integer, Table, Text, UniqueConstraint

from maingate.db.schema.tables.table_parts import child_of, metadata, one_of, required
from maingate.db.sql.columns import FreeText, JsonText, StateText, Timestamp
from maingate.roles import Role

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    required("name", FreeText),
    required("role", StateText(Role)),
    required("secret_hash"),
    required("created_by", FreeText),
    required("created_at", Timestamp),
    Column("last_used_at", Timestamp),
    Column("revoked_at", Timestamp),
    one_of("role", *Role),
    CheckConstraint("length(secret_hash) = 64", name="secret_hash"),
    UniqueConstraint("name"),
)
"""Tokens of the HTTP interface. A name is never given twice, because decisions bear it as their operator."""

sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    child_of("token_id", "tokens.id"),
    required("secret_hash"),
    required("created_at", Timestamp),
    required("expires_at", Timestamp),
    Column("ended_at", Timestamp),
    CheckConstraint("length(secret_hash) = 64", name="secret_hash"),
    CheckConstraint("expires_at > created_at", name="times_in_order"),
    Index(None, "token_id"),
)
"""Sessions of browsers: each is one of a token, and has a secret of its own."""

answers = Table(
    "answers",
    metadata,
    Column("operator", FreeText, primary_key=True),
    Column("key", Text, primary_key=True),
    required("fingerprint"),
    required("claim"),
    required("created_at", Timestamp),
    Column("made", FreeText),
    Column("status", Integer),
    Column("headers", JsonText),
    Column("body", Text),
    CheckConstraint("(status IS NULL) = (body IS NULL)", name="answered_has_body"),
    CheckConstraint("(status IS NULL) = (headers IS NULL)", name="answered_has_headers"),
    Index(None, "created_at"),
)
"""Answers to requests with an idempotency key; one without a status is under way or was interrupted."""
