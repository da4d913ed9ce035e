"""Every table, with the rules of docs/SPECIFICATION.md §8.2 as CHECK constraints and foreign keys.

The CHECKs are built from the state machines, so that the database accepts exactly the states that the program
knows. An entity's table has its own columns between ``id`` and the lifecycle columns, which are the same for
all and are written by `maingate.db.transitions` alone.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
)

from maingate.db.schema.rollup_kinds import EVENT_COLUMNS, MEASURE_COLUMNS
from maingate.db.sql.columns import (
    FreeText,
    HolderText,
    JsonDocument,
    JsonList,
    JsonText,
    PathText,
    ReasonText,
    StateText,
    Timestamp,
)
from maingate.db.sql.statements import texts
from maingate.events import Severity
from maingate.roles import Role
from maingate.state.holds import EndedBy, HoldCode
from maingate.state.machine import Machine
from maingate.state.machines import MACHINES

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

LIFECYCLE: Final = (
    "state",
    "version",
    "chain_hash",
    "created_at",
    "changed_at",
    "started_at",
    "completed_at",
)
"""The columns that only the writer of states sets."""

SEQUENCE: Final = BigInteger().with_variant(Integer(), "sqlite")
"""A position in the one sequence of transitions and events; on SQLite it is the row id itself."""


def _one_of(column: str, *values: str, name: str | None = None) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({texts(values)})", name=name or column)


def _required(name: str, kind: Any = Text, **options: Any) -> Column[Any]:
    return Column(name, kind, nullable=False, **options)


def _child_of(name: str, target: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Text, ForeignKey(target), nullable=nullable)


def _ordered_in_time() -> CheckConstraint:
    return CheckConstraint(
        "changed_at >= created_at AND (started_at IS NULL OR started_at >= created_at)"
        " AND (completed_at IS NULL OR completed_at >= coalesce(started_at, created_at))",
        name="times_in_order",
    )


def _ended_has_end(machine: Machine) -> CheckConstraint:
    ended = texts(state for state in machine.states if state in machine.terminal)
    rule = f"(state IN ({ended})) = (completed_at IS NOT NULL)" if ended else "completed_at IS NULL"
    return CheckConstraint(rule, name="ended_has_end")


def _partial(name: str, *columns: str, where: str, is_unique: bool = False) -> Index:
    """Declare an index of the rows that fulfil a condition."""
    return Index(name, *columns, unique=is_unique, sqlite_where=text(where))


def _entity(name: str, machine_name: str, *parts: Any) -> Table:
    """Declare the table of one machine's entities."""
    machine = MACHINES[machine_name]
    return Table(
        name,
        metadata,
        Column("id", Text, primary_key=True),
        *(each for each in parts if isinstance(each, Column)),
        _required("state", StateText(machine.states)),
        _required("version", Integer),
        _required("chain_hash"),
        _required("created_at", Timestamp),
        _required("changed_at", Timestamp),
        Column("started_at", Timestamp),
        Column("completed_at", Timestamp),
        *(each for each in parts if not isinstance(each, Column)),
        _one_of("state", *machine.states),
        CheckConstraint("version >= 1", name="version"),
        CheckConstraint("length(chain_hash) = 64", name="chain_hash"),
        _ordered_in_time(),
        _ended_has_end(machine),
        info={"machine": machine_name},
    )


@event.listens_for(metadata, "before_create")
def _hold_conditions(_metadata: MetaData, connection: Connection, **_options: Any) -> None:
    """Set the conditions of indexes for PostgreSQL too.

    PostgreSQL has an option of its own for them; naming it in `_partial` would load its dialect at every
    start.
    """
    if connection.dialect.name == "postgresql":
        for index in (index for table in metadata.tables.values() for index in table.indexes):
            if (where := index.dialect_kwargs.get("sqlite_where")) is not None:
                index.dialect_kwargs["postgresql_where"] = where


