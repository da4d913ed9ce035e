"""Formats of lists and tables other than JSON: CSV, and a JSON object per line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel

from maingate.api.answers.json_answer import AnswerKeeper, answer, rendered, text_answer
from maingate.api.lists.merged_pages import picked
from maingate.queries.events.text import csv_text

CSV: Final = "text/csv"
JSON_LINES: Final = "application/jsonl"

TextFormat = Literal["json", "csv", "jsonl"]
_OF_MEDIA_TYPE: Final[Mapping[str, TextFormat]] = {
    "application/json": "json",
    "*/*": "json",
    CSV: "csv",
    JSON_LINES: "jsonl",
    "application/x-ndjson": "jsonl",
}


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Objects that are answered in any format.

    Args:
        items: The objects.
        value: The whole JSON value.
        columns: The columns of CSV.
        rows: Its rows, as objects with at least these columns.
        next: The cursor of the next page; None on the last.
    """

    items: Sequence[Mapping[str, Any]]
    value: Mapping[str, Any]
    columns: Sequence[str]
    rows: Sequence[dict[str, Any]]
    next: str | None = None


async def format_of(
    request: Request,
    format_: Annotated[
        TextFormat | None,
        Query(alias="format", description="`json`, `csv` or `jsonl`; else the first known one of `Accept`."),
    ] = None,
) -> TextFormat:
    """Return the format that is asked for, for FastAPI."""
    accepted = (each.split(";")[0].strip() for each in request.headers.get("accept", "").split(","))
    known: list[TextFormat] = [_OF_MEDIA_TYPE[each] for each in accepted if each in _OF_MEDIA_TYPE]
    return format_ or (known[0] if known else "json")


FormatWanted = Annotated[TextFormat, Depends(format_of)]


def formatted(
    request: Request,
    listing: Listing,
    format_: TextFormat,
    fields: Sequence[str] = (),
    keeper: AnswerKeeper | None = None,
) -> Response:
    """Return objects in a format; the next page of a text is a `Link` of the answer. Only JSON is kept."""
    link = {} if listing.next is None else {"Link": _link(request, listing.next)}
    headers = {"Vary": "Accept", **link}
    if format_ == "json":
        return answer(request, listing.value, headers=headers, keeper=keeper)
    if format_ == "jsonl":
        text = "".join(f"{rendered(item)}\n" for item in listing.items)
        return text_answer(request, text, JSON_LINES, headers=headers)
    columns = list(picked(dict.fromkeys(listing.columns), fields))
    text = csv_text(columns, [[row[column] for column in columns] for row in listing.rows])
    return text_answer(request, text, f"{CSV}; charset=utf-8", headers=headers)


def described_list(model: type[BaseModel] | Any) -> dict[int | str, dict[str, Any]]:
    """Return the description of an endpoint that answers in any format."""
    text = {"schema": {"type": "string"}}
    return {200: {"model": model, "content": {CSV: text, JSON_LINES: text}}}


def _link(request: Request, cursor: str) -> str:
    url = request.url.include_query_params(cursor=cursor)
    return f'<{url.path}?{url.query}>; rel="next"'
