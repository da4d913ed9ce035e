"""Events: the newest first, of everything or of one entity, and how often each kind happened."""

from typing import Any, Final

from maingate.pages.spans import SPANS
from maingate.pages.visit import Visit, add_page, page_router
from maingate.queries.events import EventQuery, count_events, names_of, type_named
from maingate.roles import Role

Json = dict[str, Any]

router = page_router()

MOST_EVENTS: Final = 200
"""Events that are shown at once."""
_KINDS: Final = ("", "run", "workstream", "task", "patch", "gate", "worker")


def events_view(visit: Visit) -> Json:
    """Return the chosen events of a repository, and the counts of each kind."""
    repos = [name for name, _ in visit.desk.readable()]
    repo, maingate = visit.desk.one(visit.asked("repo") or next(iter(repos), None), Role.VIEWER)
    context, entity, type_ = maingate.context, visit.asked("entity").strip(), visit.asked("type")
    span = visit.asked("since")
    since = context.clock.now() - SPANS[span] if span in SPANS else None
    chosen = EventQuery(
        context=context, entity=entity or None, type=type_named(type_) if type_ else None, since=since
    )
    found = chosen.newest(MOST_EVENTS)[::-1]
    names = names_of(context, found)
    counts = count_events(context, since=since)
    return {
        "repo": repo,
        "entity": entity,
        "type": type_,
        "since": span,
        "kinds": _KINDS,
        "spans": list(SPANS),
        "events": [
            event.as_json() | {"name": names.get(str(event.task_id or event.workstream_id or ""))}
            for event in found
        ],
        "counts": sorted(counts, key=lambda one: -one["count"])[:40] if not entity and not type_ else [],
        "is_cut": len(found) == MOST_EVENTS,
    }


add_page(router, "/events", "events.html", events_view)
