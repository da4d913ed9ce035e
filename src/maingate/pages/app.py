"""The pages, added to the application of the HTTP interface, which protects them too."""

from typing import Final

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from maingate.pages import actions, assets, session
from maingate.pages.page_request import error_page
from maingate.pages.views import (
    breakers,
    charts,
    entity_redirect,
    events,
    front_page,
    ledger,
    patch,
    queues,
    run,
    workers,
)

_ROOMS: Final = (
    *(front_page, run, queues, ledger, patch, workers, breakers, events, charts, entity_redirect),
    *(actions, session, assets),
)


def add_pages(app: FastAPI) -> FastAPI:
    """Add the pages to an application, and return it.

    Args:
        app: The application of the HTTP interface.
    """
    for module in _ROOMS:
        app.include_router(module.router)
    of_interface = app.exception_handlers[HTTPException]

    async def of_http(request: Request, error: Exception) -> Response:
        is_for_people = "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(
            "/api/"
        )
        if is_for_people:
            return error_page(request, error)
        found: Response = await of_interface(request, error)  # type: ignore[misc]
        return found

    app.add_exception_handler(HTTPException, of_http)
    return app
