"""Lists of the events that match a query: the newest, page by page, and as they come."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from maingate.db.dao import tasks, workstreams
from maingate.db.dao.history import event_pages
from maingate.db.dao.history.event_pages import Stretch
from maingate.db.ledger import running_head
from maingate.db.rollups import time_window
from maingate.db.rollups.conditions import Conditions, conditions
from maingate.db.schema.rollup_kinds import FLAKE
from maingate.db.sql.connection import Connection
from maingate.events import Event
from maingate.monitoring.event_query_language import EventSearch, full_type
from maingate.queries.names import find_id
from maingate.repository_context import RepositoryContext

PAGE: Final = 1_000
"""Events that are read at a time."""

LISTED: Final = 200
"""Events that a list has unless `top` says another number."""

_VALUES: Final[Mapping[str, Callable[[Event], str | None]]] = {
    "type": lambda event: event.event_type,
    "severity": lambda event: str(event.severity),
    "state": lambda event: event.to_state,
    "from": lambda event: event.from_state,
    "trigger": lambda event: event.trigger,
    "operator": lambda event: event.operator,
    "reason": lambda event: (event.reason or {}).get("code"),
    "entity": lambda event: event.entity_id,
    "run": lambda event: event.run_id,
    "workstream": lambda event: event.workstream_id,
    "task": lambda event: event.task_id,
}
"""The values of filters that an event itself has."""

_IDS: Final = ("entity", "run", "workstream", "task")


def resolved(context: RepositoryContext, search: EventSearch) -> EventSearch:
    """Return a search with the ids of the entities that it names.

    Raises:
        UnknownEntityError: There is none of a name.
        AmbiguousNameError: There are several.
    """
    wanted = dict(search.wanted)
    for key in _IDS:
        if key in wanted:
            wanted[key] = tuple(find_id(context, name) for name in wanted[key])
    with context.database.read() as conn:
        if owners := _runs_of(conn, wanted):
            wanted.setdefault("run", tuple(owners))
    return replace(search, wanted=wanted)


def _runs_of(conn: Connection, wanted: dict[str, tuple[str, ...]]) -> list[str]:
    """Return the runs of the workstreams or tasks that are wanted: rows are found by their run."""
    rows: list[Any] = []
    if "task" in wanted:
        rows = list(tasks.get_many(conn, wanted["task"]).values())
    elif "workstream" in wanted:
        rows = list(workstreams.get_many(conn, wanted["workstream"]).values())
    return list(dict.fromkeys(row.run_id for row in rows))


def newest(context: RepositoryContext, search: EventSearch, limit: int | None = None) -> list[Event]:
    """Read the newest events that match, oldest of them first; a limit of 0 reads all."""
    most = search.top or LISTED if limit is None else limit
    with context.database.read() as conn:
        only, after = conditions_of(conn, search), time_window.first_row(conn, search.since)
        if most == 0:
            return [event for page in _pages(conn, only, after) for event in page]
        return event_pages.page(conn, only, Stretch(after=after), limit=most, newest=True)


def before(context: RepositoryContext, search: EventSearch, seq: int, limit: int) -> list[Event]:
    """Read the newest matching events before a place, oldest of them first: the page before."""
    with context.database.read() as conn:
        stretch = Stretch(after=time_window.first_row(conn, search.since), upto=seq - 1)
        return event_pages.page(conn, conditions_of(conn, search), stretch, limit=limit, newest=True)


def page_after(
    context: RepositoryContext, search: EventSearch, seq: int, limit: int, *, upto: int | None = None
) -> list[Event]:
    """Read the first matching events after a place, in order.

    Args:
        context: The repository and its record.
        search: The query.
        seq: The place.
        limit: Most events to return.
        upto: The place of the last event to look at; None for the newest.
    """
    with context.database.read() as conn:
        after = max(seq, time_window.first_row(conn, search.since))
        stretch = Stretch(after=after) if upto is None else Stretch(after=after, upto=upto)
        return event_pages.page(conn, conditions_of(conn, search), stretch, limit=limit)


def predicate(search: EventSearch) -> Callable[[Event], bool] | None:
    """Return the decision about one event; None where the record decides: words, gates, tools and flakes."""
    types = search.wanted.get("type", ())
    if search.words or FLAKE in types or not search.wanted.keys() <= _VALUES.keys():
        return None
    wanted = {**search.wanted, "type": tuple(map(full_type, types))} if types else search.wanted

    def matches(event: Event) -> bool:
        is_late = search.since is None or event.timestamp >= search.since
        is_early = search.until is None or event.timestamp < search.until
        return is_late and is_early and all(_VALUES[key](event) in values for key, values in wanted.items())

    return matches


def last_place(context: RepositoryContext) -> int:
    """Return the place of the newest row of the ledger."""
    with context.database.read() as conn:
        return running_head.position(conn).seq


def next_page(context: RepositoryContext, search: EventSearch, seq: int) -> tuple[list[Event], int]:
    """Read the matching events after a place, and return them with the place to go on from."""
    with context.database.read() as conn:
        last = running_head.position(conn).seq
        if last <= seq:
            return [], seq
        stretch = Stretch(after=seq, upto=last)
        found = event_pages.page(conn, conditions_of(conn, search), stretch, limit=PAGE)
    return found, (found[-1].seq or last) if len(found) == PAGE else last


def follow(
    context: RepositoryContext, search: EventSearch, after_seq: int, *, wait: Callable[[], bool]
) -> Iterator[list[Event]]:
    """Yield the matching events after a place as they come: none twice, none left out.

    Numbers are given out in the order of the commits, so that no event with a smaller number becomes visible
    after one with a greater.

    Args:
        context: The repository and its record.
        search: The query.
        after_seq: The place: the number of the last event that the reader has.
        wait: Waits until there may be more; returns whether to go on.
    """
    place = after_seq
    while True:
        before_page = place
        found, place = next_page(context, search, place)
        if found:
            yield found
        if (len(found) < PAGE or place == before_page) and not wait():
            return


def conditions_of(conn: Connection, search: EventSearch) -> Conditions:
    """Return the conditions of a search on rows."""
    wanted = dict(search.wanted)
    if "type" in wanted:
        wanted["type"] = tuple(map(full_type, wanted["type"]))
    return conditions(
        wanted,
        is_sqlite=conn.dialect.name == "sqlite",
        words=search.words,
        since=search.since,
        until=search.until,
    )


def _pages(conn: Connection, only: Conditions, after: int) -> Iterator[list[Event]]:
    while page := event_pages.page(conn, only, Stretch(after=after), limit=PAGE):
        yield page
        after = page[-1].seq or after
