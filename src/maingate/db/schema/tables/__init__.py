"""Every table, with the rules of docs/SPECIFICATION.md §8.2 as CHECK constraints and foreign keys.

A module has the tables of one subject. Whichever of them is imported, all are declared.
"""

from typing import Final

from sqlalchemy import Table

from maingate.db.schema.tables.followers import followers, webhooks
from maingate.db.schema.tables.gates import gate_evidence, gates, verdicts
from maingate.db.schema.tables.http import answers, sessions, tokens
from maingate.db.schema.tables.ledger import counters, events, facts, record, state_transitions
from maingate.db.schema.tables.patches import approvals, patch_artifacts, patches
from maingate.db.schema.tables.queues import queue_controls, queue_ranks, queue_views
from maingate.db.schema.tables.rollups import (
    duration_kinds,
    duration_rollups,
    event_kinds,
    event_rollups,
    rollup_hours,
)
from maingate.db.schema.tables.runs import (
    holds,
    requests,
    runs,
    task_needs,
    tasks,
    workstream_needs,
    workstreams,
)
from maingate.db.schema.tables.table_parts import LIFECYCLE, metadata
from maingate.db.schema.tables.targets import intents, leases, queue_items
from maingate.db.schema.tables.workers import breakers, tool_runs, uet_workers, workers

__all__ = [
    "ENTITIES",
    "LIFECYCLE",
    "answers",
    "approvals",
    "breakers",
    "counters",
    "duration_kinds",
    "duration_rollups",
    "event_kinds",
    "event_rollups",
    "events",
    "facts",
    "followers",
    "gate_evidence",
    "gates",
    "holds",
    "intents",
    "leases",
    "metadata",
    "patch_artifacts",
    "patches",
    "queue_controls",
    "queue_items",
    "queue_ranks",
    "queue_views",
    "record",
    "requests",
    "rollup_hours",
    "runs",
    "sessions",
    "state_transitions",
    "task_needs",
    "tasks",
    "tokens",
    "tool_runs",
    "uet_workers",
    "verdicts",
    "webhooks",
    "workers",
    "workstream_needs",
    "workstreams",
]

ENTITIES: Final[dict[str, Table]] = {
    table.info["machine"]: table
    for table in (runs, workstreams, tasks, workers, uet_workers, patches, gates, breakers)
}
"""The table of each machine's entities."""
