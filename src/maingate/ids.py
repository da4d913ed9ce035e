"""Identifiers: ULIDs behind a prefix that tells the entity (docs/SPECIFICATION.md §1.1).

ULIDs sort by creation time, so lists in id order are lists in creation order.
"""

import secrets
from itertools import product
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

Prefix = Literal[
    "run",
    "ws",
    "task",
    "wrk",
    "uet",
    "patch",
    "gate",
    "brk",
    "evt",
    "intent",
    "req",
    "rollback",
    "record",
    "repo",
]

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


_DIGITS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = tuple(map("".join, product(_DIGITS, repeat=2)))
_ENDS: Final = len(_PAIRS) ** 2
_TIME, _DRAWN = 10, 12
"""How many digits of an identifier say when it was made, and how many of those made at once are drawn."""


def new_id(prefix: Prefix) -> str:
    """Make a new identifier such as ``run_01JB…``."""
    return f"{prefix}_{ULID()}"


def new_ids(prefix: Prefix, count: int) -> list[str]:
    """Make many identifiers at once, in ascending order.

    They share the time and 60 random bits, and are counted in the 20 bits that are left.
    """
    made: list[str] = []
    for begun in range(0, count, _ENDS):
        drawn = "".join(_DIGITS[byte & 31] for byte in secrets.token_bytes(_DRAWN))
        stem = f"{prefix}_{str(ULID())[:_TIME]}{drawn}"
        made += [
            f"{stem}{_PAIRS[each >> 10]}{_PAIRS[each & 1023]}" for each in range(min(_ENDS, count - begun))
        ]
    return made
