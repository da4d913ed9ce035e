"""Following events: all of them, in order, none twice, whatever is interrupted."""

import asyncio
import json
import socket
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from maingate.api import event_feed
from maingate.api.event_feed import EVERYTHING, EventChoice, EventFeed, Wish
from maingate.api.sending_pace import SendingPace
from maingate.api.stream_compression import BEGINNING
from maingate.errors import DatabaseError
from maingate.events import Event
from maingate.queries.events.history import EventQuery, between, position
from maingate.roles import Role
from support.live_server import PATIENCE, Live, problem, served
from support.postgresql import ON_BOTH

STREAM = "/api/v1/events/stream"
MODULE = "maingate.api.endpoints.event_stream"


@contextmanager
def following(client: httpx.Client, **query: Any) -> Iterator[Iterator[tuple[int, dict[str, Any] | None]]]:
    """Follow events: the place and the content of each; None is the content of a sign of life."""
    headers = query.pop("headers", {})
    with client.stream("GET", STREAM, params=query, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield told(answer)


def told(answer: httpx.Response) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Parse what is sent."""
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
            continue
        data = fields.get("data")
        yield int(fields["id"]), None if data is None else json.loads(data)
        fields = {}


def decide(live: Live, tool: str) -> None:
    """Make an event: a breaker is tripped, which is two of them, and reset, which is two more."""
    with live.client() as client:
        for action in ("trip", "reset"):
            answer = client.post(f"/api/v1/breakers/{tool}/{action}", json={"reason": "x"})
            assert answer.status_code == 200, answer.text


def all_events(live: Live, after: int = 0) -> list[Event]:
    """Read the events of the record."""
    context = live.site["tally"].context
    return list(EventQuery(context=context).after(after))


def test_the_whole_history_then_what_happens(own: Live) -> None:
    """From a place on: what was, and what comes, as the list of events has it."""
    before = all_events(own)
    with own.client() as client, following(client, after=0) as stream:
        assert next(stream) == (0, None)
        got = [next(stream) for _ in before]
        decide(own, "claude")
        later = all_events(own, position_before(before))
        got += [next(stream) for _ in later]
    assert len(later) >= 4
    assert got == [(event.seq, event.as_json()) for event in (*before, *later)]


def position_before(events: list[Event]) -> int:
    """Return the place of the last event."""
    return events[-1].seq or 0


def test_without_a_place_only_what_happens(own: Live) -> None:
    """The first thing sent is the place that the stream begins at."""
    with own.client() as client, following(client) as stream:
        place, _ = next(stream)
        assert place == position(own.site["tally"].context)
        decide(own, "claude")
        expected = all_events(own, place)
        assert [next(stream)[0] for _ in expected] == [event.seq for event in expected]


@ON_BOTH
def test_a_stream_goes_on_where_it_was_interrupted_also_at_another_server(own: Live) -> None:
    """A server is stopped amid a stream; the next one sends the rest, with no gap and no duplicate."""
    repository = own.site["tally"].repository.root
    decide(own, "claude")
    decide(own, "codex")
    got: list[int] = []
    with served([repository]) as first, first.client() as client, following(client, after=0) as stream:
        next(stream)
        got += [next(stream)[0] for _ in range(7)]
    decide(own, "claude")
    rest = all_events(own, got[-1])
    headers = {"Last-Event-ID": str(got[-1])}
    with (
        served([repository]) as second,
        second.client() as client,
        following(client, after=0, headers=headers) as stream,
    ):
        next(stream)
        got += [next(stream)[0] for _ in rest]
    assert got == [event.seq for event in all_events(own)]


@ON_BOTH
def test_the_pages_of_a_list_are_what_a_stream_sends(own: Live) -> None:
    """Each event once, in the order of commits, however many are on a page."""
    decide(own, "claude")
    decide(own, "codex")
    pages, query = list[dict[str, Any]](), {"limit": "3", "q": "type:breaker,manual_override"}
    with own.client() as client:
        while True:
            page = client.get("/api/v1/events", params=query).json()
            pages += page["items"]
            if page["next"] is None:
                break
            query["cursor"] = page["next"]
        with following(client, after=0, q=query["q"]) as stream:
            next(stream)
            assert [next(stream)[1] for _ in pages] == pages
    assert len(pages) >= 8


def test_a_record_that_could_not_be_read_for_a_moment_ends_no_stream(
    own: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that cannot begin then leaves nothing behind."""
    failed = threading.Event()

    def failing(_context: Any) -> int:
        failed.set()
        raise DatabaseError("locked")

    with own.client() as client, following(client) as stream:
        place, _ = next(stream)
        monkeypatch.setattr("maingate.api.event_feed.position", failing)
        assert failed.wait(PATIENCE)
        monkeypatch.undo()
        decide(own, "claude")
        expected = all_events(own, place)
        assert [next(stream)[0] for _ in expected] == [event.seq for event in expected]
    monkeypatch.setattr("maingate.api.event_feed.position", failing)

    async def begin(feed: EventFeed) -> None:
        with pytest.raises(DatabaseError):
            async with feed.followed():
                raise AssertionError("it has begun")
        assert feed.followers == 0

    asyncio.run(begin(EventFeed(own.site["tally"].context, SendingPace())))


def test_filters_choose_events(own: Live) -> None:
    """An entity stands for its parts, too; a type may be short."""
    task = next(event for event in all_events(own) if event.task_id)
    expected = [
        event.seq
        for event in all_events(own)
        if task.task_id in {event.task_id, event.entity_id} and event.event_type == "task_state_transition"
    ]
    assert expected
    with own.client() as client, following(client, after=0, entity=task.task_id, type="task") as stream:
        next(stream)
        assert [next(stream)[0] for _ in expected] == expected


@pytest.mark.parametrize("place", ["x", "-1", "1.5", "9" * 25, "999999999", "²"])
def test_a_place_that_is_none_is_refused(client: httpx.Client, place: str) -> None:
    """It is not the beginning: something would be missed or come twice."""
    headers = {b"Last-Event-ID": place.encode()}
    assert problem(client.get(STREAM, headers=headers)) == (400, "unknown_place")
    assert problem(client.get(f"{STREAM}?type=nonsense")) == (409, "refused")


def test_a_stream_shows_that_it_lives_and_ends_with_its_token(
    own: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without events a comment comes, with the place so far; a revoked token ends the stream."""
    monkeypatch.setattr(f"{MODULE}.HEARTBEAT_SECONDS", 0.05)
    token = own.site["tally"].tokens.create("eve", Role.VIEWER, operator="ada").text
    with own.client(token) as client, following(client) as stream:
        place, _ = next(stream)
        assert next(stream) == (place, None)
        own.site["tally"].tokens.revoke("eve", operator="ada")
        assert all(content is not None or seq >= place for seq, content in stream)


def test_a_stream_that_has_much_to_send_ends_with_its_token(
    own: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token is checked as often as in a silent stream."""
    from maingate.api.endpoints.event_stream import EventStream

    monkeypatch.setattr(f"{MODULE}.HEARTBEAT_SECONDS", 0.0)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    stream = EventStream(feed_of(own), 0, EVERYTHING, is_welcome=lambda: False)
    asyncio.run(stream({"type": "http"}, receive, send))
    assert [message.get("body", b"")[:6] for message in sent] == [b"", b"retry:", b""]
    assert not sent[-1]["more_body"]


def test_too_many_streams_are_refused(own: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are open go on."""
    monkeypatch.setattr(f"{MODULE}.MOST_STREAMS", 1)
    with own.client() as client, following(client) as stream:
        next(stream)
        answer = httpx.get(f"{own.url}{STREAM}", timeout=PATIENCE)
        assert problem(answer) == (503, "too_many_streams")
        assert answer.headers["retry-after"]


def test_a_client_that_leaves_is_forgotten(own: Live) -> None:
    """The record is no longer looked at when there is no follower."""
    feed: EventFeed = own.app.state.feeds["tally"]
    with own.client() as client, following(client) as stream:
        next(stream)
        assert feed.followers == 1
    with own.client() as client:
        while feed.followers:
            assert client.get("/api/v1/me").status_code == 200


def test_a_client_that_does_not_read_is_cut_off(own: Live) -> None:
    """A server keeps nothing for it but what is on its way."""
    from maingate.api.endpoints.event_stream import EventStream

    feed = feed_of(own)

    async def play() -> int:
        sent = 0
        never = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await never.wait()
            raise AssertionError

        async def send(_message: Any) -> None:
            nonlocal sent
            sent += 1
            if sent > 2:
                await never.wait()

        stream = EventStream(feed, 0, lambda _: True, is_welcome=lambda: True, slow_seconds=0.01)
        await stream({"type": "http"}, receive, send)
        return sent

    assert asyncio.run(play()) == 3
    assert feed.followers == 0


@pytest.mark.parametrize(
    ("is_packed", "hint"), [(True, b""), (False, b"; those who accept gzip are sent more at once")]
)
def test_a_client_that_is_far_behind_is_told_so_once(
    own: Live, monkeypatch: pytest.MonkeyPatch, *, is_packed: bool, hint: bytes
) -> None:
    """By a comment with the number of events, which no reader of a stream takes for one."""
    from maingate.api.endpoints.event_stream import EventStream

    count = len(all_events(own))
    monkeypatch.setattr(event_feed, "PAGE", count // 4)
    monkeypatch.setattr(f"{MODULE}.FAR_BEHIND", count // 4)
    feed, sent, whole = feed_of(own), list[bytes](), asyncio.Event()

    async def receive() -> dict[str, Any]:
        await whole.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            sent.append(message["body"])
        if feed.place and b"".join(map(text_in, sent)).count(b"\ndata: ") == count:
            whole.set()

    def text_in(body: bytes) -> bytes:
        if not is_packed:
            return body
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(body.removeprefix(BEGINNING))

    stream = EventStream(feed, 0, EVERYTHING, is_welcome=lambda: True, is_packed=is_packed)
    asyncio.run(stream({"type": "http"}, receive, send))
    text = b"".join(map(text_in, sent))
    assert text.count(b": behind by ") == 1
    told_rows = int(text.partition(b": behind by ")[2].partition(b" ")[0])
    assert count // 4 <= told_rows < count
    assert text.partition(b" events")[2].startswith(hint + b"\n\n")


def feed_of(live: Live) -> EventFeed:
    """Return a feed whose followers do not wait for turns."""
    return EventFeed(live.site["tally"].context, SendingPace(idle=lambda: 1e9))


@pytest.mark.parametrize("kept", [1, 1 << 20])
def test_followers_at_different_places_are_sent_the_same(
    own: Live, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    """Whether a page is kept or read from the record: each event once, in order, also with a filter."""
    monkeypatch.setattr(event_feed, "PAGE", 7)
    monkeypatch.setattr(event_feed, "KEPT_BYTES", kept)
    feed, known = feed_of(own), all_events(own)

    async def follow(place: int, matches: event_feed.Matches) -> tuple[bytes, int]:
        text = b""
        while place < feed.place:
            more, place = await feed.sent_after(Wish(place=place, choice=matches))
            text += more
        return text, place

    async def play() -> list[tuple[bytes, int]]:
        async with feed.followed():
            ways = [(start, matches) for start in (0, 3, 7, 12) for matches in (EVERYTHING, is_of_task)]
            first = await asyncio.gather(*(follow(*way) for way in ways))
            await asyncio.to_thread(decide, own, "claude")
            await feed.look()
            more = await asyncio.gather(
                *(follow(place, matches) for (_, place), (_, matches) in zip(first, ways, strict=True))
            )
        return [(old + new, place) for (old, _), (new, place) in zip(first, more, strict=True)]

    found = asyncio.run(play())
    events = all_events(own)
    assert len(events) >= len(known) + 4
    assert [text for text, _ in found] == [
        "".join(
            event_feed.text_of(event) for event in events if (event.seq or 0) > start and matches(event)
        ).encode()
        for start in (0, 3, 7, 12)
        for matches in (EVERYTHING, is_of_task)
    ]
    assert {place for _, place in found} == {position(own.site["tally"].context)}


def test_many_followers_are_woken_less_often() -> None:
    """Each is sent more at once then; after a look that has found nothing they wait no longer than a few."""
    from maingate.api.event_feed import LOOK_SECONDS, seconds_to_next_look

    assert seconds_to_next_look(3, has_found=True) == LOOK_SECONDS
    assert seconds_to_next_look(1000, has_found=False) == LOOK_SECONDS
    assert seconds_to_next_look(200, has_found=True) == 2 * seconds_to_next_look(100, has_found=True) == 0.8


def test_followers_with_the_same_choice_are_sent_what_was_made_once(
    own: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as all who look at one run; choices of other entities are made from the same events."""
    read, made = list[int](), list[int]()
    sending_of = event_feed.Sending.of

    def counting(*asked: Any) -> list[Event]:
        read.append(asked[1])
        return between(*asked)

    def sending(events: Any, end: int, *, is_packed: bool) -> event_feed.Sending:
        made.append(end)
        return sending_of(events, end, is_packed=is_packed)

    monkeypatch.setattr(event_feed, "between", counting)
    monkeypatch.setattr(event_feed.Sending, "of", sending)
    task = next(event.task_id for event in all_events(own) if event.task_id)
    feed = feed_of(own)

    async def play() -> list[tuple[bytes, int]]:
        choices = [EventChoice(entity=entity) for entity in (task, task, "task_none", "task_none")]
        async with feed.followed():
            return await asyncio.gather(
                *(feed.sent_after(Wish(place=0, choice=choice)) for choice in choices)
            )

    first, second, none, _ = asyncio.run(play())
    assert (first == second, none[0]) == (True, b"")
    assert (len(read), len(made)) == (1, 2)


@pytest.mark.parametrize(("is_packed", "expected"), [(True, {3, 2, 1}), (False, {1})])
def test_a_follower_who_is_parts_behind_is_sent_compressed_ones_sooner(
    own: Live, monkeypatch: pytest.MonkeyPatch, *, is_packed: bool, expected: set[int]
) -> None:
    """In a flood it would fall behind for ever otherwise; what is not compressed costs runs too much."""
    urgencies = set[int]()

    class NotingPace(SendingPace):
        def spent(self, seconds: float, *, urgency: int = 1) -> None:
            urgencies.add(urgency)
            super().spent(seconds, urgency=urgency)

    monkeypatch.setattr(event_feed, "PAGE", len(all_events(own)) // 4)
    feed = EventFeed(own.site["tally"].context, NotingPace(idle=lambda: 1e9))

    async def play() -> None:
        place = 0
        async with feed.followed():
            while place < feed.place:
                wish = Wish(place=place, choice=EVERYTHING, is_packed=is_packed)
                _, place = await feed.sent_after(wish)

    asyncio.run(play())
    assert urgencies == expected


def is_of_task(event: Event) -> bool:
    """Return whether an event is a change of the state of a task."""
    return event.event_type == "task_state_transition"


@pytest.mark.parametrize("query", [{}, {"type": "task"}], ids=["everything", "a choice"])
def test_a_client_that_accepts_it_is_sent_a_fraction_of_the_bytes(own: Live, query: dict[str, str]) -> None:
    """It has the events of one that does not, as they happen."""
    for tool in ("claude", "codex"):
        decide(own, tool)
    sent: dict[str, tuple[bytes, int, str]] = {}
    for accepted in ("gzip", "identity"):
        headers = {"Accept-Encoding": accepted}
        wanted = sum(map(is_of_task, all_events(own))) if query else len(all_events(own))
        with (
            own.client() as client,
            client.stream("GET", STREAM, params={"after": 0, **query}, headers=headers) as answer,
        ):
            text = b""
            for part in answer.iter_bytes():
                text += part
                if text.count(b"\ndata: ") == wanted and text.endswith(b"\n\n"):
                    break
            encoding = answer.headers.get("content-encoding", "identity")
            sent[accepted] = (text, answer.num_bytes_downloaded, encoding)
            assert answer.headers["vary"] == "Accept-Encoding"
    (packed, few, gzip), (plain, many, identity) = sent.values()
    assert (packed, gzip, identity) == (plain, "gzip", "identity")
    assert few * 5 < many


def test_hostile_content_stays_within_its_event(own: Live) -> None:
    """Line ends in a reason make no event of their own, and no character takes effect."""
    reason = "a\n\nid: 7\ndata: {}\n\n\x1b[2J\u202e<script>\r\n"
    with own.client() as client, following(client) as stream:
        next(stream)
        assert client_post(own, reason) == 200
        places = [event.seq for event in all_events(own)][-3:]
        got = [next(stream) for _ in places]
    assert [place for place, _ in got] == places
    assert [content["reason"]["message"] for _, content in got if content and content["reason"]] == [
        f"ada: {reason}",
        reason,
    ]


def client_post(live: Live, reason: str) -> int:
    """Trip a breaker for a reason."""
    with live.client() as client:
        return client.post("/api/v1/breakers/claude/trip", json={"reason": reason}).status_code


def test_a_stream_that_is_begun_by_hand(own: Live) -> None:
    """What is sent is plain HTTP that any client reads."""
    host, _, port = own.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), PATIENCE) as connection:
        connection.sendall(f"GET {STREAM} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        got = b""
        while b"retry: 2000" not in got:
            got += connection.recv(1000)
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"no-store" in got
