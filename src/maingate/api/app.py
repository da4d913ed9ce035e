"""The application: its endpoints, its protection, and what its endpoints share."""

from collections.abc import Collection
from typing import Final

from anyio import CapacityLimiter
from fastapi import Depends, FastAPI

from maingate.api import health_endpoints
from maingate.api.actions.idempotent_requests import MOST_AT_ONCE
from maingate.api.answer_cache import AnswerCache, AnswerFromCache
from maingate.api.answers.problems import add_problems
from maingate.api.description import add_description
from maingate.api.endpoints import (
    event_stream,
    events,
    gates,
    landings,
    metrics,
    overrides,
    patches,
    plans,
    queues,
    record,
    rollbacks,
    runs,
    webhooks,
    workforce,
    workstreams_and_tasks,
)
from maingate.api.event_feed import EventFeed
from maingate.api.guard.access import Access
from maingate.api.guard.protection import AddHeaders, CatchErrors, LimitBody, RefuseOthers
from maingate.api.health_endpoints import MOST_AT_ONCE as MOST_PROBES
from maingate.api.query_check import check_query
from maingate.api.sending_pace import SendingPace
from maingate.api.shared_answers import ShareAnswers
from maingate.api.simulation_process import MOST_AT_ONCE as MOST_SIMULATIONS
from maingate.server.made_for_each import MadeForEach
from maingate.server.served_repositories import Site

MOST_BODY: Final = 1024 * 1024
MOST_UPLOAD: Final = 64 * 1024 * 1024
"""Bytes of a request, and of one that brings a plan with its patches."""

_INTERFACE: Final = (
    *(runs, plans, landings, queues, workstreams_and_tasks, patches, gates, workforce),
    *(overrides, rollbacks),
    *(events, event_stream, webhooks, record),
)
_PROBED: Final = (health_endpoints, metrics)
"""The endpoints of other programs, which may add parameters of their own."""
_UPLOADS: Final = ("/api/v1/runs", "/api/v1/plan/check", "/api/v1/plan/simulate", "/api/v1/land")


def create_app(site: Site, *, access: Access, hosts: Collection[str] | None = None) -> FastAPI:
    """Return the application that answers for the repositories of a server.

    Args:
        site: The repositories.
        access: Recognises callers.
        hosts: The names under which the server may be reached, such as `LOOPBACK_NAMES`; None for all.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url="/api/v1/openapi.json", redirect_slashes=False)
    app.state.site, app.state.access = site, access
    app.state.answers = MadeForEach(site, lambda _, maingate: maingate.answers)
    pace = SendingPace()
    app.state.feeds = MadeForEach(site, lambda _, maingate: EventFeed(maingate.context, pace))
    app.state.cache = AnswerCache(site)
    app.state.slow, app.state.simulations = CapacityLimiter(MOST_AT_ONCE), CapacityLimiter(MOST_SIMULATIONS)
    app.state.health, app.state.probes = health_endpoints.health_of(site), CapacityLimiter(MOST_PROBES)
    for module in _INTERFACE:
        app.include_router(module.router, dependencies=[Depends(check_query)])
    for module in _PROBED:
        app.include_router(module.router)
    add_problems(app)
    add_description(app)
    app.add_middleware(ShareAnswers, access=access)
    app.add_middleware(AnswerFromCache, cache=app.state.cache, access=access)
    app.add_middleware(CatchErrors)
    app.add_middleware(LimitBody, most=MOST_BODY, most_at=dict.fromkeys(_UPLOADS, MOST_UPLOAD))
    app.add_middleware(RefuseOthers, hosts=hosts)
    app.add_middleware(
        AddHeaders
    )  # the last one is the first to see a request, and the last to see its answer
    return app
