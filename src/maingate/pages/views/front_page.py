"""The front page: the matters that need a person, and the repositories with their runs."""

from pathlib import Path
from typing import Any, Final

from maingate.errors import DatabaseError
from maingate.monitoring.finding import command_in
from maingate.pages.page_request import Visit, add_page, page_router
from maingate.queries.details.listing import Selection, runs_page
from maingate.queries.inbox.open_matters import inbox

Json = dict[str, Any]

router = page_router()

MOST_RUNS: Final = 30
"""Runs that are shown of each repository at once."""
MOST_ITEMS: Final = 50


def front_page(visit: Visit) -> Json:
    """Return what needs a person, and each repository with its newest runs."""
    items: list[Json] = []
    repositories = []
    for name, maingate in visit.desk.readable(visit.asked("repo") or None):
        before, root = visit.asked("before") or None, maingate.repository.root
        trouble, shown = None, list[Json]()
        try:
            items += [item.as_json() | {"repo": name} for item in inbox(maingate.context)]
            shown = runs_page(maingate.context, Selection(before=before, limit=MOST_RUNS + 1))
        except DatabaseError as error:  # the other repositories are shown
            trouble = str(error)
            items.insert(0, _unreadable(name, root, trouble))
        more = shown[MOST_RUNS - 1]["id"] if len(shown) > MOST_RUNS else None
        repositories.append(
            {"name": name, "path": str(root), "runs": shown[:MOST_RUNS], "before": more, "trouble": trouble}
        )
    return {
        "items": items[:MOST_ITEMS],
        "more_items": max(0, len(items) - MOST_ITEMS),
        "repositories": repositories,
    }


def _unreadable(name: str, root: Path, why: str) -> Json:
    """Return the matter of a repository whose record cannot be read, in the form of those of an inbox."""
    about = {"kind": "repository", "id": name, "name": name, "run_id": None, "run_name": None}
    return {
        "code": "record_unreadable",
        "severity": "critical",
        "about": about,
        "why": why,
        "since": None,
        "command": command_in(root, "doctor"),
        "repo": name,
    }


add_page(router, "/", "front_page.html", front_page, json_path="/index.json")