runs = _entity(
    "runs",
    "run",
    _required("name", FreeText),
    _required("repository", PathText),
    _required("repository_id"),
    _required("target_ref"),
    _required("landing"),
    _required("strict", Boolean),
    _required("plan", JsonDocument),
    _required("tree_settings", JsonText),
    Column("plan_file", PathText),
    Column("old_head", Text),
    Column("new_head", Text),
    _child_of("retry_of", "runs.id", nullable=True),
    Column("reason", ReasonText),
    _one_of("landing", "merge", "squash", "rebase"),
    Index(None, "created_at"),
    Index(None, "plan_file", "created_at"),
    _partial("ix_runs_unfinished", "created_at", where="completed_at IS NULL"),
)

workstreams = _entity(
    "workstreams",
    "workstream",
    _child_of("run_id", "runs.id"),
    _required("name", FreeText),
    _required("title", FreeText),
    _required("position", Integer),
    _required("priority", Integer),
    _required("is_critical", Boolean),
    Column("base_commit", Text),
    Column("head_commit", Text),
    Column("landed_commit", Text),
    _child_of("retry_of", "workstreams.id", nullable=True),
    Column("reason", ReasonText),
    Index(None, "run_id", "position"),
    _partial(
        "uq_workstreams_name_in_run",
        "run_id",
        "name",
        where="retry_of IS NULL",
        is_unique=True,
    ),
)

workers = _entity(
    "workers",
    "worker",
    _child_of("parent_id", "workers.id", nullable=True),
    _required("name", FreeText),
    _required("host", FreeText),
    Column("pid", Integer),
    _required("pid_started"),
    _required("capabilities", JsonList),
    _required("affinity", JsonText),
    _required("max_concurrent_tasks", Integer),
    _required("current_load", Integer),
    Column("heartbeat_at", Timestamp),
    Column("reason", ReasonText),
    CheckConstraint(
        "current_load >= 0 AND current_load <= max_concurrent_tasks", name="load_within_capacity"
    ),
    _partial(
        "ix_workers_alive",
        "created_at",
        where="completed_at IS NULL",
    ),
)

uet_workers = _entity(
    "uet_workers",
    "uet_worker",
    _child_of("worker_id", "workers.id"),
    _required("slot", Integer),
    Column("pid", Integer),
    _required("pid_started"),
    Column("reason", ReasonText),
    CheckConstraint("slot >= 0", name="slot"),
    Index(None, "worker_id"),
)

tasks = _entity(
    "tasks",
    "task",
    _child_of("run_id", "runs.id"),
    _child_of("workstream_id", "workstreams.id"),
    _required("name", FreeText),
    _required("position", Integer),
    _required("is_critical", Boolean),
    _required("kind"),
    _required("spec", JsonText),
    _child_of("worker_id", "workers.id", nullable=True),
    _required("retry_count", Integer),
    _required("max_retries", Integer),
    _required("lost_count", Integer),
    _required("attempt", Integer),
    Column("not_before", Timestamp),
    _child_of("retry_of", "tasks.id", nullable=True),
    Column("reason", ReasonText),
    _one_of("kind", "patch", "tool", "command", "noop"),
    CheckConstraint("worker_id IS NULL OR state = 'running'", name="only_running_has_worker"),
    CheckConstraint("retry_count >= 0 AND retry_count <= max_retries", name="retries_within_limit"),
    CheckConstraint("lost_count >= 0 AND attempt >= 0", name="counts"),
    Index(None, "run_id"),
    Index(None, "workstream_id", "position"),
    _partial(
        "uq_tasks_name_in_workstream",
        "workstream_id",
        "name",
        where="retry_of IS NULL",
        is_unique=True,
    ),
)

