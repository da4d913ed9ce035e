"""Events: the history of a repository, page by page, and queries and reports about it."""

import re
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import AfterValidator, BeforeValidator

from maingate.api.answer_cache import Draft, draft
from maingate.api.answers.problems import HttpProblemError
from maingate.api.event_query import QueryText, in_query, search_of
from maingate.api.lists.merged_pages import (
    PageWanted,
    Paging,
    list_kind,
    page_of,
    read_cursor,
    write_cursor,
)
from maingate.api.lists.text_formats import FormatWanted, Listing, TextFormat, described_list, formatted
from maingate.api.permitted_repositories import AtDesk, RepoName
from maingate.api.schemas.events import EventCounts, Events, EventTable
from maingate.clock import moment_in_utc
from maingate.events import EventType
from maingate.monitoring.event_query_language import EventSearch, UnsuitedQueryError
from maingate.queries.changes import ALL
from maingate.queries.events import answers
from maingate.queries.events.answers import Answer
from maingate.queries.events.history import count_events, type_named
from maingate.queries.events.reports import REPORTS, report
from maingate.queries.events.search import newest, page_after
from maingate.queries.events.text import COLUMNS, flat
from maingate.repository_context import RepositoryContext
from maingate.roles import Role

router = APIRouter(prefix="/api/v1", tags=["events"])

_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")
_COUNTED: Final = (
    *("event_type", "entity_type", "from_state", "to_state", "trigger"),
    *("count", "first", "last"),
)
"""The columns of counts."""

OfEntity = Annotated[str | None, Query(max_length=40, description="Only about the entity of this id.")]


def _written_out(value: Any) -> Any:
    """Return a moment that is written as a date and a time; a bare number is no moment."""
    if isinstance(value, str) and _MOMENT.match(value) is None:
        raise ValueError("write a date and a time, such as 2026-01-31T12:00:00Z")
    return value


Since = Annotated[
    datetime | None,
    BeforeValidator(_written_out),
    AfterValidator(moment_in_utc),
    Query(description="Only from this moment on; in UTC without a zone."),
]


@router.get("/events", summary="List events, oldest first", responses=described_list(Events))
def list_events(  # noqa: PLR0917 - the parameters of a query
    request: Request,
    desk: AtDesk,
    wanted: PageWanted,
    format_: FormatWanted,
    repo: RepoName = None,
    q: QueryText = None,
    entity: OfEntity = None,
    type_: Annotated[
        str | None, Query(alias="type", max_length=60, description="Only of this type, such as `task`.")
    ] = None,
    since: Since = None,
) -> Response:
    """List events in the order of their commits; with `top:N` in the query the newest N, in one page.

    `events/stream` follows new ones, `events/aggregate` has groups and times.
    """
    name, maingate = desk.one(repo, Role.VIEWER)
    full = None if type_ is None else type_named(type_)
    search = search_of(maingate.context, q, {"entity": entity, "type": full}, since)
    with in_query(q):
        if not search.is_list:
            text = "a list of events has no groups and times: `events/aggregate` has them"
            raise UnsuitedQueryError(text, ["by", "show"])
    kind = list_kind("events", name, q, entity, type_, since)
    made = draft(request, desk, iter([(name, maingate)]), [ALL]) if q is None else None
    return _events(request, maingate.context, search, wanted, kind, format_, made)


@router.get("/overrides", summary="List decisions by hand, oldest first", responses=described_list(Events))
def list_overrides(  # noqa: PLR0917 - the parameters of a query
    request: Request,
    desk: AtDesk,
    wanted: PageWanted,
    format_: FormatWanted,
    repo: RepoName = None,
    entity: OfEntity = None,
    since: Since = None,
) -> Response:
    """List the decisions by hand about tasks, workstreams, patches and breakers, with operator and reason."""
    name, maingate = desk.one(repo, Role.VIEWER)
    filters = {"entity": entity, "type": str(EventType.MANUAL_OVERRIDE)}
    search = search_of(maingate.context, None, filters, since)
    return _events(
        request, maingate.context, search, wanted, list_kind("overrides", name, entity, since), format_
    )


@router.get(
    "/events/aggregate",
    summary="Count events, or show times, by group",
    responses=described_list(EventCounts | EventTable),
)
def aggregate(  # noqa: PLR0917 - the parameters of a query
    request: Request,
    desk: AtDesk,
    format_: FormatWanted,
    repo: RepoName = None,
    q: QueryText = None,
    since: Since = None,
) -> Response:
    """Count the events that match a query, or show the times in states, by the groups of the query.

    Without a query: the events of each type, change of state and trigger, most frequent first.
    """
    _, maingate = desk.one(repo, Role.VIEWER)
    search = search_of(maingate.context, q, since=since)
    if q is None:
        counts = count_events(maingate.context, since=search.since)
        listing = Listing(items=counts, value={"items": counts}, columns=_COUNTED, rows=counts)
    else:
        listing = _table(answers.answer(maingate.context, search))
    return formatted(request, listing, format_)


@router.get("/reports/{name}", summary="Read a report on events", responses=described_list(EventTable))
def read_report(  # noqa: PLR0917 - the parameters of a query
    request: Request,
    desk: AtDesk,
    format_: FormatWanted,
    name: Annotated[str, Path(max_length=40, description="`slow`, `flaky`, `costly`, `blamed`, and others.")],
    repo: RepoName = None,
    q: QueryText = None,
) -> Response:
    """Read a report: `slow`, `flaky`, `costly`, `blamed`, `waits` or `lead-time`.

    Its query may have `since`, `until`, `gate`, `tool` and `top`.
    """
    _, maingate = desk.one(repo, Role.VIEWER)
    if name not in REPORTS:
        raise HttpProblemError(404, "not_found", f"there is no such report; there are {', '.join(REPORTS)}")
    search = search_of(maingate.context, q)
    with in_query(q):
        return formatted(request, _table(report(maingate.context, name, search)), format_)


def _events(  # noqa: PLR0917 - the parameters of a query
    request: Request,
    context: RepositoryContext,
    search: EventSearch,
    wanted: Paging,
    kind: str,
    format_: TextFormat,
    draft_: Draft | None = None,
) -> Response:
    """Return a page of events; with ``top`` in the query it is the only one. Fields of CSV are columns."""
    if search.top is not None:
        found, page = newest(context, search), replace(wanted, limit=search.top)
    else:
        place = 0 if wanted.cursor is None else read_cursor(kind, wanted.cursor, _is_place)
        found, page = page_after(context, search, place, wanted.limit + 1), wanted
    if format_ == "csv":
        page = replace(page, fields=())
    items = [event.as_json() for event in found]
    value = page_of(items, page, lambda _: write_cursor(kind, found[page.limit - 1].seq or 0))
    rows = [flat(event) for event in found[: page.limit]]
    listing = Listing(items=value["items"], value=value, columns=COLUMNS, rows=rows, next=value["next"])
    keeper = draft_ if draft_ is None or listing.next is None else draft_.final()
    return formatted(request, listing, format_, wanted.fields, keeper)


def _is_place(place: object) -> bool:
    """Return whether a value can be the place of an event."""
    return type(place) is int and 0 <= place < 1 << 62


def _table(found: Answer) -> Listing:
    value = found.as_json()
    value["items"] = value.pop("rows")
    return Listing(items=value["items"], value=value, columns=found.columns, rows=value["items"])
