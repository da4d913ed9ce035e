"""Reasons for the state of an entity: a stable code, a sentence for people, details for programs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final


class ReasonCode(StrEnum):
    """The stable codes of reasons; clients may rely on their spelling."""

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
    FILTER_FAILED = "filter_failed"
    PATCH_UNREADABLE = "patch_unreadable"
    PATH_UNUSABLE = "path_unusable"
    OBJECT_MISSING = "object_missing"
    GIT_FAILED = "git_failed"
    INTERNAL_FAULT = "internal_fault"
    PROCESS_LOST = "process_lost"
    REJECTED = "rejected"
    BY_HAND = "by_hand"
    ROLLED_BACK = "rolled_back"
    CHECKOUT_BLOCKED = "checkout_blocked"
    SIGNATURE_INVALID = "signature_invalid"


FAULTS: Final = frozenset(
    {
        ReasonCode.WORKER_LOST,
        ReasonCode.WORKTREE_FAILED,
        ReasonCode.PREPARE_FAILED,
        ReasonCode.SPAWN_FAILED,
        ReasonCode.FILTER_FAILED,
        ReasonCode.PATCH_UNREADABLE,
        ReasonCode.PATH_UNUSABLE,
        ReasonCode.OBJECT_MISSING,
        ReasonCode.GIT_FAILED,
        ReasonCode.INTERNAL_FAULT,
        ReasonCode.PROCESS_LOST,
    }
)
"""Codes that blame no patch: work on one item failed while everything else works."""

NOT_RUN: Final = frozenset(
    {
        ReasonCode.WORKER_LOST,
        ReasonCode.WORKTREE_FAILED,
        ReasonCode.SPAWN_FAILED,
        ReasonCode.FILTER_FAILED,
        ReasonCode.CANCELLED,
    }
)
"""Codes, and faults of the same spelling, of a command that was not run to an end of its own."""

NOT_BEGUN: Final = frozenset(
    {
        ReasonCode.WORKTREE_FAILED,
        ReasonCode.PREPARE_FAILED,
        ReasonCode.SPAWN_FAILED,
        ReasonCode.FILTER_FAILED,
    }
)
"""Codes, and faults of the same spelling, of a command that was not begun."""

_WORD_LENGTH: Final = 200
_MESSAGE_LENGTH: Final = 2000
"""Most characters of one word and of the whole message of a reason."""


def shortened(text: str) -> str:
    """Return a text without the middle of a long word and without the end of a long text."""
    half = _WORD_LENGTH // 2 - 1
    words = re.sub(rf"\S{{{_WORD_LENGTH},}}", lambda word: f"{word[0][:half]}…{word[0][-half:]}", text)
    return words if len(words) <= _MESSAGE_LENGTH else f"{words[:_MESSAGE_LENGTH]}…"


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why an entity is in its state.

    Args:
        code: The stable code.
        message: One or two sentences: the fact, its object, the next step.
        detail: Values for programs, JSON-serialisable.
    """

    code: ReasonCode
    message: str
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Shorten the message."""
        object.__setattr__(self, "message", shortened(self.message))

    def as_json(self) -> dict[str, Any]:
        """Return the public JSON form."""
        return {"code": str(self.code), "message": self.message, "detail": dict(self.detail)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Reason":
        """Return the reason of its public JSON form."""
        return cls(code=ReasonCode(value["code"]), message=value["message"], detail=value.get("detail") or {})
