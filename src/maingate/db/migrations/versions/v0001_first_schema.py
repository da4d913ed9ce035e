"""The first schema: entities, audit, events, evidence, intents and leases."""

# ruff: noqa: E501 - a CHECK is one string, as the database has it

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

FIXED_COLUMNS = (("workstreams", "is_critical"), ("tasks", "is_critical"), ("workers", "affinity"))
APPEND_ONLY = ("state_transitions", "events", "facts")


def upgrade() -> None:
    """Create the tables, then the triggers."""
    _create_tables()
    if op.get_bind().dialect.name == "sqlite":
        _create_sqlite_triggers()
    else:
        _create_postgresql_triggers()


def _create_sqlite_triggers() -> None:
    for table, column in FIXED_COLUMNS:
        op.execute(
            f"CREATE TRIGGER {table}_{column}_is_fixed BEFORE UPDATE OF {column} ON {table} "
            f"WHEN NEW.{column} IS NOT OLD.{column} "
            f"BEGIN SELECT RAISE(ABORT, '{table}: {column} never changes after creation'); END"
        )
    for table in APPEND_ONLY:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table}: rows are never changed or removed'); END"
            )


def _create_postgresql_triggers() -> None:
    for table, column in FIXED_COLUMNS:
        name = f"{table}_{column}_is_fixed"
        _create_refusal(name, f"{table}: {column} never changes after creation")
        op.execute(
            f"CREATE TRIGGER {name} BEFORE UPDATE OF {column} ON {table} FOR EACH ROW "
            f"WHEN (NEW.{column} IS DISTINCT FROM OLD.{column}) EXECUTE FUNCTION {name}()"
        )
    for table in APPEND_ONLY:
        name = f"{table}_append_only"
        _create_refusal(name, f"{table}: rows are never changed or removed")
        op.execute(
            f"CREATE TRIGGER {name} BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        )


def _create_refusal(name: str, message: str) -> None:
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation'; END$$"
    )