patches = _entity(
    "patches",
    "patch_ledger",
    _child_of("run_id", "runs.id"),
    _child_of("workstream_id", "workstreams.id"),
    _child_of("task_id", "tasks.id"),
    _required("format"),
    _required("base_ref"),
    _required("base_commit"),
    _required("origin", JsonText),
    _required("summary", FreeText),
    _required("files", Integer),
    _required("insertions", Integer),
    _required("deletions", Integer),
    _required("hunks", Integer),
    _required("paths", JsonList),
    _required("repairs", JsonList),
    _required("change_key"),
    Column("method", Text),
    Column("commit", Text),
    Column("tree", Text),
    Column("quarantine_reason", ReasonText),
    Column("reason", ReasonText),
    _child_of("replaces", "patches.id", nullable=True),
    Column("committed_at", Timestamp),
    _one_of("format", "unified_diff"),
    _one_of("method", "exact", "offset", "three_way"),
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
    _partial("ix_patches_replaces", "replaces", where="replaces IS NOT NULL"),
)

gates = _entity(
    "gates",
    "test_gate",
    _child_of("run_id", "runs.id"),
    _child_of("workstream_id", "workstreams.id", nullable=True),
    _child_of("patch_id", "patches.id", nullable=True),
    _required("name", FreeText),
    _required("type"),
    _required("tree"),
    _required("verdict_key"),
    _child_of("uet_worker_id", "uet_workers.id", nullable=True),
    _required("attempts", Integer),
    _required("is_flaky", Boolean),
    Column("fault", FreeText),
    Column("exit_code", Integer),
    Column("output", FreeText),
    Column("log_path", PathText),
    Column("duration_ms", BigInteger),
    Column("reason", ReasonText),
    _one_of("type", "LINT", "UNIT", "INTEGRATION", "SECURITY"),
    CheckConstraint("attempts >= 0 AND (duration_ms IS NULL OR duration_ms >= 0)", name="counts"),
    CheckConstraint(
        "state NOT IN ('PASSED', 'FAILED') OR (exit_code IS NOT NULL AND output IS NOT NULL)",
        name="verdict_has_evidence",
    ),
    _partial(
        "ix_gates_running",
        "uet_worker_id",
        where="state = 'RUNNING'",
    ),
    Index(None, "run_id"),
    Index(None, "workstream_id"),
    Index(None, "patch_id"),
)

breakers = _entity(
    "breakers",
    "circuit_breaker",
    _required("tool", FreeText),
    _required("failures", Integer),
    _required("threshold", Integer),
    _required("cooldown_ms", BigInteger),
    Column("opened_at", Timestamp),
    Column("probe_task", Text),
    Column("probe_attempt", Integer),
    Column("reason", ReasonText),
    _required("writes", Integer),
    CheckConstraint("failures >= 0 AND threshold >= 1 AND cooldown_ms >= 0", name="counts"),
    CheckConstraint("(state = 'CLOSED') = (opened_at IS NULL)", name="open_since"),
    CheckConstraint(
        "(probe_task IS NULL) = (probe_attempt IS NULL) AND (probe_task IS NULL OR state = 'HALF_OPEN')",
        name="probe_is_held",
    ),
    UniqueConstraint("tool"),
)

ENTITIES: Final[dict[str, Table]] = {
    table.info["machine"]: table
    for table in (runs, workstreams, tasks, workers, uet_workers, patches, gates, breakers)
}
"""The table of each machine's entities."""

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

patch_artifacts = Table(
    "patch_artifacts",
    metadata,
    Column("patch_id", Text, ForeignKey("patches.id"), primary_key=True),
    _required("sha256"),
    _required("diff", LargeBinary),
    CheckConstraint("length(sha256) = 64", name="sha256"),
)

