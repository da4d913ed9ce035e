"""The one way to make an event that is no change of state; those are made by the writer of states alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Protocol

from maingate.events import Event, EventType, Severity
from maingate.ids import new_id
from maingate.reasons import Reason
from maingate.state.steps.step import Context

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class EventEntity(Protocol):
    """The entity that an event is about: its head, or an ``EventSubject``."""

    @property
    def machine(self) -> str:
        """The name of its machine."""
        ...

    @property
    def id(self) -> str:
        """The entity."""
        ...

    @property
    def context(self) -> Context:
        """The run, workstream and task that it belongs to."""
        ...


@dataclass(frozen=True, kw_only=True)
class EventSubject:
    """An entity whose head is not at hand.

    Args:
        machine: The name of its machine.
        id: The entity.
        context: The run, workstream and task that it belongs to.
    """

    machine: str
    id: str
    context: Context


def the_run(run_id: str) -> EventSubject:
    """Return a run as the subject of an event."""
    return EventSubject(machine="run", id=run_id, context=Context(run_id=run_id))


def new_event(
    kind: EventType,
    subject: EventEntity | None,
    at: datetime,
    *,
    severity: Severity = Severity.INFO,
    trigger: str | None = None,
    reason: Reason | str | None = None,
    metadata: Mapping[str, Any] = _NOTHING,
    operator: str | None = None,
) -> Event:
    """Return an event that was not recorded yet.

    Args:
        kind: Its type.
        subject: The entity that it is about; None for one about none.
        at: Its time.
        severity: The attention that it deserves.
        trigger: Its cause.
        reason: Its reason; a text has no code.
        metadata: Values for programs, JSON-serialisable.
        operator: The person who caused it; None when it is automatic.
    """
    context = Context() if subject is None else subject.context
    return Event(
        event_id=new_id("evt"),
        timestamp=at,
        event_type=str(kind),
        severity=severity,
        entity_type=None if subject is None else subject.machine,
        entity_id=None if subject is None else subject.id,
        trigger=trigger,
        reason=_public(reason),
        metadata=metadata,
        operator=operator,
        run_id=context.run_id,
        workstream_id=context.workstream_id,
        task_id=context.task_id,
    )


def _public(reason: Reason | str | None) -> Mapping[str, Any] | None:
    if reason is None:
        return None
    return reason.as_json() if isinstance(reason, Reason) else {"message": reason}
