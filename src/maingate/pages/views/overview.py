"""The front page: the matters that need a person, and the repositories with their runs."""

from typing import Any, Final

from maingate.pages.page_request import Visit, add_page, page_router
from maingate.queries.details.listing import Selection, runs_page
from maingate.queries.inbox.open_matters import inbox

Json = dict[str, Any]

router = page_router()

MOST_RUNS: Final = 30
"""Runs that are shown of each repository at once."""
MOST_ITEMS: Final = 50


def overview(visit: Visit) -> Json:
    """Return what needs a person, and each repository with its newest runs."""
    items: list[Json] = []
    repositories = []
    for name, maingate in visit.desk.readable(visit.asked("repo") or None):
        items += [item.as_json() | {"repo": name} for item in inbox(maingate.context)]
        before = visit.asked("before") or None
        shown = runs_page(maingate.context, Selection(before=before, limit=MOST_RUNS + 1))
        more = shown[MOST_RUNS - 1]["id"] if len(shown) > MOST_RUNS else None
        root = str(maingate.repository.root)
        repositories.append({"name": name, "path": root, "runs": shown[:MOST_RUNS], "before": more})
    return {
        "items": items[:MOST_ITEMS],
        "more_items": max(0, len(items) - MOST_ITEMS),
        "repositories": repositories,
    }


add_page(router, "/", "overview.html", overview, json_path="/index.json")
