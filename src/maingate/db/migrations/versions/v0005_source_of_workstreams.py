"""The work that a workstream's patches are of, by which a later attempt of the same work is known."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, which older programs can leave out, and its index."""
    op.add_column("workstreams", sa.Column("source", sa.Text(), nullable=True))
    op.create_index(
        "ix_workstreams_source",
        "workstreams",
        ["source", "created_at"],
        unique=False,
        sqlite_where=sa.text("source IS NOT NULL"),
        postgresql_where=sa.text("source IS NOT NULL"),
    )
