"""The workers, their present jobs, and their signs of life."""

from typing import Any

from maingate.pages.page_request import Visit, add_page, page_router
from maingate.queries.workforce.workers import list_workers

Json = dict[str, Any]

router = page_router()

_ENDED = 10


def workers_view(visit: Visit) -> Json:
    """Return the workers that have not shut down, and the last that have."""
    shown = [
        row | {"repo": name}
        for name, maingate in visit.desk.readable(visit.asked("repo") or None)
        for row in list_workers(maingate.context, ended=_ENDED).rows
    ]
    return {
        "workers": [row for row in shown if row["ended_at"] is None],
        "ended": [row for row in shown if row["ended_at"] is not None],
    }


add_page(router, "/workers", "workers.html", workers_view)