state_transitions = Table(
    "state_transitions",
    metadata,
    Column("seq", SEQUENCE, primary_key=True, autoincrement=False),
    _required("event_id"),
    _required("entity_type"),
    _required("entity_id"),
    _required("version", Integer),
    Column("from_state", Text),
    _required("to_state"),
    _required("trigger"),
    Column("reason", Text),
    _required("metadata"),
    Column("operator", FreeText),
    Column("run_id", Text),
    Column("workstream_id", Text),
    Column("task_id", Text),
    _required("at", Timestamp),
    Column("sets", Text),
    Column("prev_hash", Text),
    _required("hash"),
    _one_of("entity_type", *MACHINES),
    CheckConstraint("version >= 1", name="version"),
    CheckConstraint(
        "(version = 1) = (from_state IS NULL) AND (version = 1) = (prev_hash IS NULL)", name="first_of_chain"
    ),
    UniqueConstraint("entity_id", "version"),
    Index(None, "run_id", "seq"),
)
"""The audit: one row per transition, a hash chain per entity. The reason, the metadata and ``sets``
(`maingate.db.ledger.bound_columns`) are stored as the text that was hashed. No foreign key leads to an
entity, because the audit must outlive its entities."""


events = Table(
    "events",
    metadata,
    Column("seq", SEQUENCE, primary_key=True, autoincrement=False),
    _required("event_id"),
    _required("event_type"),
    _required("severity"),
    Column("entity_type", Text),
    Column("entity_id", Text),
    Column("from_state", Text),
    Column("to_state", Text),
    Column("trigger", Text),
    Column("reason", Text),
    _required("metadata"),
    Column("operator", FreeText),
    Column("run_id", Text),
    Column("workstream_id", Text),
    Column("task_id", Text),
    _required("at", Timestamp),
    _required("hash"),
    _one_of("severity", *Severity),
    Index(None, "entity_id", "seq"),
    Index(None, "run_id", "seq"),
)
"""Events that are no change of state: overrides, errors, warnings (docs/SPECIFICATION.md §7)."""

facts = Table(
    "facts",
    metadata,
    Column("seq", SEQUENCE, primary_key=True, autoincrement=False),
    _required("event_id"),
    _required("about"),
    _required("key"),
    _required("entity_id"),
    _required("sets"),
    _required("hash"),
)
"""The binding of a row of another table: the table, the row's key, its entity, and the text that binds it
(`maingate.db.ledger.bound_columns`). When the row changes another fact follows; the last one counts."""

counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    _required("value", BigInteger),
    Column("head", Text),
    CheckConstraint("value >= 0", name="value"),
)
"""Numbers allocated within transactions. ``event`` numbers transitions, events and facts together, so that
the sequence has no gap and follows the order of the commits; a gap means that a row was removed. The head is
the running hash over all of them (`maingate.db.ledger.ledger`)."""

verdicts = Table(
    "verdicts",
    metadata,
    Column("key", Text, primary_key=True),
    _required("gate_name"),
    _required("tree"),
    _required("state"),
    _required("exit_code", Integer),
    _required("is_flaky", Boolean),
    _child_of("gate_id", "gates.id"),
    _required("created_at", Timestamp),
    _one_of("state", "PASSED", "FAILED"),
)

gate_evidence = Table(
    "gate_evidence",
    metadata,
    Column("subject_kind", Text, primary_key=True),
    Column("subject_id", Text, primary_key=True),
    Column("gate_name", Text, primary_key=True),
    Column("tree", Text, primary_key=True),
    _child_of("gate_id", "gates.id"),
    _required("reused", Boolean),
    _required("created_at", Timestamp),
    _one_of("subject_kind", "patch", "workstream"),
    Index(None, "subject_id"),
)

intents = Table(
    "intents",
    metadata,
    Column("id", Text, primary_key=True),
    _child_of("run_id", "runs.id"),
    _child_of("workstream_id", "workstreams.id"),
    _required("ref"),
    Column("old", Text),
    _required("new"),
    _required("commits", JsonText),
    _required("kind"),
    Column("reason", ReasonText),
    Column("operator", FreeText),
    _required("state"),
    _required("created_at", Timestamp),
    Column("completed_at", Timestamp),
    _one_of("kind", "landing", "rollback"),
    _one_of("state", "pending", "landed", "abandoned"),
    CheckConstraint("kind <> 'rollback' OR reason IS NOT NULL", name="rollback_has_reason"),
    CheckConstraint("(state = 'pending') = (completed_at IS NULL)", name="ended_has_end"),
    CheckConstraint("completed_at IS NULL OR completed_at >= created_at", name="times_in_order"),
    Index(None, "state"),
)
"""Refs that are about to move; written before git moves them, so that a crash in between can be completed."""

