"""Events as they happen: server-sent events that a client continues after an interruption."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Final

import anyio.to_thread
from fastapi import APIRouter, Header, Query, Request, Response
from starlette.types import Receive, Scope, Send

from maingate.api.answers.problems import RETRY_SECONDS, HttpProblemError
from maingate.api.description import described_text
from maingate.api.event_feed import PAGE, EventChoice, EventFeed, Matches, Wish
from maingate.api.event_query import QueryText, in_query, search_of
from maingate.api.permitted_repositories import AtDesk, RepoName
from maingate.api.stream_compression import BEGINNING, block, is_accepted
from maingate.monitoring.event_query_language import EventSearch, UnsuitedQueryError
from maingate.queries.events.history import position, type_named
from maingate.queries.events.search import predicate
from maingate.repository_context import RepositoryContext
from maingate.roles import Role

router = APIRouter(prefix="/api/v1", tags=["events"])

MOST_STREAMS: Final = 1000
"""Streams that are open at once."""

HEARTBEAT_SECONDS: Final = 15.0
"""Seconds after which the caller's token is checked again, and without an event a comment is sent."""

FAR_BEHIND: Final = 2 * PAGE
"""Events by which a client is behind before it is told so."""

SLOW_SECONDS: Final = 30.0
"""Seconds that a client may take to receive something before it is cut off; it may continue later."""

MEDIA_TYPE: Final = "text/event-stream"
_log: Final = logging.getLogger(__name__)


