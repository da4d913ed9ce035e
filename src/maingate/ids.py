"""Identifiers: ULIDs with a prefix for the kind of entity (docs/SPECIFICATION.md §1.1).

ULIDs sort by creation time, so lists in id order are lists in creation order.
"""

import secrets
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Final, Literal, NewType, Self

RunId = NewType("RunId", str)
WorkstreamId = NewType("WorkstreamId", str)
TaskId = NewType("TaskId", str)
WorkerId = NewType("WorkerId", str)
UetWorkerId = NewType("UetWorkerId", str)
PatchId = NewType("PatchId", str)
GateId = NewType("GateId", str)

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
    "offer",
    "req",
    "rollback",
    "bisect",
    "clean",
    "server",
    "record",
    "repo",
    "token",
    "session",
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
"""The state machine of each prefix; other prefixes name rows that have no state."""


_DIGITS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_DIGIT_PAIRS: Final = tuple(map("".join, product(_DIGITS, repeat=2)))
_PER_STEM: Final = len(_DIGIT_PAIRS) ** 2
_TIME_DIGITS, _RANDOM_DIGITS = 10, 12
"""Digits of an identifier that hold its time, and random digits that identifiers of one call share."""


def new_id(prefix: Prefix) -> str:
    """Return a new identifier such as ``run_01JB…``."""
    return f"{prefix}_{_ulid()}"


def new_ids(prefix: Prefix, count: int) -> list[str]:
    """Return many new identifiers, in ascending order.

    They share the time and 60 random bits, and count in the 20 bits that are left.
    """
    made: list[str] = []
    for begun in range(0, count, _PER_STEM):
        drawn = "".join(_DIGITS[byte & 31] for byte in secrets.token_bytes(_RANDOM_DIGITS))
        stem = f"{prefix}_{_ulid()[:_TIME_DIGITS]}{drawn}"
        made += [
            f"{stem}{_DIGIT_PAIRS[each >> 10]}{_DIGIT_PAIRS[each & 1023]}"
            for each in range(min(_PER_STEM, count - begun))
        ]
    return made


def _ulid() -> str:
    from ulid import ULID  # noqa: PLC0415 - commands that only read make none

    return str(ULID())


class HolderKind(StrEnum):
    """The kinds of work that hold a target or a run, by the prefixes of their identifiers."""

    RUN = "run"
    """Lands its workstreams."""
    ROLLBACK = "rollback"
    """Takes landed patches back."""
    BISECT = "bisect"
    """Runs a gate on the target's history."""
    CLEAN = "clean"
    """Removes what ended runs left."""
    SERVER = "server"
    """Takes up the runs of a repository; holds the repository itself, and no target."""


@dataclass(frozen=True)
class LeaseHolder:
    """The work that holds a target, a run or both, or the server that holds a repository.

    Args:
        id: Its identifier, whose prefix is a ``HolderKind``.
    """

    id: str

    def __post_init__(self) -> None:
        HolderKind(self.id.partition("_")[0])

    @classmethod
    def new(cls, kind: Literal["rollback", "bisect", "clean", "server"]) -> Self:
        """Return the holder of work that has no identifier yet."""
        return cls(new_id(kind))

    @property
    def kind(self) -> HolderKind:
        """The kind of work."""
        return HolderKind(self.id.partition("_")[0])

    def __str__(self) -> str:
        """Return the identifier."""
        return self.id
