"""Tables of patches: the ledger, the diffs as bytes, and approvals."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from maingate.db.schema.tables.table_parts import child_of, entity, metadata, one_of, partial, required
from maingate.db.sql.columns import FreeText, JsonList, JsonText, ReasonText, Timestamp

patches = entity(
    "patches",
    "patch_ledger",
    child_of("run_id", "runs.id"),
    child_of("workstream_id", "workstreams.id"),
    child_of("task_id", "tasks.id"),
    required("format"),
    required("base_ref"),
    required("base_commit"),
    required("origin", JsonText),
    required("summary", FreeText),
    required("files", Integer),
    required("insertions", Integer),
    required("deletions", Integer),
    required("hunks", Integer),
    required("paths", JsonList),
    required("repairs", JsonList),
    required("change_key"),
    Column("method", Text),
    Column("commit", Text),
    Column("tree", Text),
    Column("quarantine_reason", ReasonText),
    Column("reason", ReasonText),
    child_of("replaces", "patches.id", nullable=True),
    Column("committed_at", Timestamp),
    one_of("format", "unified_diff"),
    one_of("method", "exact", "offset", "three_way"),
    CheckConstraint("length(summary) <= 512", name="summary_length"),
    CheckConstraint("files >= 0 AND insertions >= 0 AND deletions >= 0 AND hunks >= 0", name="scope_counts"),
    CheckConstraint("state <> 'quarantined' OR quarantine_reason IS NOT NULL", name="quarantined_has_reason"),
    CheckConstraint(
        "quarantine_reason IS NULL OR state IN ('quarantined', 'dropped')", name="only_quarantined_has_reason"
    ),
    CheckConstraint(
        "(state IN ('committed', 'rolled_back')) = (committed_at IS NOT NULL)", name="committed_has_time"
    ),
    Index(None, "run_id"),
    Index(None, "change_key"),
    Index(None, "task_id"),
    Index(None, "state", "created_at"),
    partial("ix_patches_replaces", "replaces", where="replaces IS NOT NULL"),
)

patch_artifacts = Table(
    "patch_artifacts",
    metadata,
    Column("patch_id", Text, ForeignKey("patches.id"), primary_key=True),
    required("sha256"),
    required("diff", LargeBinary),
    CheckConstraint("length(sha256) = 64", name="sha256"),
)

approvals = Table(
    "approvals",
    metadata,
    Column("patch_id", Text, ForeignKey("patches.id"), primary_key=True),
    Column("operator", FreeText, primary_key=True),
    required("message", FreeText),
    required("created_at", Timestamp),
)
"""Approvals of patches; a person counts once."""
