"""Why something ended as it did: a stable code, a sentence for people, and details for programs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final


class ReasonCode(StrEnum):
    """The stable codes of the public face; clients may rely on their spelling."""

    FORMAT_INVALID = "format_invalid"
    SCOPE_VIOLATION = "scope_violation"
    POLICY_VIOLATION = "policy_violation"
    CONFLICT = "conflict"
    ALREADY_APPLIED = "already_applied"
    EMPTY_PATCH = "empty_patch"
    GATE_FAILED = "gate_failed"
    GATE_TIMEOUT = "gate_timeout"
    TOOL_FAILED = "tool_failed"
    TOOL_TIMEOUT = "tool_timeout"
    DEPENDENCY_FAILED = "dependency_failed"
    BASE_RED = "base_red"
    WORKER_LOST = "worker_lost"
    CANCELLED = "cancelled"
    BUDGET_EXCEEDED = "budget_exceeded"
    WORKTREE_FAILED = "worktree_failed"
    PREPARE_FAILED = "prepare_failed"
    SPAWN_FAILED = "spawn_failed"
    PATCH_UNREADABLE = "patch_unreadable"
    PATH_UNUSABLE = "path_unusable"
    OBJECT_MISSING = "object_missing"
    GIT_FAILED = "git_failed"
    INTERNAL_FAULT = "internal_fault"
    PROCESS_LOST = "process_lost"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled_back"
    CHECKOUT_BLOCKED = "checkout_blocked"


FAULTS: Final = frozenset(
    {
        ReasonCode.WORKER_LOST,
        ReasonCode.WORKTREE_FAILED,
        ReasonCode.PREPARE_FAILED,
        ReasonCode.SPAWN_FAILED,
        ReasonCode.PATCH_UNREADABLE,
        ReasonCode.PATH_UNUSABLE,
        ReasonCode.OBJECT_MISSING,
        ReasonCode.GIT_FAILED,
        ReasonCode.INTERNAL_FAULT,
        ReasonCode.PROCESS_LOST,
    }
)
"""Codes that blame no patch: something could not be done with an item, while everything else works."""

_LONGEST_WORD: Final = 200
_LONGEST_MESSAGE: Final = 2000


def shortened(text: str) -> str:
    """Return a text without what nobody reads: the middle of a long name, the end of a long text."""
    half = _LONGEST_WORD // 2 - 1
    words = re.sub(rf"\S{{{_LONGEST_WORD},}}", lambda word: f"{word[0][:half]}…{word[0][-half:]}", text)
    return words if len(words) <= _LONGEST_MESSAGE else f"{words[:_LONGEST_MESSAGE]}…"


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why an entity is in its state.

    Args:
        code: The stable code.
        message: One or two sentences: what happened, to what, and what to do next.
        detail: Values for programs, JSON-serialisable.
    """

    code: ReasonCode
    message: str
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Keep the message to what people read."""
        object.__setattr__(self, "message", shortened(self.message))

    def as_json(self) -> dict[str, Any]:
        """Return the public JSON form."""
        return {"code": str(self.code), "message": self.message, "detail": dict(self.detail)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Reason":
        """Read the public JSON form back."""
        return cls(code=ReasonCode(value["code"]), message=value["message"], detail=value.get("detail") or {})
