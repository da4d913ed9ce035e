"""Identifiers: ULIDs behind a prefix that tells the entity (SSOT, Entities).

ULIDs sort by creation time, so lists in id order are lists in creation order.
"""

from typing import Final, Literal, NewType

from ulid import ULID

RunId = NewType("RunId", str)
WorkstreamId = NewType("WorkstreamId", str)
TaskId = NewType("TaskId", str)
WorkerId = NewType("WorkerId", str)
UetWorkerId = NewType("UetWorkerId", str)
PatchId = NewType("PatchId", str)
GateId = NewType("GateId", str)
EventId = NewType("EventId", str)

Prefix = Literal["run", "ws", "task", "wrk", "uet", "patch", "gate", "brk", "evt", "intent", "req"]

ENTITY_OF_PREFIX: Final[dict[str, str]] = {
    "run": "run",
    "ws": "workstream",
    "task": "task",
    "wrk": "worker",
    "uet": "uet_worker",
    "patch": "patch_ledger",
    "gate": "test_gate",
    "brk": "circuit_breaker",
}
"""Which machine of the specification an identifier's prefix belongs to."""


def new_id(prefix: Prefix) -> str:
    """Make a new identifier such as ``run_01JB…``."""
    return f"{prefix}_{ULID()}"
