"""The queue of a target over several runs: workstreams that one process hands to another to land."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table of the queue."""
    op.create_table(
        "queue_items",
        sa.Column("workstream_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("offer", sa.Text(), nullable=False),
        sa.Column("landing", sa.Text(), nullable=False),
        sa.Column("gates", sa.Text(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("place_in_run", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("is_blamed", sa.Boolean(), nullable=False),
        sa.Column("is_wanted_back", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "state IN ('waiting', 'landing', 'landed', 'refused', 'returned')",
            name=op.f("ck_queue_items_state"),
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_queue_items_run_id")),
        sa.ForeignKeyConstraint(
            ["workstream_id"], ["workstreams.id"], name=op.f("fk_queue_items_workstream_id")
        ),
        sa.PrimaryKeyConstraint("workstream_id", name=op.f("pk_queue_items")),
    )
    op.create_index(op.f("ix_queue_items_run_id"), "queue_items", ["run_id"], unique=False)
    op.create_index(op.f("ix_queue_items_target"), "queue_items", ["target"], unique=False)