approvals = Table(
    "approvals",
    metadata,
    Column("patch_id", Text, ForeignKey("patches.id"), primary_key=True),
    Column("operator", FreeText, primary_key=True),
    _required("message", FreeText),
    _required("created_at", Timestamp),
)
"""Approvals of patches; a person counts once."""

tool_runs = Table(
    "tool_runs",
    metadata,
    Column("task_id", Text, ForeignKey("tasks.id"), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("run_id", Text, ForeignKey("runs.id"), nullable=False),
    _required("tool", FreeText),
    _required("outcome"),
    Column("exit_code", Integer),
    Column("cost_micros", BigInteger),
    Column("tokens_in", BigInteger),
    Column("tokens_out", BigInteger),
    _required("duration_ms", BigInteger),
    _required("message", FreeText),
    Column("log_path", PathText),
    Column("diff_path", PathText),
    _required("ended_at", Timestamp),
    _one_of("outcome", "patch", "failed", "timed_out", "rate_limited", "lost"),
    CheckConstraint("attempt >= 1 AND duration_ms >= 0", name="counts"),
    CheckConstraint(
        "coalesce(cost_micros, 0) >= 0 AND coalesce(tokens_in, 0) >= 0 AND coalesce(tokens_out, 0) >= 0",
        name="usage",
    ),
    Index(None, "run_id"),
)
"""The ends of tools' attempts, one row each; costs are summed up from here."""

requests = Table(
    "requests",
    metadata,
    Column("id", Text, primary_key=True),
    _child_of("run_id", "runs.id"),
    _required("kind"),
    _required("entity_id"),
    _required("message", FreeText),
    _required("operator", FreeText),
    _required("created_at", Timestamp),
    Column("handled_at", Timestamp),
    Column("answer", FreeText),
    _required("is_refused", Boolean),
    _one_of("kind", "cancel", "force-complete", "force-fail", "reset", "unblock", "fail", "validate"),
    CheckConstraint("(handled_at IS NULL) = (answer IS NULL)", name="handled_has_answer"),
    CheckConstraint("handled_at IS NOT NULL OR NOT is_refused", name="refused_is_handled"),
    CheckConstraint("handled_at IS NULL OR handled_at >= created_at", name="times_in_order"),
    Index(None, "run_id", "handled_at"),
)
"""Requests of people to a run that another process controls; that process reads them here and answers."""

leases = Table(
    "leases",
    metadata,
    Column("key", Text, primary_key=True),
    _required("holder", HolderText),
    _required("host", FreeText),
    _required("pid", Integer),
    _required("pid_started", Text),
    _required("token", BigInteger),
    _required("acquired_at", Timestamp),
    _required("expires_at", Timestamp),
    CheckConstraint("token >= 1", name="token"),
)
"""The holders of repositories' targets. The token grows with every holder and fences off earlier ones."""

event_kinds = Table(
    "event_kinds",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    *(_required(name) for name in EVENT_COLUMNS),
    UniqueConstraint(*EVENT_COLUMNS, name="uq_event_kinds"),
)
"""The kinds by which `maingate.db.rollups` counts events; an empty text stands for none."""

duration_kinds = Table(
    "duration_kinds",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    *(_required(name) for name in MEASURE_COLUMNS),
    UniqueConstraint(*MEASURE_COLUMNS, name="uq_duration_kinds"),
)
"""The kinds by which `maingate.db.rollups` keeps durations and sums; an empty text stands for none."""

event_rollups = Table(
    "event_rollups",
    metadata,
    Column("kind_id", Integer, ForeignKey("event_kinds.id"), primary_key=True, autoincrement=False),
    Column("hour", Integer, primary_key=True, autoincrement=False),
    _required("count", BigInteger),
    sqlite_with_rowid=False,
)
"""The number of events of a kind in an hour since the epoch; hour -1 counts all time."""

duration_rollups = Table(
    "duration_rollups",
    metadata,
    Column("kind_id", Integer, ForeignKey("duration_kinds.id"), primary_key=True, autoincrement=False),
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("bucket", Integer, primary_key=True, autoincrement=False),
    _required("count", BigInteger),
    _required("total", BigInteger),
    sqlite_with_rowid=False,
)
"""The values of a kind in an hour, by bucket of their histogram; their sum is that over all its rows."""

rollup_hours = Table(
    "rollup_hours",
    metadata,
    Column("hour", Integer, primary_key=True, autoincrement=False),
    _required("first_seq", BigInteger),
    _required("last_seq", BigInteger),
)
"""The first and the last row of the ledger with a time in an hour: rows are found by it without an index on
their times. Hour -1 stands for the hours that were removed."""

followers = Table(
    "followers",
    metadata,
    Column("name", Text, primary_key=True),
    _required("seq", BigInteger),
    _required("updated_at", Timestamp),
    _required("failures", Integer),
    Column("failure", FreeText),
    Column("holder", Text),
    Column("held_until", Timestamp),
    CheckConstraint("seq >= 0 AND failures >= 0", name="counts"),
    CheckConstraint("(failures = 0) = (failure IS NULL)", name="failed_has_failure"),
    CheckConstraint("(holder IS NULL) = (held_until IS NULL)", name="held_has_end"),
)
"""The positions of the followers of the ledger (`maingate.db.rollups.followers`)."""

webhooks = Table(
    "webhooks",
    metadata,
    Column("repository_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    _required("seq", BigInteger),
    _required("delivered", BigInteger),
    _required("failed", BigInteger),
    Column("delivered_at", Timestamp),
    _required("failures", Integer),
    Column("failure", FreeText),
    Column("failing_since", Timestamp),
    Column("tried_at", Timestamp),
    Column("next_at", Timestamp),
    _required("is_gone", Boolean),
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

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    _required("name", FreeText),
    _required("role", StateText(Role)),
    _required("secret_hash"),
    _required("created_by", FreeText),
    _required("created_at", Timestamp),
    Column("last_used_at", Timestamp),
    Column("revoked_at", Timestamp),
    _one_of("role", *Role),
    CheckConstraint("length(secret_hash) = 64", name="secret_hash"),
    UniqueConstraint("name"),
)
"""Tokens of the HTTP interface. A name is never given twice, because decisions bear it as their operator."""

answers = Table(
    "answers",
    metadata,
    Column("operator", FreeText, primary_key=True),
    Column("key", Text, primary_key=True),
    _required("fingerprint"),
    _required("claim"),
    _required("created_at", Timestamp),
    Column("made", FreeText),
    Column("status", Integer),
    Column("headers", JsonText),
    Column("body", Text),
    CheckConstraint("(status IS NULL) = (body IS NULL)", name="answered_has_body"),
    CheckConstraint("(status IS NULL) = (headers IS NULL)", name="answered_has_headers"),
    Index(None, "created_at"),
)
"""Answers to requests with an idempotency key; one without a status is under way or was interrupted."""

holds = Table(
    "holds",
    metadata,
    Column("entity_id", Text, primary_key=True),
    _child_of("run_id", "runs.id"),
    _required("code", StateText(HoldCode)),
    _required("about", JsonText),
    _required("since", Timestamp),
    _required("ends_by", StateText(EndedBy)),
    _one_of("code", *HoldCode),
    _one_of("ends_by", *EndedBy),
    Index(None, "run_id"),
)
"""Why entities of a run wait, as the process at work on it says: a cache, and no part of the record."""

record = Table("record", metadata, Column("id", Text, primary_key=True))
"""The identity of this database, one row, by which a process recognises the record of its run."""
