"""Schemas of workstreams, tasks and decisions about them."""

from typing import Any

from pydantic import BaseModel, Field

from maingate.api.schemas.base import Lifecycle, Page, Reason


class WorkstreamItem(Lifecycle):
    """A workstream."""

    id: str
    run_id: str
    repo: str
    name: str
    title: str
    state: str = Field(examples=["completed"])
    critical: bool
    priority: int
    reason: Reason | None
    base: str | None
    head: str | None
    landed: str | None


class TaskPatch(BaseModel):
    """The present patch of a task."""

    id: str
    state: str
    reason: Reason | None
    commit: str | None
    method: str | None
    repairs: list[dict[str, Any]]


class TaskItem(Lifecycle):
    """A task."""

    id: str
    run_id: str
    workstream_id: str
    repo: str
    name: str = Field(examples=["parser/drop-regex"])
    kind: str
    state: str = Field(examples=["completed"])
    critical: bool
    reason: Reason | None
    attempt: int
    retry_count: int
    max_retries: int
    patch: TaskPatch | None


class Decided(BaseModel):
    """A decision by hand, and the state of its entity after it."""

    id: str
    name: str
    action: str
    state: str
    reason: Reason | None
    operator: str
    run_id: str


class Workstreams(Page):
    """A page of workstreams."""

    items: list[WorkstreamItem]


class Tasks(Page):
    """A page of tasks."""

    items: list[TaskItem]
