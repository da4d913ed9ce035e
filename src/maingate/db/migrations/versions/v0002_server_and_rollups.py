"""Tokens and sessions, answers kept, holds, roll-ups, followers and webhooks; indexes for lists of attempts.

A record of 0.1.0 has nothing of the kinds that begin here, and its roll-ups are counted from row 1 of its
ledger by the first process that rolls up (`maingate.db.rollups.store`).
"""

# ruff: noqa: E501 - a CHECK is one string, as the database has it

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, the indexes, then the tables."""
    _add_columns()
    _make_indexes()
    _create_http()
    _create_holds()
    _create_rollups()
    _create_followers()


def _add_columns() -> None:
    """Add columns that a process of the older program, if one is still at work, can leave out."""
    op.add_column("runs", sa.Column("traceparent", sa.Text(), nullable=True))
    op.add_column("breakers", sa.Column("writes", sa.Integer(), server_default=sa.text("0"), nullable=False))


def _make_indexes() -> None:
    op.drop_index(op.f("ix_patches_state"), "patches")
    op.create_index(op.f("ix_patches_state_created_at"), "patches", ["state", "created_at"], unique=False)
    op.create_index(
        "ix_runs_unfinished",
        "runs",
        ["created_at"],
        unique=False,
        sqlite_where=sa.text("completed_at IS NULL"),
        postgresql_where=sa.text("completed_at IS NULL"),
    )
    op.create_index(op.f("ix_runs_plan_file_created_at"), "runs", ["plan_file", "created_at"], unique=False)
    op.create_index(
        "ix_patches_replaces",
        "patches",
        ["replaces"],
        unique=False,
        sqlite_where=sa.text("replaces IS NOT NULL"),
        postgresql_where=sa.text("replaces IS NOT NULL"),
    )


def _create_http() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "role IN ('viewer', 'submitter', 'operator', 'admin')", name=op.f("ck_tokens_role")
        ),
        sa.CheckConstraint("length(secret_hash) = 64", name=op.f("ck_tokens_secret_hash")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("name", name=op.f("uq_tokens_name")),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("token_id", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("length(secret_hash) = 64", name=op.f("ck_sessions_secret_hash")),
        sa.CheckConstraint("expires_at > created_at", name=op.f("ck_sessions_times_in_order")),
        sa.ForeignKeyConstraint(["token_id"], ["tokens.id"], name=op.f("fk_sessions_token_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_token_id"), "sessions", ["token_id"], unique=False)
    op.create_table(
        "answers",
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("claim", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("made", sa.Text(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.CheckConstraint("(status IS NULL) = (body IS NULL)", name=op.f("ck_answers_answered_has_body")),
        sa.CheckConstraint(
            "(status IS NULL) = (headers IS NULL)", name=op.f("ck_answers_answered_has_headers")
        ),
        sa.PrimaryKeyConstraint("operator", "key", name=op.f("pk_answers")),
    )
    op.create_index(op.f("ix_answers_created_at"), "answers", ["created_at"], unique=False)


def _create_holds() -> None:
    op.create_table(
        "holds",
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("ends_by", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "code IN ('resume', 'server', 'budget', 'draining', 'next_step', 'parts', 'workstream', 'needs', 'worker', 'tool', 'paths', 'work', 'retry', 'lane', 'approvals', 'gates', 'landing_order', 'landing', 'ended')",
            name=op.f("ck_holds_code"),
        ),
        sa.CheckConstraint("ends_by IN ('run', 'time', 'person')", name=op.f("ck_holds_ends_by")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_holds_run_id")),
        sa.PrimaryKeyConstraint("entity_id", name=op.f("pk_holds")),
    )
    op.create_index(op.f("ix_holds_run_id"), "holds", ["run_id"], unique=False)


def _create_rollups() -> None:
    op.create_table(
        "event_kinds",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("entity_type", sa.Text(), nullable=False),
        sa.Column("from_state", sa.Text(), nullable=False),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("gate", sa.Text(), nullable=False),
        sa.Column("tool", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_kinds")),
        sa.UniqueConstraint(
            "event_type",
            "entity_type",
            "from_state",
            "to_state",
            "trigger",
            "severity",
            "operator",
            "reason",
            "gate",
            "tool",
            "variant",
            "mark",
            name="uq_event_kinds",
        ),
    )
    op.create_table(
        "duration_kinds",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("entity_type", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("gate", sa.Text(), nullable=False),
        sa.Column("tool", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_duration_kinds")),
        sa.UniqueConstraint(
            "measure", "entity_type", "state", "gate", "tool", "variant", name="uq_duration_kinds"
        ),
    )
    op.create_table(
        "event_rollups",
        sa.Column("kind_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["kind_id"], ["event_kinds.id"], name=op.f("fk_event_rollups_kind_id")),
        sa.PrimaryKeyConstraint("kind_id", "hour", name=op.f("pk_event_rollups")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "duration_rollups",
        sa.Column("kind_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bucket", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["kind_id"], ["duration_kinds.id"], name=op.f("fk_duration_rollups_kind_id")),
        sa.PrimaryKeyConstraint("kind_id", "hour", "bucket", name=op.f("pk_duration_rollups")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rollup_hours",
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hour", name=op.f("pk_rollup_hours")),
    )


def _create_followers() -> None:
    op.create_table(
        "followers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("held_until", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("seq >= 0 AND failures >= 0", name=op.f("ck_followers_counts")),
        sa.CheckConstraint(
            "(failures = 0) = (failure IS NULL)", name=op.f("ck_followers_failed_has_failure")
        ),
        sa.CheckConstraint("(holder IS NULL) = (held_until IS NULL)", name=op.f("ck_followers_held_has_end")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_followers")),
    )
    op.create_table(
        "webhooks",
        sa.Column("repository_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("delivered", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("failing_since", sa.BigInteger(), nullable=True),
        sa.Column("tried_at", sa.BigInteger(), nullable=True),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.Column("is_gone", sa.Boolean(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("held_until", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "seq >= 0 AND delivered >= 0 AND failed >= failures AND failures >= 0",
            name=op.f("ck_webhooks_counts"),
        ),
        sa.CheckConstraint(
            "(failures = 0) = (failure IS NULL) AND (failures = 0) = (failing_since IS NULL) AND (failures = 0) = (next_at IS NULL)",
            name=op.f("ck_webhooks_failed_has_failure"),
        ),
        sa.CheckConstraint("(holder IS NULL) = (held_until IS NULL)", name=op.f("ck_webhooks_held_has_end")),
        sa.PrimaryKeyConstraint("repository_id", "name", name=op.f("pk_webhooks")),
    )
