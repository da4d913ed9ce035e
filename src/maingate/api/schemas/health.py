"""Schemas of health."""

from typing import Any, Literal

from pydantic import BaseModel, Field


class Liveness(BaseModel):
    """The process answers."""

    status: Literal["alive"]


class HealthSummary(BaseModel):
    """The worst state of all parts, and whether work is taken."""

    state: Literal["ok", "degraded", "failed"]
    ready: bool
    hindrance: str | None = Field(description="Why no work is taken, such as `draining`.")
    impaired: list[str] = Field(
        description="Repositories that cannot be used, or only in part; work is taken in the others."
    )


class HealthTrouble(BaseModel):
    """Something that is wrong, with the command that mends it."""

    state: Literal["degraded", "failed"]
    reason: str
    command: str | None


class HealthCheck(BaseModel):
    """The answer of one check, and how old it is."""

    name: str = Field(examples=["database"])
    repository: str | None
    state: Literal["ok", "degraded", "failed"]
    vital: bool = Field(description="Whether nothing can be served without the part.")
    reason: str
    command: str | None
    troubles: list[HealthTrouble]
    detail: dict[str, Any]
    checked_at: str | None
    age_seconds: float
    took_seconds: float
    timeout_seconds: float


class HealthReport(HealthSummary):
    """Every check."""

    checks: list[HealthCheck]
