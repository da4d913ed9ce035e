"""Why something ended as it did: a stable code, a sentence for people, and details for programs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


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
    REJECTED = "rejected"
    ROLLED_BACK = "rolled_back"


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

    def as_json(self) -> dict[str, Any]:
        """Return the public JSON form."""
        return {"code": str(self.code), "message": self.message, "detail": dict(self.detail)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Reason":
        """Read the public JSON form back."""
        return cls(code=ReasonCode(value["code"]), message=value["message"], detail=value.get("detail") or {})
