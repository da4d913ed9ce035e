"""The queue of a target as people see it, and the orders that they give about it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "queue_views",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("view", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_queue_views_run_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_queue_views")),
    )
    op.create_table(
        "queue_controls",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("cron", sa.Text(), nullable=True),
        sa.Column("zone", sa.Text(), nullable=True),
        sa.Column("seconds", sa.Integer(), nullable=True),
        sa.Column("on_board", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('pause', 'drain', 'freeze', 'schedule')", name=op.f("ck_queue_controls_kind")
        ),
        sa.CheckConstraint(
            "(kind = 'freeze') = (until IS NOT NULL)", name=op.f("ck_queue_controls_freeze_has_end")
        ),
        sa.CheckConstraint(
            "(kind = 'schedule') = (cron IS NOT NULL AND zone IS NOT NULL AND seconds IS NOT NULL)",
            name=op.f("ck_queue_controls_schedule_has_times"),
        ),
        sa.CheckConstraint(
            "on_board IS NULL OR kind = 'drain'", name=op.f("ck_queue_controls_only_drain_has_board")
        ),
        sa.PrimaryKeyConstraint("key", "kind", name=op.f("pk_queue_controls")),
    )
    op.create_table(
        "queue_ranks",
        sa.Column("workstream_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.CheckConstraint("rank <> 0", name=op.f("ck_queue_ranks_rank")),
        sa.ForeignKeyConstraint(
            ["workstream_id"], ["workstreams.id"], name=op.f("fk_queue_ranks_workstream_id")
        ),
        sa.PrimaryKeyConstraint("workstream_id", name=op.f("pk_queue_ranks")),
    )
