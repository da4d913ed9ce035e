"""The circuit breakers of tools, and the two decisions about each."""

from typing import Any

from maingate.pages.page_request import Visit, add_page, page_router
from maingate.queries.workforce.breakers import list_breakers

Json = dict[str, Any]

router = page_router()


def breakers_view(visit: Visit) -> Json:
    """Return the breakers of the tools that have ever failed or been paused."""
    return {
        "breakers": [
            row | {"repo": name}
            for name, maingate in visit.desk.readable(visit.asked("repo") or None)
            for row in list_breakers(maingate.context)
        ]
    }


add_page(router, "/breakers", "breakers.html", breakers_view)
