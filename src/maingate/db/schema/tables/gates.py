"""Tables of gates: executions, verdicts, and the evidence that they give."""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, Integer, Table, Text

from maingate.db.schema.tables.table_parts import child_of, entity, metadata, one_of, partial, required
from maingate.db.sql.columns import FreeText, PathText, ReasonText, Timestamp

gates = entity(
    "gates",
    "test_gate",
    child_of("run_id", "runs.id"),
    child_of("workstream_id", "workstreams.id", nullable=True),
    child_of("patch_id", "patches.id", nullable=True),
    required("name", FreeText),
    required("type"),
    required("tree"),
    required("verdict_key"),
    child_of("uet_worker_id", "uet_workers.id", nullable=True),
    required("attempts", Integer),
    required("is_flaky", Boolean),
    Column("fault", FreeText),
    Column("exit_code", Integer),
    Column("output", FreeText),
    Column("log_path", PathText),
    Column("duration_ms", BigInteger),
    Column("reason", ReasonText),
    one_of("type", "LINT", "UNIT", "INTEGRATION", "SECURITY"),
    CheckConstraint("attempts >= 0 AND (duration_ms IS NULL OR duration_ms >= 0)", name="counts"),
    CheckConstraint(
        "state NOT IN ('PASSED', 'FAILED') OR (exit_code IS NOT NULL AND output IS NOT NULL)",
        name="verdict_has_evidence",
    ),
    partial(
        "ix_gates_running",
        "uet_worker_id",
        where="state = 'RUNNING'",
    ),
    Index(None, "run_id"),
    Index(None, "workstream_id"),
    Index(None, "patch_id"),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("key", Text, primary_key=True),
    required("gate_name"),
    required("tree"),
    required("state"),
    required("exit_code", Integer),
    required("is_flaky", Boolean),
    child_of("gate_id", "gates.id"),
    required("created_at", Timestamp),
    one_of("state", "PASSED", "FAILED"),
)

gate_evidence = Table(
    "gate_evidence",
    metadata,
    Column("subject_kind", Text, primary_key=True),
    Column("subject_id", Text, primary_key=True),
    Column("gate_name", Text, primary_key=True),
    Column("tree", Text, primary_key=True),
    child_of("gate_id", "gates.id"),
    required("reused", Boolean),
    required("created_at", Timestamp),
    one_of("subject_kind", "patch", "workstream"),
    Index(None, "subject_id"),
)
