"""Tables of runs, workstreams and tasks: their needs, the requests of people, and why something waits."""

from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text

from maingate.db.schema.tables.table_parts import child_of, entity, metadata, one_of, partial, required
from maingate.db.sql.columns import (
    FreeText,
    JsonDocument,
    JsonText,
    PathText,
    ReasonText,
    StateText,
    Timestamp,
)
from maingate.state.holds import PUBLISHED, EndedBy, HoldCode

runs = entity(
    "runs",
    "run",
    required("name", FreeText),
    required("repository", PathText),
    required("repository_id"),
    required("target_ref"),
    required("landing"),
    required("strict", Boolean),
    required("plan", JsonDocument),
    required("tree_settings", JsonText),
    Column("plan_file", PathText),
    Column("old_head", Text),
    Column("new_head", Text),
    child_of("retry_of", "runs.id", nullable=True),
    Column("traceparent", Text),
    Column("reason", ReasonText),
    one_of("landing", "merge", "squash", "rebase"),
    Index(None, "created_at"),
    Index(None, "plan_file", "created_at"),
    partial("ix_runs_unfinished", "created_at", where="completed_at IS NULL"),
)

workstreams = entity(
    "workstreams",
    "workstream",
    child_of("run_id", "runs.id"),
    required("name", FreeText),
    required("title", FreeText),
    required("position", Integer),
    required("priority", Integer),
    required("is_critical", Boolean),
    Column("source", PathText),
    Column("base_commit", Text),
    Column("head_commit", Text),
    Column("landed_commit", Text),
    child_of("retry_of", "workstreams.id", nullable=True),
    Column("reason", ReasonText),
    Index(None, "run_id", "position"),
    partial("ix_workstreams_source", "source", "created_at", where="source IS NOT NULL"),
    partial(
        "uq_workstreams_name_in_run",
        "run_id",
        "name",
        where="retry_of IS NULL",
        is_unique=True,
    ),
)

tasks = entity(
    "tasks",
    "task",
    child_of("run_id", "runs.id"),
    child_of("workstream_id", "workstreams.id"),
    required("name", FreeText),
    required("position", Integer),
    required("is_critical", Boolean),
    required("kind"),
    required("spec", JsonText),
    child_of("worker_id", "workers.id", nullable=True),
    required("retry_count", Integer),
    required("max_retries", Integer),
    required("lost_count", Integer),
    required("attempt", Integer),
    Column("not_before", Timestamp),
    child_of("retry_of", "tasks.id", nullable=True),
    Column("reason", ReasonText),
    one_of("kind", "patch", "tool", "command", "noop"),
    CheckConstraint("worker_id IS NULL OR state = 'running'", name="only_running_has_worker"),
    CheckConstraint("retry_count >= 0 AND retry_count <= max_retries", name="retries_within_limit"),
    CheckConstraint("lost_count >= 0 AND attempt >= 0", name="counts"),
    Index(None, "run_id"),
    Index(None, "workstream_id", "position"),
    partial(
        "uq_tasks_name_in_workstream",
        "workstream_id",
        "name",
        where="retry_of IS NULL",
        is_unique=True,
    ),
)

task_needs = Table(
    "task_needs",
    metadata,
    Column("task_id", Text, ForeignKey("tasks.id"), primary_key=True),
    Column("needs_id", Text, ForeignKey("tasks.id"), primary_key=True),
    CheckConstraint("task_id <> needs_id", name="not_itself"),
)

workstream_needs = Table(
    "workstream_needs",
    metadata,
    Column("workstream_id", Text, ForeignKey("workstreams.id"), primary_key=True),
    Column("needs_id", Text, ForeignKey("workstreams.id"), primary_key=True),
    CheckConstraint("workstream_id <> needs_id", name="not_itself"),
)

requests = Table(
    "requests",
    metadata,
    Column("id", Text, primary_key=True),
    child_of("run_id", "runs.id"),
    required("kind"),
    required("entity_id"),
    required("message", FreeText),
    required("operator", FreeText),
    required("created_at", Timestamp),
    Column("handled_at", Timestamp),
    Column("answer", FreeText),
    required("is_refused", Boolean),
    one_of("kind", "cancel", "force-complete", "force-fail", "reset", "unblock", "fail", "validate"),
    CheckConstraint("(handled_at IS NULL) = (answer IS NULL)", name="handled_has_answer"),
    CheckConstraint("handled_at IS NOT NULL OR NOT is_refused", name="refused_is_handled"),
    CheckConstraint("handled_at IS NULL OR handled_at >= created_at", name="times_in_order"),
    Index(None, "run_id", "handled_at"),
)
"""Requests of people to a run that another process controls; that process reads them here and answers."""

holds = Table(
    "holds",
    metadata,
    Column("entity_id", Text, primary_key=True),
    child_of("run_id", "runs.id"),
    required("code", StateText(HoldCode)),
    required("about", JsonText),
    required("since", Timestamp),
    required("ends_by", StateText(EndedBy)),
    one_of("code", *PUBLISHED),
    one_of("ends_by", *EndedBy),
    Index(None, "run_id"),
)
"""Why entities of a run wait, as the process at work on it says: a cache, and no part of the record."""
