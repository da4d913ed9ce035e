"""Schemas of events, and of what is counted of them."""

from typing import Any

from pydantic import BaseModel, Field

from maingate.api.schemas.base import Page, Sparse


class EventContext(BaseModel):
    """The run, workstream and task that an event belongs to."""

    run_id: str | None
    workstream_id: str | None
    task_id: str | None


class EventItem(Sparse):
    """An event: a change of state, a decision by hand, a warning or an error."""

    seq: int
    event_id: str
    timestamp: str
    event_type: str
    severity: str
    entity_type: str | None
    entity_id: str | None
    from_state: str | None
    to_state: str | None
    trigger: str | None
    reason: dict[str, Any] | None
    metadata: dict[str, Any]
    operator: str | None
    context: EventContext


class Events(Page):
    """A page of events."""

    items: list[EventItem]


class EventCount(BaseModel):
    """The number of events of one kind."""

    event_type: str
    entity_type: str | None
    from_state: str | None
    to_state: str | None
    trigger: str | None
    count: int
    first: str
    last: str


class EventCounts(BaseModel):
    """Numbers of events, most frequent kind first."""

    items: list[EventCount]


class EventTable(BaseModel):
    """The answer to a query of events: a row for each group, with the values of its columns by their names.

    ``source`` is ``rows`` where values are exact, and ``rollups`` where percentiles are those of a histogram.
    """

    source: str = Field(examples=["rollups"])
    columns: list[str] = Field(examples=[["gate", "count"]])
    left_off: int
    items: list[dict[str, Any]]
