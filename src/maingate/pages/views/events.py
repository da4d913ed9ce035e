"""Events: the newest first or grouped, in the query language of the command line, and named reports."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from maingate.api.event_query import in_query, search_of
from maingate.errors import UsageError
from maingate.monitoring.event_query_language import EventSearch
from maingate.pages.page_request import Visit, add_page, page_router
from maingate.queries.events import answers
from maingate.queries.events.history import names_of
from maingate.queries.events.reports import REPORTS, report
from maingate.queries.events.search import newest

Json = dict[str, Any]

router = page_router()

MOST_EVENTS: Final = 200
"""Events that are shown at once."""


def events_view(visit: Visit) -> Json:
    """Return the events that match a query, or the table of a query with groups or of a report."""
    repo, maingate = visit.repository()
    context, text, named = maingate.context, visit.asked("q").strip(), visit.asked("report")
    entity = visit.asked("entity").strip()
    if named and named not in REPORTS:
        raise UsageError(f"there is no such report; there are {', '.join(REPORTS)}")
    search = search_of(context, text or None, {"entity": entity or None})
    view = {
        "repo": repo,
        "q": text,
        "entity": entity,
        "report": named,
        "reports": list(REPORTS),
        "pinned": _pinned(search, context.clock.now(), is_hourly=bool(named)),
    }
    if named:
        with in_query(text or None):
            return view | {"table": report(context, named, search).as_json(), "events": [], "is_cut": False}
    if not search.is_list:
        table = answers.answer(context, search).as_json()
        return view | {"table": table, "events": [], "is_cut": False}
    found = newest(context, search, MOST_EVENTS)[::-1]
    names = names_of(context, found)
    return view | {
        "table": None,
        "events": [
            event.as_json() | {"name": names.get(str(event.task_id or event.workstream_id or ""))}
            for event in found
        ],
        "is_cut": len(found) == MOST_EVENTS,
    }


def _pinned(search: EventSearch, now: datetime, *, is_hourly: bool) -> str:
    """Return the query that shows the same later: with times for lengths of time, and with an end."""
    hour = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    end = hour if is_hourly else now.replace(microsecond=0) + timedelta(seconds=1)
    return str(replace(search, until=search.until or end))


add_page(router, "/events", "events.html", events_view)
