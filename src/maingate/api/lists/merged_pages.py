"""Paging: lists of all repositories that a caller may read, merged, page by page, with opaque cursors."""

import base64
import binascii
import hashlib
import heapq
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, Final

from fastapi import Depends, Query, Request, Response

from maingate.api.answer_cache import draft
from maingate.api.answers.json_answer import answer
from maingate.api.answers.problems import HttpProblemError
from maingate.api.permitted_repositories import Desk
from maingate.queries.changes import Part
from maingate.queries.details.listing import Selection
from maingate.repository_context import RepositoryContext
from maingate.wording import short

LONGEST_PAGE: Final = 500

Json = dict[str, Any]
ReadPage = Callable[[RepositoryContext, Selection], list[Json]]


@dataclass(frozen=True, kw_only=True)
class Paging:
    """The page that is asked for.

    Args:
        limit: Most items of it.
        cursor: The end of the page before; None for the first.
        fields: The fields of each item that are wanted; empty for all.
    """

    limit: int
    cursor: str | None
    fields: Sequence[str]


async def paging_of(
    limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE, description="Most items of a page.")] = 50,
    cursor: Annotated[str | None, Query(max_length=300, description="The `next` of the page before.")] = None,
    fields: Annotated[
        str | None, Query(max_length=500, description="Only these fields of each item, separated by commas.")
    ] = None,
) -> Paging:
    """Return the page that is asked for, for FastAPI."""
    return Paging(limit=limit, cursor=cursor, fields=fields_of(fields))


PageWanted = Annotated[Paging, Depends(paging_of)]


def fields_of(text: str | None) -> list[str]:
    """Return the names in a list of fields."""
    return [each.strip() for each in (text or "").split(",") if each.strip()]


def picked(value: Json, fields: Sequence[str]) -> Json:
    """Return only some fields of an object, in its own order; all of them where none are named.

    Raises:
        HttpProblemError: It has no such field.
    """
    if unknown := [each for each in fields if each not in value]:
        raise HttpProblemError(
            400, "unknown_field", f"there is no field {short(unknown[0])!r}; there are {', '.join(value)}"
        )
    return {key: value[key] for key in value if not fields or key in fields}


def list_answer(
    request: Request,
    desk: Desk,
    read: ReadPage,
    *,
    shows: Collection[Part],
    among: Mapping[str, Sequence[str] | None],
    name: str | None,
    repo: str | None,
    wanted: Paging,
) -> Response:
    """Answer with a page of a list, which is kept for callers of the same rights.

    Args:
        request: The request.
        desk: The caller.
        read: Reads a page of one repository.
        shows: The parts of the record that the list shows.
        among: Filters by column; None for those that were not given.
        name: Only entities whose name contains this.
        repo: Only this repository.
        wanted: The page.
    """
    made = draft(request, desk, desk.readable(repo), shows)
    page = list_page(desk, read, among=among, name=name, repo=repo, wanted=wanted)
    return answer(request, page, keeper=made)


def list_page(
    desk: Desk,
    read: ReadPage,
    *,
    among: Mapping[str, Sequence[str] | None],
    name: str | None,
    repo: str | None,
    wanted: Paging,
) -> Json:
    """Return a page of a list, newest first.

    Args:
        desk: The caller.
        read: Reads a page of one repository.
        among: Filters by column; None for those that were not given.
        name: Only entities whose name contains this.
        repo: Only this repository.
        wanted: The page.
    """
    if repo is None:
        desk.require_whole()
    chosen = {column: list(values) for column, values in among.items() if values}
    kind = list_kind(read.__name__, chosen, name, repo)
    choice = Selection(
        among=chosen,
        name=name,
        before=None if wanted.cursor is None else read_cursor(kind, wanted.cursor, _is_identifier),
        limit=wanted.limit + 1,
    )
    lists = [
        [item | {"repo": place} for item in read(maingate.context, choice)]
        for place, maingate in desk.readable(repo)
    ]
    merged = heapq.merge(*lists, key=lambda item: str(item["id"]), reverse=True)
    return page_of(
        list(islice(merged, wanted.limit + 1)), wanted, lambda last: write_cursor(kind, last["id"])
    )


def page_of(items: Sequence[Json], wanted: Paging, cursor_after: Callable[[Json], str]) -> Json:
    """Return a page of the items that were read; there is one more than wanted unless it is the last."""
    shown = items[: wanted.limit]
    has_more = len(items) > wanted.limit
    return {
        "items": [picked(item, wanted.fields) for item in shown],
        "next": cursor_after(shown[-1]) if has_more else None,
    }


def write_cursor(kind: str, place: str | int) -> str:
    """Return the cursor behind a place in a list."""
    return base64.urlsafe_b64encode(json.dumps([kind, place]).encode()).decode().rstrip("=")


def read_cursor(kind: str, cursor: str, is_place: Callable[[object], bool]) -> Any:
    """Return the place that a cursor stands behind.

    Args:
        kind: The list.
        cursor: The cursor, which anyone can make.
        is_place: Returns whether a value is a place in that list.

    Raises:
        HttpProblemError: It is none of this list with these filters.
    """
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        found = None
    is_one = isinstance(found, list) and len(found) == 2 and found[0] == kind  # noqa: PLR2004 - as written above
    if not is_one or not is_place(found[1]):
        raise HttpProblemError(
            400, "invalid_cursor", "the cursor is not one of this list with these filters; begin without it"
        )
    return found[1]


def list_kind(*parts: Any) -> str:
    """Return a short name of a list with its filters, however long these are."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_identifier(place: object) -> bool:
    return isinstance(place, str) and place.isascii() and place.isprintable()
