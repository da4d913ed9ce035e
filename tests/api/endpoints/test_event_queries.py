"""Queries of events over HTTP: the language of the command line, in each format, with places of faults."""

import asyncio
import csv
import io
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from maingate.api.schemas.events import EventTable
from maingate.client import AsyncClient, Client, RefusedError
from maingate.queries.events.history import EventQuery
from maingate.queries.events.reports import REPORTS
from support.command_line import Played, maingate
from support.live_server import Live, problem

EVENTS = "/api/v1/events"
AGGREGATE = f"{EVENTS}/aggregate"

QUERIES = (
    "type:task state:running",
    "type:gate gate:tests,nosuch",
    "severity:error,critical",
    "type:patch state:quarantined reason:conflict",
    "conflicts",
    "since:2020-01-01T00:00 until:2100-01-01",
)


def told_by(played: Played, home: Path, *words: str) -> Any:
    """Return the JSON of ``maingate events``."""
    return json.loads(maingate("events", *words, cwd=played.stage.repository, home=home).stdout)


def all_of(client: httpx.Client, q: str, limit: int) -> list[dict[str, Any]]:
    """Read a list to its end, page by page."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        query: dict[str, Any] = {"q": q, "limit": limit} | ({"cursor": cursor} if cursor else {})
        answer = client.get(EVENTS, params=query)
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        cursor = answer.json()["next"]
        if cursor is None:
            return found


@pytest.mark.parametrize("q", QUERIES)
def test_a_query_lists_the_events_of_the_command_line(
    client: httpx.Client, played: Played, tmp_path: Path, q: str
) -> None:
    """The same text has the same events, in pages of any size."""
    told = told_by(played, tmp_path, q, "--json", "--limit", "0")
    assert told
    assert all_of(client, q, 500) == all_of(client, q, 7) == told


@pytest.mark.parametrize("q", ["by:type,state", "type:gate by:gate show:time", "by:hour top:1", ""])
def test_a_query_with_groups_is_the_table_of_the_command_line(
    client: httpx.Client, played: Played, tmp_path: Path, q: str
) -> None:
    """The rows are objects by column."""
    answer = client.get(AGGREGATE, params={"q": q})
    assert answer.status_code == 200
    table = answer.json()
    EventTable.model_validate(table)
    if q:
        told = told_by(played, tmp_path, q, "--json")
        assert (table["columns"], table["items"]) == (told["columns"], told["rows"])
    assert all(list(row) == table["columns"] for row in table["items"])


@pytest.mark.parametrize("name", list(REPORTS))
def test_a_report_is_that_of_the_command_line(
    client: httpx.Client, played: Played, tmp_path: Path, name: str
) -> None:
    """With a time, in each format."""
    told = told_by(played, tmp_path, "report", name, "--json")
    url = f"/api/v1/reports/{name}"
    table = client.get(url, params={"q": "since:7d"}).json()
    assert (table["columns"], table["items"]) == (told["columns"], told["rows"])
    text = client.get(url, params={"format": "csv"}).text
    assert next(csv.reader(io.StringIO(text))) == table["columns"]
    lines = client.get(url, headers={"Accept": "application/jsonl"}).text
    assert [json.loads(line) for line in lines.splitlines()] == table["items"]


def test_the_newest_events_come_in_one_page(client: httpx.Client) -> None:
    """`top` is the number of the newest."""
    every = all_of(client, "type:task", 500)
    page = client.get(EVENTS, params={"q": "type:task top:3"}).json()
    assert page == {"items": every[-3:], "next": None}


@pytest.mark.parametrize(
    ("format_", "accept"), [("csv", "*/*"), (None, "text/csv"), (None, "text/html, text/csv;q=0.9")]
)
def test_events_as_csv_name_their_next_page(client: httpx.Client, format_: str | None, accept: str) -> None:
    """The pages of a text are linked; `fields` chooses its columns."""
    expected = [str(event["seq"]) for event in all_of(client, "type:task", 500)]
    query: dict[str, Any] = {"q": "type:task", "limit": 10, "fields": "seq,code"} | (
        {"format": format_} if format_ else {}
    )
    answer = client.get(EVENTS, params=query, headers={"Accept": accept})
    found: list[str] = []
    while True:
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["vary"] == "Accept"
        header, *rows = csv.reader(io.StringIO(answer.text))
        assert header == ["seq", "code"]
        found += [row[0] for row in rows]
        link = answer.links.get("next")
        if link is None:
            break
        answer = client.get(link["url"], headers={"Accept": accept})
    assert found == expected


def test_events_as_lines_are_those_of_the_page(client: httpx.Client) -> None:
    """One object a line, unchanged while the client has it."""
    query: dict[str, Any] = {"q": "type:patch", "limit": 500}
    answer = client.get(EVENTS, params=query | {"format": "jsonl"})
    assert answer.headers["content-type"] == "application/jsonl"
    assert [json.loads(line) for line in answer.text.splitlines()] == all_of(client, "type:patch", 500)
    again = client.get(
        EVENTS, params=query | {"format": "jsonl"}, headers={"If-None-Match": answer.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("path", "q", "places"),
    [
        (EVENTS, "type:task typ:gate state:nowhere", [10, 25]),
        (EVENTS, 'applies "open', [8]),
        (EVENTS, "type:task by:state", [10]),
        (EVENTS, "show:time", [0]),
        (AGGREGATE, "since:yesterday", [6]),
        (AGGREGATE, "since:0001-01-01T00:00+23:59 until:9999-12-31", [6, 35]),
        ("/api/v1/reports/slow", "gate:unit severity:error", [10]),
        ("/api/v1/reports/lead-time", "since:7d gate:unit", [9]),
        (f"{EVENTS}/stream", "type:task top:3", [10]),
        (f"{EVENTS}/stream", "since:nix", [6]),
    ],
)
def test_a_fault_of_a_query_has_its_place(client: httpx.Client, path: str, q: str, places: list[int]) -> None:
    """A problem document names each fault with its position, from 0."""
    answer = client.get(path, params={"q": q})
    assert problem(answer) == (400, "query_invalid")
    assert [each["position"] for each in answer.json()["errors"]] == places
    assert {each["in"] for each in answer.json()["errors"]} == {"query.q"}


def test_the_pages_of_a_long_query_are_found(client: httpx.Client) -> None:
    """A cursor is short, however long the query is."""
    q = f"type:task,gate state:{','.join(['completed', 'PASSED'] * 60)}"
    assert all_of(client, q, 2) == all_of(client, q, 500) != []


@pytest.mark.parametrize("since", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_time_that_nothing_can_be_calculated_with_is_refused(client: httpx.Client, since: str) -> None:
    """The calendar ends there."""
    assert problem(client.get(EVENTS, params={"since": since})) == (422, "invalid_request")


def test_a_filter_is_stated_once(client: httpx.Client) -> None:
    """In the query or beside it."""
    answer = client.get(EVENTS, params={"q": "since:7d type:task", "type": "gate"})
    assert problem(answer) == (400, "query_invalid")
    assert [each["position"] for each in answer.json()["errors"]] == [9]


def test_an_unknown_report_is_not_found(client: httpx.Client) -> None:
    """The answer lists those that there are."""
    answer = client.get("/api/v1/reports/nope")
    assert problem(answer) == (404, "not_found")
    assert "lead-time" in answer.json()["detail"]


@pytest.mark.parametrize("q", QUERIES)
def test_a_stream_has_the_events_of_the_list(client: httpx.Client, live: Live, q: str) -> None:
    """Whether the feed decides or the record: the whole history, in order."""
    expected = [event["seq"] for event in all_of(client, q, 500)]
    with Client(live.url) as follower:
        following = follower.follow(after=0, query=q)
        assert [next(following).seq for _ in expected] == expected
        following.close()  # type: ignore[attr-defined]  # a generator


def test_the_clients_ask_the_same_language(live: Live) -> None:
    """Lists, tables and reports, in threads and in an event loop; a fault is a refusal with its place."""
    places = [
        event.seq
        for event in EventQuery(context=live.site["tally"].context).after(0)
        if event.to_state == "running"
    ]
    with Client(live.url) as client:
        assert [event.seq for event in client.events("state:running", limit=500).items] == places
        table = client.event_table("state:running by:state")
        assert table.items == [{"state": "running", "count": len(places)}]
        assert client.report("waits", "since:7d").columns[0] == "what"
        with pytest.raises(RefusedError, match="query, at 1: unknown key"):
            client.events("nope:x")

    async def ask() -> Any:
        async with AsyncClient(live.url) as loop_client:
            return await loop_client.event_table("state:running by:state")

    assert asyncio.run(ask()) == table
