"""Schemas of workers and circuit breakers."""

from typing import Any

from pydantic import BaseModel, Field

from maingate.api.schemas.base import Reason, Sparse


class WorkerItem(Sparse):
    """A worker, or the process that controls a run."""

    id: str
    repo: str
    name: str
    state: str
    alive: bool
    reason: Reason | None
    host: str
    pid: int | None
    capabilities: list[str]
    affinity: dict[str, Any]
    load: int
    capacity: int
    job: dict[str, Any] | None
    heartbeat_at: str | None
    silent_seconds: float | None
    stuck: dict[str, Any] | None
    started_at: str
    ended_at: str | None
    slots: list[dict[str, Any]]


class BreakerItem(Sparse):
    """The circuit breaker of a tool."""

    id: str
    repo: str
    tool: str
    state: str = Field(examples=["CLOSED"])
    failures: int
    threshold: int
    cooldown_seconds: float
    opened_at: str | None
    next_try_at: str | None
    probe: dict[str, Any] | None
    reason: Reason | None


class Workers(BaseModel):
    """Workers, oldest first."""

    items: list[WorkerItem]


class Breakers(BaseModel):
    """Circuit breakers, by tool."""

    items: list[BreakerItem]
