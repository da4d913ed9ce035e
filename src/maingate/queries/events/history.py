"""Events as people and programs see them: their types, counts, names and history."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from maingate.db.dao import runs, tasks, workstreams
from maingate.db.dao.history import events
from maingate.db.ledger import running_head
from maingate.errors import UsageError
from maingate.events import TRANSITION_SUFFIX, Event, EventType
from maingate.repository_context import RepositoryContext
from maingate.state.machines import MACHINES

PAGE: Final = 1000

_TRANSITION_OF: Final = {
    "run": "run_state_transition",
    "workstream": "workstream_state_transition",
    "task": "task_state_transition",
    "patch": "patch_ledger_state_transition",
    "gate": "test_gate_state_transition",
    "worker": "worker_state_transition",
}
"""Short names of the most common event types."""


@dataclass(frozen=True, kw_only=True)
class EventQuery:
    """A choice of events.

    Args:
        context: The repository and its record.
        entity: Only those about this entity.
        type: Only those of this type.
        since: Only those from this moment on.
    """

    context: RepositoryContext
    entity: str | None = None
    type: str | None = None
    since: datetime | None = None

    def newest(self, limit: int) -> list[Event]:
        """Read the newest ones, oldest of them first; a limit of 0 reads all."""
        if limit == 0:
            return list(self.after(0))
        return self._page(limit=limit, newest=True)[::-1]

    def after(self, seq: int) -> Iterator[Event]:
        """Read those after a place in the order of events, in order, page by page."""
        while page := self._page(after_seq=seq, limit=PAGE):
            yield from page
            seq = max(event.seq or 0 for event in page)
            if len(page) < PAGE:
                return

    def _page(self, **how: Any) -> list[Event]:
        with self.context.database.read() as conn:
            return events.query(conn, entity=self.entity, type=self.type, since=self.since, **how)


def between(context: RepositoryContext, after: int, upto: int) -> list[Event]:
    """Read the events after one place and up to another, in order."""
    from maingate.db.dao.history import event_pages  # noqa: PLC0415 - the history of an entity needs none
    from maingate.db.rollups.conditions import EVERYTHING  # noqa: PLC0415

    with context.database.read() as conn:
        return event_pages.page(
            conn, EVERYTHING, event_pages.Stretch(after=after, upto=upto), limit=upto - after
        )


def position(context: RepositoryContext) -> int:
    """Return the place of the newest row of the record; no event has a later one."""
    with context.database.read() as conn:
        return running_head.position(conn).seq


def type_named(text: str) -> str:
    """Return the full name of an event type.

    Raises:
        UsageError: The type is unknown.
    """
    full = {*map(str, EventType), *(f"{machine}{TRANSITION_SUFFIX}" for machine in MACHINES)}
    chosen = _TRANSITION_OF.get(text, text)
    if chosen not in full:
        known = ", ".join([*_TRANSITION_OF, *sorted(full)])
        raise UsageError(f"unknown event type {text!r}: choose one of {known}")
    return chosen


def count_events(context: RepositoryContext, *, since: datetime | None) -> list[dict[str, Any]]:
    """Return how often each kind of event happened, in the public JSON form."""
    with context.database.read() as conn:
        return [asdict(one) for one in events.aggregate(conn, since=since)]


def names_of(context: RepositoryContext, shown: Sequence[Event]) -> Mapping[str, str]:
    """Return the names of the workstreams and tasks that events are about, by id."""
    with context.database.read() as conn:
        of_tasks = tasks.get_many(conn, {event.task_id for event in shown if event.task_id})
        streams = {event.workstream_id for event in shown if event.workstream_id}
        of_streams = workstreams.get_many(conn, streams | {task.workstream_id for task in of_tasks.values()})
    names = {str(id_): stream.name for id_, stream in of_streams.items()}
    return names | {str(id_): f"{names[task.workstream_id]}/{task.name}" for id_, task in of_tasks.items()}


def older_run_of(context: RepositoryContext, shown: Sequence[Event]) -> str | None:
    """Return the run of the events if it is not the newest one; else None."""
    with context.database.read() as conn:
        newest = runs.newest(conn)
    of_runs = {event.run_id for event in shown if event.run_id}
    return of_runs.pop() if newest and len(of_runs) == 1 and newest.id not in of_runs else None


def history_json(event: Event) -> dict[str, Any]:
    """Return the public JSON form of a change of state or a decision by hand."""
    return {
        "at": event.timestamp,
        "type": event.event_type,
        "from": event.from_state,
        "to": event.to_state,
        "trigger": event.trigger,
        "operator": event.operator,
        "reason": None if event.reason is None else dict(event.reason),
    }
