"""Identifiers: ULIDs behind a prefix that tells the entity (SSOT, Entities).

ULIDs sort by creation time, so lists in id order are lists in creation order.
"""

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


_DIGITS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = tuple(map("".join, product(_DIGITS, repeat=2)))
_ENDS: Final = len(_PAIRS) ** 2


def new_id(prefix: Prefix) -> str:
    """Make a new identifier such as ``run_01JB…``."""
    return f"{prefix}_{ULID()}"


def new_ids(prefix: Prefix, count: int) -> list[str]:
    """Make many identifiers at once, in ascending order.

    They follow upon each other as those of one millisecond do in the ULID specification: the random part is
    drawn once and counted up.
    """
    made: list[str] = []
    while len(made) < count:
        first = str(ULID())
        stem, end = f"{prefix}_{first[:-4]}", 0
        for digit in first[-4:]:
            end = end * len(_DIGITS) + _DIGITS.index(digit)
        last = min(_ENDS, end + count - len(made))
        made += [f"{stem}{_PAIRS[each >> 10]}{_PAIRS[each & 1023]}" for each in range(end, last)]
    return made