class EventStream(Response):
    """An answer that goes on with each event.

    Args:
        feed: The feed of the repository.
        place: The place of the last event that the client has.
        choice: The decision about each event.
        search: A query that the record has to answer; None without one.
        is_welcome: Checks the caller again; may block.
        is_packed: Whether the client accepts a compressed stream.
        slow_seconds: Seconds that the client may take to receive something.
    """

    media_type = MEDIA_TYPE

    def __init__(
        self,
        feed: EventFeed,
        place: int,
        choice: Matches,
        search: EventSearch | None = None,
        *,
        is_welcome: Callable[[], bool],
        is_packed: bool = False,
        slow_seconds: float = SLOW_SECONDS,
    ) -> None:
        super().__init__()
        self._is_packed = is_packed
        self._feed, self._place, self._choice, self._search = feed, place, choice, search
        self._is_welcome, self._slow_seconds = is_welcome, slow_seconds
        self._welcome_at = time.monotonic()
        self._told_behind_at = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the client leaves, is too slow, or is no longer welcome."""
        del scope
        streaming = asyncio.create_task(self._stream(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            done, _ = await asyncio.wait({streaming, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if streaming in done:
                streaming.result()
        finally:
            for task in (streaming, leaving):
                task.cancel()
            await asyncio.gather(streaming, leaving, return_exceptions=True)

    async def _stream(self, send: Send) -> None:
        headers = [
            (b"content-type", f"{MEDIA_TYPE}; charset=utf-8".encode()),
            (b"x-accel-buffering", b"no"),
            (b"vary", b"Accept-Encoding"),
        ]
        if self._is_packed:
            headers.append((b"content-encoding", b"gzip"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with self._feed.followed():
            beginning = BEGINNING if self._is_packed else b""
            await self._send(send, beginning + self._packed(f"retry: 2000\nid: {self._place}\n\n"))
            while await self._go_on(send):
                pass

    async def _go_on(self, send: Send) -> bool:
        """Send what is new, or a sign of life; return whether the stream goes on."""
        sent = await self._next()
        if time.monotonic() - self._welcome_at >= HEARTBEAT_SECONDS:
            if not await anyio.to_thread.run_sync(self._is_welcome):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return False
            self._welcome_at = time.monotonic()
        sent += self._behind()
        return await self._send(send, sent or self._packed(f": \nid: {self._place}\n\n"))

    def _behind(self) -> bytes:
        """Return a comment for a client that is far behind the record, from time to time; else nothing."""
        rows, now = self._feed.place - self._place, time.monotonic()
        if rows < FAR_BEHIND or now - self._told_behind_at < HEARTBEAT_SECONDS:
            return b""
        self._told_behind_at = now
        hint = "" if self._is_packed else "; those who accept gzip are sent more at once"
        return self._packed(f": behind by {rows} events{hint}\n\n")

    def _packed(self, text: str) -> bytes:
        return block(text.encode()) if self._is_packed else text.encode()

    async def _next(self) -> bytes:
        """Return the next events, as they are sent; empty when none come for a while."""
        until = time.monotonic() + HEARTBEAT_SECONDS
        while True:
            wish = Wish(place=self._place, choice=self._choice, is_packed=self._is_packed)
            sent, self._place = await self._feed.sent_after(wish, self._search)
            left = until - time.monotonic()
            if sent or left <= 0:
                return sent
            await self._feed.wait(self._place, left)

    async def _send(self, send: Send, body: bytes) -> bool:
        """Send something; return False when the client is too slow to receive it."""
        message = {"type": "http.response.body", "body": body, "more_body": True}
        try:
            async with asyncio.timeout(self._slow_seconds):
                await send(message)
        except TimeoutError:
            _log.info("a client that followed events was too slow and was cut off")
            return False
        return True


@router.get(
    "/events/stream",
    summary="Follow events as they happen",
    responses=described_text(MEDIA_TYPE, "Server-sent events; `data` is an event as in `events`."),
)
async def stream(  # noqa: PLR0917 - the parameters of a query
    request: Request,
    desk: AtDesk,
    repo: RepoName = None,
    q: QueryText = None,
    entity: Annotated[
        str | None, Query(max_length=40, description="Only about this run, workstream, task or other entity.")
    ] = None,
    type_: Annotated[
        str | None, Query(alias="type", max_length=60, description="Only of this type, such as `task`.")
    ] = None,
    after: Annotated[
        int | None, Query(ge=0, le=2**62, description="The place of an event; only those behind it.")
    ] = None,
    last_event_id: Annotated[
        str | None,
        Header(
            alias="Last-Event-ID", max_length=30, description="As `after`; browsers send it by themselves."
        ),
    ] = None,
) -> Response:
    """Follow the events of a repository: no gap and no duplicate, also across a restart of the server.

    Without a place, events from now on are sent. The query lists events: it has no groups and no `top`.
    While runs need all processors of the server, many followers get them later, and catch up afterwards;
    those that accept gzip, as browsers do, are sent a twentieth of the bytes, and are hardly behind. One
    that is far behind is told so by a comment, such as `: behind by 12000 events`.
    """
    name, maingate = desk.one(repo, Role.VIEWER)
    search = await anyio.to_thread.run_sync(_search_of, maingate.context, q)
    decision = predicate(search)
    choice = EventChoice(
        entity=entity,
        type=None if type_ is None else type_named(type_),
        decision=None if q is None else decision,
    )
    feeds: Mapping[str, EventFeed] = request.app.state.feeds
    refuse_when_full(feeds)
    place = _place(last_event_id, after)
    end = await anyio.to_thread.run_sync(position, maingate.context)
    if place is not None and place > end:
        raise HttpProblemError(400, "unknown_place", f"there is no event {place} yet; begin without a place")
    return EventStream(
        feeds[name],
        end if place is None else place,
        choice,
        search if decision is None else None,
        is_welcome=lambda: _is_welcome(request, name),
        is_packed=is_accepted(request.headers.get("accept-encoding")),
    )


def _search_of(context: RepositoryContext, q: str | None) -> EventSearch:
    """Return the query of a stream.

    Raises:
        HttpProblemError: It has problems, or does not list events.
    """
    search = search_of(context, q)
    with in_query(q):
        if not search.is_list or search.top is not None:
            raise UnsuitedQueryError(
                "a stream lists events: it has no groups and no end", ["by", "show", "top"]
            )
    return search


def _place(header: str | None, after: int | None) -> int | None:
    """Return the place of the last event that a client has; None when it has none.

    Raises:
        HttpProblemError: It is no place.
    """
    if header is None:
        return after
    if not header.isascii() or not header.isdecimal() or len(header) > len(str(2**62)):
        raise HttpProblemError(400, "unknown_place", "`Last-Event-ID` is not the id of an event")
    return int(header)


def _is_welcome(request: Request, repo: str) -> bool:
    """Return whether a caller may still read a repository."""
    try:
        return repo in request.app.state.access.caller(request).roles
    except HttpProblemError:
        return False


async def _left(receive: Receive) -> None:
    """Wait until the client leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass


def refuse_when_full(feeds: Mapping[str, EventFeed]) -> None:
    """Refuse another stream while as many as possible are open.

    Raises:
        HttpProblemError: That is so.
    """
    if sum(feed.followers for feed in feeds.values()) >= MOST_STREAMS:
        raise HttpProblemError(
            503,
            "too_many_streams",
            "too many clients follow events; wait a little",
            headers={"Retry-After": RETRY_SECONDS},
        )
