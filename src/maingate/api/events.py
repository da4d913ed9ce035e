"""Events: the history of a repository, page by page, and how often each kind of event happened."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import BeforeValidator

from maingate.api.describing import described
from maingate.api.desk import AtDesk, RepoName
from maingate.api.json_answer import answer
from maingate.api.paging import PageWanted, page_of, read_cursor, write_cursor
from maingate.api.schemas import EventCounts, Events
from maingate.queries.events import EventQuery, count_events, type_named
from maingate.roles import Role

router = APIRouter(prefix="/api/v1", tags=["events"])

_OVERRIDES: Final = "manual_override"
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")

OfEntity = Annotated[str | None, Query(max_length=40, description="Only about the entity of this id.")]


def _written_out(value: Any) -> Any:
    """Return a moment that is written as a date and a time; a bare number is no moment."""
    if isinstance(value, str) and _MOMENT.match(value) is None:
        raise ValueError("write a date and a time, such as 2026-01-31T12:00:00Z")
    return value


Since = Annotated[
    datetime | None,
    BeforeValidator(_written_out),
    Query(description="Only from this moment on; in UTC without a zone."),
]


@router.get("/events", summary="List events, oldest first", responses=described(Events))
def list_events(  # noqa: PLR0917 - the parameters of a query
    request: Request,
    desk: AtDesk,
    wanted: PageWanted,
    repo: RepoName = None,
    entity: OfEntity = None,
    type_: Annotated[
        str | None, Query(alias="type", max_length=60, description="Only of this type, such as `task`.")
    ] = None,
    since: Since = None,
) -> Response:
    """List events in the order of their commits. `events/stream` follows new ones."""
    return answer(request, _page(desk, wanted, repo, entity, type_, since))


@router.get("/overrides", summary="List decisions by hand, oldest first", responses=described(Events))
def list_overrides(  # noqa: PLR0917 - the parameters of a query
    request: Request,
    desk: AtDesk,
    wanted: PageWanted,
    repo: RepoName = None,
    entity: OfEntity = None,
    since: Since = None,
) -> Response:
    """List the decisions by hand about tasks, workstreams, patches and breakers, with operator and reason."""
    return answer(request, _page(desk, wanted, repo, entity, _OVERRIDES, since))


@router.get("/events/aggregate", summary="Count events by kind", responses=described(EventCounts))
def aggregate(request: Request, desk: AtDesk, repo: RepoName = None, since: Since = None) -> Response:
    """Count the events of each type, change of state and trigger, most frequent first."""
    _, maingate = desk.one(repo, Role.VIEWER)
    return answer(request, {"items": count_events(maingate.context, since=_zoned(since))})


def _page(  # noqa: PLR0917 - the parameters of a query
    desk: AtDesk,
    wanted: PageWanted,
    repo: str | None,
    entity: str | None,
    type_: str | None,
    since: datetime | None,
) -> dict[str, Any]:
    name, maingate = desk.one(repo, Role.VIEWER)
    kind = f"events {name} {entity} {type_} {since}"
    place = 0 if wanted.cursor is None else read_cursor(kind, wanted.cursor)
    chosen = EventQuery(
        context=maingate.context,
        entity=entity,
        type=None if type_ is None else type_named(type_),
        since=_zoned(since),
    )
    found = [event.as_json() for event in chosen.page_after(place, wanted.limit + 1)]
    return page_of(found, wanted, lambda last: write_cursor(kind, last["seq"]))


def _zoned(at: datetime | None) -> datetime | None:
    """Return a moment in UTC."""
    if at is None or at.tzinfo is not None:
        return at
    return at.replace(tzinfo=UTC)
