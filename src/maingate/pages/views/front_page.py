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
            trouble = f"Its record cannot be read: {error}"
            items.insert(0, _unusable("record_unreadable", name, root, str(error)))
        more = shown[MOST_RUNS - 1]["id"] if len(shown) > MOST_RUNS else None
        repositories.append(
            {"name": name, "path": str(root), "runs": shown[:MOST_RUNS], "before": more, "trouble": trouble}
        )
    for each in visit.desk.unserved():
        why = f"It is not served, and tried again each second: {each.error}"
        items.insert(0, _unusable("repository_unserved", each.name, each.path, why))
        if not each.is_open:
            repositories.append(
                {"name": each.name, "path": str(each.path), "runs": [], "before": None, "trouble": why}
            )
    return {
        "items": items[:MOST_ITEMS],
        "more_items": max(0, len(items) - MOST_ITEMS),
        "repositories": repositories,
    }


def _unusable(code: str, name: str, root: Path, why: str) -> Json:
    """Return the matter of a repository that cannot be used, in the form of those of an inbox."""
    about = {"kind": "repository", "id": name, "name": name, "run_id": None, "run_name": None}
    return {
        "code": code,
        "severity": "critical",
        "about": about,
        "why": why,
        "since": None,
        "command": command_in(root, "doctor"),
        "repo": name,
    }


add_page(router, "/", "front_page.html", front_page, json_path="/index.json")
