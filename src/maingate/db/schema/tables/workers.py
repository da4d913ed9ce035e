"""Tables of workers and tools: processes, breakers, and the attempts of tools."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from maingate.db.schema.tables.table_parts import child_of, entity, metadata, one_of, partial, required
from maingate.db.sql.columns import FreeText, JsonList, JsonText, PathText, ReasonText, Timestamp

workers = entity(
    "workers",
    "worker",
    child_of("parent_id", "workers.id", nullable=True),
    required("name", FreeText),
    required("host", FreeText),
    Column("pid", Integer),
    required("pid_started"),
    required("capabilities", JsonList),
    required("affinity", JsonText),
    required("max_concurrent_tasks", Integer),
    required("current_load", Integer),
    Column("heartbeat_at", Timestamp),
    Column("reason", ReasonText),
    CheckConstraint(
        "current_load >= 0 AND current_load <= max_concurrent_tasks", name="load_within_capacity"
    ),
    partial(
        "ix_workers_alive",
        "created_at",
        where="completed_at IS NULL",
    ),
)

uet_workers = entity(
    "uet_workers",
    "uet_worker",
    child_of("worker_id", "workers.id"),
    required("slot", Integer),
    Column("pid", Integer),
    required("pid_started"),
    Column("reason", ReasonText),
    CheckConstraint("slot >= 0", name="slot"),
    Index(None, "worker_id"),
)

breakers = entity(
    "breakers",
    "circuit_breaker",
    required("tool", FreeText),
    required("failures", Integer),
    required("threshold", Integer),
    required("cooldown_ms", BigInteger),
    Column("opened_at", Timestamp),
    Column("probe_task", Text),
    Column("probe_attempt", Integer),
    Column("reason", ReasonText),
    required("writes", Integer, server_default=text("0")),
    CheckConstraint("failures >= 0 AND threshold >= 1 AND cooldown_ms >= 0", name="counts"),
    CheckConstraint("(state = 'CLOSED') = (opened_at IS NULL)", name="open_since"),
    CheckConstraint(
        "(probe_task IS NULL) = (probe_attempt IS NULL) AND (probe_task IS NULL OR state = 'HALF_OPEN')",
        name="probe_is_held",
    ),
    UniqueConstraint("tool"),
)

tool_runs = Table(
    "tool_runs",
    metadata,
    Column("task_id", Text, ForeignKey("tasks.id"), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("run_id", Text, ForeignKey("runs.id"), nullable=False),
    required("tool", FreeText),
    required("outcome"),
    Column("exit_code", Integer),
    Column("cost_micros", BigInteger),
    Column("tokens_in", BigInteger),
    Column("tokens_out", BigInteger),
    required("duration_ms", BigInteger),
    required("message", FreeText),
    Column("log_path", PathText),
    Column("diff_path", PathText),
    required("ended_at", Timestamp),
    one_of("outcome", "patch", "failed", "timed_out", "rate_limited", "lost"),
    CheckConstraint("attempt >= 1 AND duration_ms >= 0", name="counts"),
    CheckConstraint(
        "coalesce(cost_micros, 0) >= 0 AND coalesce(tokens_in, 0) >= 0 AND coalesce(tokens_out, 0) >= 0",
        name="usage",
    ),
    Index(None, "run_id"),
)
"""The ends of tools' attempts, one row each; costs are summed up from here."""