def _create_tables() -> None:
    op.create_table(
        "record",
        sa.Column("id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_record")),
    )
    op.create_table(
        "breakers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tool", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("threshold", sa.Integer(), nullable=False),
        sa.Column("cooldown_ms", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=True),
        sa.Column("probe_task", sa.Text(), nullable=True),
        sa.Column("probe_attempt", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("chain_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(state = 'CLOSED') = (opened_at IS NULL)", name=op.f("ck_breakers_open_since")),
        sa.CheckConstraint(
            "(probe_task IS NULL) = (probe_attempt IS NULL) AND (probe_task IS NULL OR state = 'HALF_OPEN')",
            name=op.f("ck_breakers_probe_is_held"),
        ),
        sa.CheckConstraint("state IN ('CLOSED', 'OPEN', 'HALF_OPEN')", name=op.f("ck_breakers_state")),
        sa.CheckConstraint(
            "changed_at >= created_at AND (started_at IS NULL OR started_at >= created_at) AND (completed_at IS NULL OR completed_at >= coalesce(started_at, created_at))",
            name=op.f("ck_breakers_times_in_order"),
        ),
        sa.CheckConstraint("completed_at IS NULL", name=op.f("ck_breakers_ended_has_end")),
        sa.CheckConstraint(
            "failures >= 0 AND threshold >= 1 AND cooldown_ms >= 0", name=op.f("ck_breakers_counts")
        ),
        sa.CheckConstraint("length(chain_hash) = 64", name=op.f("ck_breakers_chain_hash")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_breakers_version")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_breakers")),
        sa.UniqueConstraint("tool", name=op.f("uq_breakers_tool")),
    )
    op.create_table(
        "counters",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.Text(), nullable=True),
        sa.CheckConstraint("value >= 0", name=op.f("ck_counters_value")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counters")),
    )
    op.create_table(
        "events",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("entity_type", sa.Text(), nullable=True),
        sa.Column("entity_id", sa.Text(), nullable=True),
        sa.Column("from_state", sa.Text(), nullable=True),
        sa.Column("to_state", sa.Text(), nullable=True),
        sa.Column("trigger", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("workstream_id", sa.Text(), nullable=True),
        sa.Column("task_id", sa.Text(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "severity IN ('info', 'warning', 'error', 'critical')", name=op.f("ck_events_severity")
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_entity_id_seq"), "events", ["entity_id", "seq"], unique=False)
    op.create_index(op.f("ix_events_run_id_seq"), "events", ["run_id", "seq"], unique=False)
    op.create_table(
        "facts",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.Column("sets", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_facts")),
    )
    op.create_table(
        "leases",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("pid_started", sa.Text(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("acquired_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("token >= 1", name=op.f("ck_leases_token")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_leases")),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("repository", sa.Text(), nullable=False),
        sa.Column("repository_id", sa.Text(), nullable=False),
        sa.Column("target_ref", sa.Text(), nullable=False),
        sa.Column("landing", sa.Text(), nullable=False),
        sa.Column("strict", sa.Boolean(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("tree_settings", sa.Text(), nullable=False),
        sa.Column("plan_file", sa.Text(), nullable=True),
        sa.Column("old_head", sa.Text(), nullable=True),
        sa.Column("new_head", sa.Text(), nullable=True),
        sa.Column("retry_of", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("chain_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(state IN ('succeeded', 'failed', 'canceled')) = (completed_at IS NOT NULL)",
            name=op.f("ck_runs_ended_has_end"),
        ),
        sa.CheckConstraint("landing IN ('merge', 'squash', 'rebase')", name=op.f("ck_runs_landing")),
        sa.CheckConstraint(
            "state IN ('pending', 'running', 'succeeded', 'failed', 'canceled')", name=op.f("ck_runs_state")
        ),
        sa.CheckConstraint(
            "changed_at >= created_at AND (started_at IS NULL OR started_at >= created_at) AND (completed_at IS NULL OR completed_at >= coalesce(started_at, created_at))",
            name=op.f("ck_runs_times_in_order"),
        ),
        sa.CheckConstraint("length(chain_hash) = 64", name=op.f("ck_runs_chain_hash")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_runs_version")),
        sa.ForeignKeyConstraint(["retry_of"], ["runs.id"], name=op.f("fk_runs_retry_of")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    op.create_index(op.f("ix_runs_created_at"), "runs", ["created_at"], unique=False)
    op.create_table(
        "state_transitions",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("entity_type", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("from_state", sa.Text(), nullable=True),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("workstream_id", sa.Text(), nullable=True),
        sa.Column("task_id", sa.Text(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("sets", sa.Text(), nullable=True),
        sa.Column("prev_hash", sa.Text(), nullable=True),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "entity_type IN ('run', 'workstream', 'task', 'worker', 'uet_worker', 'patch_ledger', 'test_gate', 'circuit_breaker')",
            name=op.f("ck_state_transitions_entity_type"),
        ),
        sa.CheckConstraint(
            "(version = 1) = (from_state IS NULL) AND (version = 1) = (prev_hash IS NULL)",
            name=op.f("ck_state_transitions_first_of_chain"),
        ),
        sa.CheckConstraint("version >= 1", name=op.f("ck_state_transitions_version")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_state_transitions")),
        sa.UniqueConstraint("entity_id", "version", name=op.f("uq_state_transitions_entity_id_version")),
    )
    op.create_index(
        op.f("ix_state_transitions_run_id_seq"), "state_transitions", ["run_id", "seq"], unique=False
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=True),
        sa.Column("pid_started", sa.Text(), nullable=False),
        sa.Column("capabilities", sa.Text(), nullable=False),
        sa.Column("affinity", sa.Text(), nullable=False),
        sa.Column("max_concurrent_tasks", sa.Integer(), nullable=False),
        sa.Column("current_load", sa.Integer(), nullable=False),
        sa.Column("heartbeat_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("chain_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(state IN ('shutdown')) = (completed_at IS NOT NULL)", name=op.f("ck_workers_ended_has_end")
        ),
        sa.CheckConstraint(
            "state IN ('initializing', 'idle', 'busy', 'unresponsive', 'shutdown')",
            name=op.f("ck_workers_state"),
        ),
        sa.CheckConstraint(
            "changed_at >= created_at AND (started_at IS NULL OR started_at >= created_at) AND (completed_at IS NULL OR completed_at >= coalesce(started_at, created_at))",
            name=op.f("ck_workers_times_in_order"),
        ),
        sa.CheckConstraint(
            "current_load >= 0 AND current_load <= max_concurrent_tasks",
            name=op.f("ck_workers_load_within_capacity"),
        ),
        sa.CheckConstraint("length(chain_hash) = 64", name=op.f("ck_workers_chain_hash")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_workers_version")),
        sa.ForeignKeyConstraint(["parent_id"], ["workers.id"], name=op.f("fk_workers_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    op.create_index(
        "ix_workers_alive",
        "workers",
        ["created_at"],
        unique=False,
        sqlite_where=sa.text("completed_at IS NULL"),
        postgresql_where=sa.text("completed_at IS NULL"),
    )
    op.create_table(
        "uet_workers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=True),
        sa.Column("pid_started", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("chain_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(state IN ('TERMINATED')) = (completed_at IS NOT NULL)",
            name=op.f("ck_uet_workers_ended_has_end"),
        ),
        sa.CheckConstraint(
            "state IN ('SPAWNING', 'IDLE', 'BUSY', 'DRAINING', 'TERMINATED')",
            name=op.f("ck_uet_workers_state"),
        ),
        sa.CheckConstraint(
            "changed_at >= created_at AND (started_at IS NULL OR started_at >= created_at) AND (completed_at IS NULL OR completed_at >= coalesce(started_at, created_at))",
            name=op.f("ck_uet_workers_times_in_order"),
        ),
        sa.CheckConstraint("length(chain_hash) = 64", name=op.f("ck_uet_workers_chain_hash")),
        sa.CheckConstraint("slot >= 0", name=op.f("ck_uet_workers_slot")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_uet_workers_version")),
        sa.ForeignKeyConstraint(["worker_id"], ["workers.id"], name=op.f("fk_uet_workers_worker_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uet_workers")),
    )
    op.create_index(op.f("ix_uet_workers_worker_id"), "uet_workers", ["worker_id"], unique=False)
    op.create_table(
        "workstreams",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("is_critical", sa.Boolean(), nullable=False),
        sa.Column("base_commit", sa.Text(), nullable=True),
        sa.Column("head_commit", sa.Text(), nullable=True),
        sa.Column("landed_commit", sa.Text(), nullable=True),
        sa.Column("retry_of", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("chain_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(state IN ('completed', 'failed', 'cancelled', 'skipped')) = (completed_at IS NOT NULL)",
            name=op.f("ck_workstreams_ended_has_end"),
        ),
        sa.CheckConstraint(
            "state IN ('planned', 'ready', 'blocked', 'executing', 'validating', 'completed', 'failed', 'cancelled', 'skipped')",
            name=op.f("ck_workstreams_state"),
        ),
        sa.CheckConstraint(
            "changed_at >= created_at AND (started_at IS NULL OR started_at >= created_at) AND (completed_at IS NULL OR completed_at >= coalesce(started_at, created_at))",
            name=op.f("ck_workstreams_times_in_order"),
        ),
        sa.CheckConstraint("length(chain_hash) = 64", name=op.f("ck_workstreams_chain_hash")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_workstreams_version")),
        sa.ForeignKeyConstraint(["retry_of"], ["workstreams.id"], name=op.f("fk_workstreams_retry_of")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_workstreams_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workstreams")),
    )
    op.create_index(
        op.f("ix_workstreams_run_id_position"), "workstreams", ["run_id", "position"], unique=False
    )
    op.create_index(
        "uq_workstreams_name_in_run",
        "workstreams",
        ["run_id", "name"],
        unique=True,
        sqlite_where=sa.text("retry_of IS NULL"),
        postgresql_where=sa.text("retry_of IS NULL"),
    )
    op.create_table(
        "intents",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("workstream_id", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("old", sa.Text(), nullable=True),
        sa.Column("new", sa.Text(), nullable=False),
        sa.Column("commits", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("operator", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(state = 'pending') = (completed_at IS NULL)", name=op.f("ck_intents_ended_has_end")
        ),
        sa.CheckConstraint("state IN ('pending', 'landed', 'abandoned')", name=op.f("ck_intents_state")),
        sa.CheckConstraint("kind IN ('landing', 'rollback')", name=op.f("ck_intents_kind")),
        sa.CheckConstraint(
            "kind <> 'rollback' OR reason IS NOT NULL", name=op.f("ck_intents_rollback_has_reason")
        ),
        sa.CheckConstraint(
            "completed_at IS NULL OR completed_at >= created_at", name=op.f("ck_intents_times_in_order")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_intents_run_id")),
        sa.ForeignKeyConstraint(["workstream_id"], ["workstreams.id"], name=op.f("fk_intents_workstream_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_intents")),
    )
    op.create_index(op.f("ix_intents_state"), "intents", ["state"], unique=False)
    op.create_table(
        "tasks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("workstream_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("is_critical", sa.Boolean(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=True),
        sa.Column("retry_count", sa.Integer(), nullable=False),
        sa.Column("max_retries", sa.Integer(), nullable=False),
        sa.Column("lost_count", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=True),
        sa.Column("retry_of", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("chain_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(state IN ('completed', 'failed', 'cancelled')) = (completed_at IS NOT NULL)",
            name=op.f("ck_tasks_ended_has_end"),
        ),
        sa.CheckConstraint("kind IN ('patch', 'tool', 'command', 'noop')", name=op.f("ck_tasks_kind")),
        sa.CheckConstraint(
            "state IN ('pending', 'queued', 'blocked', 'running', 'validating', 'completed', 'failed', 'retrying', 'cancelled')",
            name=op.f("ck_tasks_state"),
        ),
        sa.CheckConstraint(
            "worker_id IS NULL OR state = 'running'", name=op.f("ck_tasks_only_running_has_worker")
        ),
        sa.CheckConstraint(
            "changed_at >= created_at AND (started_at IS NULL OR started_at >= created_at) AND (completed_at IS NULL OR completed_at >= coalesce(started_at, created_at))",
            name=op.f("ck_tasks_times_in_order"),
        ),
        sa.CheckConstraint("length(chain_hash) = 64", name=op.f("ck_tasks_chain_hash")),
        sa.CheckConstraint("lost_count >= 0 AND attempt >= 0", name=op.f("ck_tasks_counts")),
        sa.CheckConstraint(
            "retry_count >= 0 AND retry_count <= max_retries", name=op.f("ck_tasks_retries_within_limit")
        ),
        sa.CheckConstraint("version >= 1", name=op.f("ck_tasks_version")),
        sa.ForeignKeyConstraint(["retry_of"], ["tasks.id"], name=op.f("fk_tasks_retry_of")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_tasks_run_id")),
        sa.ForeignKeyConstraint(["worker_id"], ["workers.id"], name=op.f("fk_tasks_worker_id")),
        sa.ForeignKeyConstraint(["workstream_id"], ["workstreams.id"], name=op.f("fk_tasks_workstream_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
    )
    op.create_index(op.f("ix_tasks_run_id"), "tasks", ["run_id"], unique=False)
    op.create_index(
        op.f("ix_tasks_workstream_id_position"), "tasks", ["workstream_id", "position"], unique=False
    )
    op.create_index(
        "uq_tasks_name_in_workstream",
        "tasks",
        ["workstream_id", "name"],
        unique=True,
        sqlite_where=sa.text("retry_of IS NULL"),
        postgresql_where=sa.text("retry_of IS NULL"),
    )
    op.create_table(
        "workstream_needs",
        sa.Column("workstream_id", sa.Text(), nullable=False),
        sa.Column("needs_id", sa.Text(), nullable=False),
        sa.CheckConstraint("workstream_id <> needs_id", name=op.f("ck_workstream_needs_not_itself")),
        sa.ForeignKeyConstraint(["needs_id"], ["workstreams.id"], name=op.f("fk_workstream_needs_needs_id")),
        sa.ForeignKeyConstraint(
            ["workstream_id"], ["workstreams.id"], name=op.f("fk_workstream_needs_workstream_id")
        ),
        sa.PrimaryKeyConstraint("workstream_id", "needs_id", name=op.f("pk_workstream_needs")),
    )
    op.create_table(
        "patches",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("workstream_id", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("base_ref", sa.Text(), nullable=False),
        sa.Column("base_commit", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("insertions", sa.Integer(), nullable=False),
        sa.Column("deletions", sa.Integer(), nullable=False),
        sa.Column("hunks", sa.Integer(), nullable=False),
        sa.Column("paths", sa.Text(), nullable=False),
        sa.Column("repairs", sa.Text(), nullable=False),
        sa.Column("change_key", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=True),
        sa.Column("commit", sa.Text(), nullable=True),
        sa.Column("tree", sa.Text(), nullable=True),
        sa.Column("quarantine_reason", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("replaces", sa.Text(), nullable=True),
        sa.Column("committed_at", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("chain_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(state IN ('committed', 'rolled_back')) = (committed_at IS NOT NULL)",
            name=op.f("ck_patches_committed_has_time"),
        ),
        sa.CheckConstraint(
            "(state IN ('rolled_back', 'quarantined', 'dropped')) = (completed_at IS NOT NULL)",
            name=op.f("ck_patches_ended_has_end"),
        ),
        sa.CheckConstraint("format IN ('unified_diff')", name=op.f("ck_patches_format")),
        sa.CheckConstraint("method IN ('exact', 'offset', 'three_way')", name=op.f("ck_patches_method")),
        sa.CheckConstraint(
            "quarantine_reason IS NULL OR state IN ('quarantined', 'dropped')",
            name=op.f("ck_patches_only_quarantined_has_reason"),
        ),
        sa.CheckConstraint(
            "state <> 'quarantined' OR quarantine_reason IS NOT NULL",
            name=op.f("ck_patches_quarantined_has_reason"),
        ),
        sa.CheckConstraint(
            "state IN ('created', 'validated', 'queued', 'applied', 'apply_failed', 'verified', 'committed', 'rolled_back', 'quarantined', 'dropped')",
            name=op.f("ck_patches_state"),
        ),
        sa.CheckConstraint(
            "changed_at >= created_at AND (started_at IS NULL OR started_at >= created_at) AND (completed_at IS NULL OR completed_at >= coalesce(started_at, created_at))",
            name=op.f("ck_patches_times_in_order"),
        ),
        sa.CheckConstraint(
            "files >= 0 AND insertions >= 0 AND deletions >= 0 AND hunks >= 0",
            name=op.f("ck_patches_scope_counts"),
        ),
        sa.CheckConstraint("length(chain_hash) = 64", name=op.f("ck_patches_chain_hash")),
        sa.CheckConstraint("length(summary) <= 512", name=op.f("ck_patches_summary_length")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_patches_version")),
        sa.ForeignKeyConstraint(["replaces"], ["patches.id"], name=op.f("fk_patches_replaces")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_patches_run_id")),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_patches_task_id")),
        sa.ForeignKeyConstraint(["workstream_id"], ["workstreams.id"], name=op.f("fk_patches_workstream_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patches")),
    )
    op.create_index(op.f("ix_patches_change_key"), "patches", ["change_key"], unique=False)
    op.create_index(op.f("ix_patches_run_id"), "patches", ["run_id"], unique=False)
    op.create_index(op.f("ix_patches_state"), "patches", ["state"], unique=False)
    op.create_index(op.f("ix_patches_task_id"), "patches", ["task_id"], unique=False)
    op.create_table(
        "task_needs",
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("needs_id", sa.Text(), nullable=False),
        sa.CheckConstraint("task_id <> needs_id", name=op.f("ck_task_needs_not_itself")),
        sa.ForeignKeyConstraint(["needs_id"], ["tasks.id"], name=op.f("fk_task_needs_needs_id")),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_task_needs_task_id")),
        sa.PrimaryKeyConstraint("task_id", "needs_id", name=op.f("pk_task_needs")),
    )
    op.create_table(
        "gates",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("workstream_id", sa.Text(), nullable=True),
        sa.Column("patch_id", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("tree", sa.Text(), nullable=False),
        sa.Column("verdict_key", sa.Text(), nullable=False),
        sa.Column("uet_worker_id", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("is_flaky", sa.Boolean(), nullable=False),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("output", sa.Text(), nullable=True),
        sa.Column("log_path", sa.Text(), nullable=True),
        sa.Column("duration_ms", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("chain_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(state IN ('PASSED', 'FAILED')) = (completed_at IS NOT NULL)",
            name=op.f("ck_gates_ended_has_end"),
        ),
        sa.CheckConstraint(
            "state IN ('PENDING', 'RUNNING', 'PASSED', 'FAILED', 'BLOCKED')", name=op.f("ck_gates_state")
        ),
        sa.CheckConstraint(
            "state NOT IN ('PASSED', 'FAILED') OR (exit_code IS NOT NULL AND output IS NOT NULL)",
            name=op.f("ck_gates_verdict_has_evidence"),
        ),
        sa.CheckConstraint("type IN ('LINT', 'UNIT', 'INTEGRATION', 'SECURITY')", name=op.f("ck_gates_type")),
        sa.CheckConstraint(
            "attempts >= 0 AND (duration_ms IS NULL OR duration_ms >= 0)", name=op.f("ck_gates_counts")
        ),
        sa.CheckConstraint(
            "changed_at >= created_at AND (started_at IS NULL OR started_at >= created_at) AND (completed_at IS NULL OR completed_at >= coalesce(started_at, created_at))",
            name=op.f("ck_gates_times_in_order"),
        ),
        sa.CheckConstraint("length(chain_hash) = 64", name=op.f("ck_gates_chain_hash")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_gates_version")),
        sa.ForeignKeyConstraint(["patch_id"], ["patches.id"], name=op.f("fk_gates_patch_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_gates_run_id")),
        sa.ForeignKeyConstraint(["uet_worker_id"], ["uet_workers.id"], name=op.f("fk_gates_uet_worker_id")),
        sa.ForeignKeyConstraint(["workstream_id"], ["workstreams.id"], name=op.f("fk_gates_workstream_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gates")),
    )
    op.create_index(op.f("ix_gates_patch_id"), "gates", ["patch_id"], unique=False)
    op.create_index(
        "ix_gates_running",
        "gates",
        ["uet_worker_id"],
        unique=False,
        sqlite_where=sa.text("state = 'RUNNING'"),
        postgresql_where=sa.text("state = 'RUNNING'"),
    )
    op.create_index(op.f("ix_gates_run_id"), "gates", ["run_id"], unique=False)
    op.create_index(op.f("ix_gates_workstream_id"), "gates", ["workstream_id"], unique=False)
    op.create_table(
        "requests",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("handled_at", sa.BigInteger(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("is_refused", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "(handled_at IS NULL) = (answer IS NULL)", name=op.f("ck_requests_handled_has_answer")
        ),
        sa.CheckConstraint(
            "handled_at IS NOT NULL OR NOT is_refused", name=op.f("ck_requests_refused_is_handled")
        ),
        sa.CheckConstraint(
            "handled_at IS NULL OR handled_at >= created_at", name=op.f("ck_requests_times_in_order")
        ),
        sa.CheckConstraint(
            "kind IN ('cancel', 'force-complete', 'force-fail', 'reset', 'unblock', 'fail', 'validate')",
            name=op.f("ck_requests_kind"),
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_requests_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requests")),
    )
    op.create_index(op.f("ix_requests_run_id_handled_at"), "requests", ["run_id", "handled_at"], unique=False)
    op.create_table(
        "tool_runs",
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("tool", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("cost_micros", sa.BigInteger(), nullable=True),
        sa.Column("tokens_in", sa.BigInteger(), nullable=True),
        sa.Column("tokens_out", sa.BigInteger(), nullable=True),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("log_path", sa.Text(), nullable=True),
        sa.Column("diff_path", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("attempt >= 1 AND duration_ms >= 0", name=op.f("ck_tool_runs_counts")),
        sa.CheckConstraint(
            "coalesce(cost_micros, 0) >= 0 AND coalesce(tokens_in, 0) >= 0 AND coalesce(tokens_out, 0) >= 0",
            name=op.f("ck_tool_runs_usage"),
        ),
        sa.CheckConstraint(
            "outcome IN ('patch', 'failed', 'timed_out', 'rate_limited', 'lost')",
            name=op.f("ck_tool_runs_outcome"),
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_tool_runs_run_id")),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_tool_runs_task_id")),
        sa.PrimaryKeyConstraint("task_id", "attempt", name=op.f("pk_tool_runs")),
    )
    op.create_index(op.f("ix_tool_runs_run_id"), "tool_runs", ["run_id"], unique=False)
    op.create_table(
        "approvals",
        sa.Column("patch_id", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["patch_id"], ["patches.id"], name=op.f("fk_approvals_patch_id")),
        sa.PrimaryKeyConstraint("patch_id", "operator", name=op.f("pk_approvals")),
    )
    op.create_table(
        "patch_artifacts",
        sa.Column("patch_id", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("diff", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("length(sha256) = 64", name=op.f("ck_patch_artifacts_sha256")),
        sa.ForeignKeyConstraint(["patch_id"], ["patches.id"], name=op.f("fk_patch_artifacts_patch_id")),
        sa.PrimaryKeyConstraint("patch_id", name=op.f("pk_patch_artifacts")),
    )
    op.create_table(
        "gate_evidence",
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("gate_name", sa.Text(), nullable=False),
        sa.Column("tree", sa.Text(), nullable=False),
        sa.Column("gate_id", sa.Text(), nullable=False),
        sa.Column("reused", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "subject_kind IN ('patch', 'workstream')", name=op.f("ck_gate_evidence_subject_kind")
        ),
        sa.ForeignKeyConstraint(["gate_id"], ["gates.id"], name=op.f("fk_gate_evidence_gate_id")),
        sa.PrimaryKeyConstraint(
            "subject_kind", "subject_id", "gate_name", "tree", name=op.f("pk_gate_evidence")
        ),
    )
    op.create_index(op.f("ix_gate_evidence_subject_id"), "gate_evidence", ["subject_id"], unique=False)
    op.create_table(
        "verdicts",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("gate_name", sa.Text(), nullable=False),
        sa.Column("tree", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("exit_code", sa.Integer(), nullable=False),
        sa.Column("is_flaky", sa.Boolean(), nullable=False),
        sa.Column("gate_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('PASSED', 'FAILED')", name=op.f("ck_verdicts_state")),
        sa.ForeignKeyConstraint(["gate_id"], ["gates.id"], name=op.f("fk_verdicts_gate_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_verdicts")),
    )
