"""The feed of a repository's events: the record is looked at once for all who follow it.

A place in the feed is a place in the order of commits, so a follower that names the last place it has seen
gets all later events, none twice, from whichever server, also after a restart.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Final

import anyio.to_thread

from maingate.api.sending_pace import SendingPace
from maingate.api.stream_compression import block
from maingate.errors import MaingateError
from maingate.events import Event
from maingate.monitoring.event_query_language import EventSearch
from maingate.queries.events.history import between, position
from maingate.queries.events.search import page_after
from maingate.repository_context import RepositoryContext

LOOK_SECONDS: Final = 0.25
"""Seconds between two looks at the record for new rows while it is followed."""

_SECONDS_EACH: Final = 0.004
"""Seconds for each follower before the look behind one that found something; each is sent more at once."""

PAGE: Final = 4000
"""Rows of the ledger that followers get at once at most. Pages end at its multiples, so that followers who
began at different places have the same pages soon. A busy run makes as many in a second, and sending a
block costs almost the same however many they are."""

KEPT_PAGES: Final = 3
"""Pages that are kept; followers that are farther behind than others read the record."""

SEARCHED: Final = 10_000
"""Rows of the ledger that a query is asked about at once at most."""

_log: Final = logging.getLogger(__name__)

Matches = Callable[[Event], bool]


def everything(_event: Event) -> bool:
    """Match each event."""
    return True


def text_of(event: Event) -> str:
    """Return the text of an event in a stream."""
    return f"id: {event.seq}\nevent: {event.event_type}\ndata: {event.as_text()}\n\n"


def seconds_to_next_look(followers: int, *, has_found: bool) -> float:
    """Return how long followers wait for the look behind one that has found something new, or nothing."""
    return max(LOOK_SECONDS, followers * _SECONDS_EACH) if has_found else LOOK_SECONDS


@dataclass(frozen=True)
class EventPage:
    """The events of a part of the ledger.

    Args:
        events: The events.
        end: The place of the last row.
    """

    events: Sequence[Event]
    end: int
    _texts: dict[int, str] = field(default_factory=dict)

    def sent_to(self, matches: Matches, *, is_packed: bool) -> bytes:
        """Return what a follower is sent, which is made once for all who want each event."""
        if matches is everything:
            return self._block if is_packed else self._text
        text = self._text_of(matches)
        return block(text) if is_packed else text

    @cached_property
    def _text(self) -> bytes:
        return "".join(map(text_of, self.events)).encode()

    @cached_property
    def _block(self) -> bytes:
        return block("".join(map(text_of, self.events)).encode())

    def _text_of(self, matches: Matches) -> bytes:
        chosen = (at for at, event in enumerate(self.events) if matches(event))
        return "".join(self._texts.get(at) or self._made_text(at) for at in chosen).encode()

    def _made_text(self, at: int) -> str:
        """Make the text of an event, once for all followers who choose it."""
        text = self._texts[at] = text_of(self.events[at])
        return text


class EventFeed:
    """The feed of one repository.

    Args:
        context: The repository and its record.
        pace: The pace of sending.
    """

    def __init__(self, context: RepositoryContext, pace: SendingPace) -> None:
        self._context, self._pace = context, pace
        self._pages: OrderedDict[int, EventPage] = OrderedDict()
        self.place = self.followers = 0
        self._looking: asyncio.Task[None] | None = None
        self._moved = asyncio.Event()

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Watch the record while there is a follower."""
        self.followers += 1
        try:
            if self._looking is None:
                self.place = await anyio.to_thread.run_sync(position, self._context)
            if self._looking is None:  # another follower may have begun meanwhile
                self._looking = asyncio.create_task(self._look())
            yield
        finally:
            self.followers -= 1
            if self.followers == 0:
                self._stop_looking()

    async def wait(self, place: int, seconds: float) -> None:
        """Wait until there is something behind a place, but no longer than some seconds."""
        if self.place > place:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._moved.wait()

    async def sent_after(
        self, place: int, matches: Matches, search: EventSearch | None = None, *, is_packed: bool = False
    ) -> tuple[bytes, int]:
        """Return the next events behind a place that match, as they are sent, and the place looked up to.

        They are returned when it is the caller's turn to be sent something.

        Args:
            place: The place.
            matches: The decision about each event.
            search: A query that the record has to answer; None without one.
            is_packed: Whether as a block of a compressed stream.
        """
        if place >= self.place:
            return b"", place
        async with self._pace.turn():
            if search is not None:
                page = await self._timed(partial(self._search, place, search))
            else:
                page = self._pages.get(place) or await self._read(place, matches, is_packed=is_packed)
            sent = page.sent_to(matches, is_packed=is_packed)
            self._pace.sent(len(sent))
        return sent, page.end

    async def _read(self, place: int, matches: Matches, *, is_packed: bool) -> EventPage:
        """Read the page behind a place, and keep it for the other followers."""

        def read() -> EventPage:
            page = EventPage(between(self._context, place, end), end)
            if matches is everything:  # made here, and not in the thread of all requests
                page.sent_to(matches, is_packed=is_packed)
            return page

        end = min(self.place, (place // PAGE + 1) * PAGE)
        page = self._pages[place] = await self._timed(read)
        if len(self._pages) > KEPT_PAGES:
            self._pages.popitem(last=False)
        return page

    def _search(self, place: int, search: EventSearch) -> EventPage:
        """Read the events behind a place that match, as far as is looked at once."""
        end = min(self.place, place + SEARCHED)
        found = page_after(self._context, search, place, PAGE, upto=end)
        return EventPage(found, found[-1].seq or end if len(found) == PAGE else end)

    async def _timed(self, make: Callable[[], EventPage]) -> EventPage:
        """Make a page in a thread, and count the processor time that it takes."""

        def timed() -> tuple[EventPage, float]:
            began = time.thread_time()
            return make(), time.thread_time() - began

        page, seconds = await anyio.to_thread.run_sync(timed)
        self._pace.spent(seconds)
        return page

    def _stop_looking(self) -> None:
        self._pages.clear()
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def _look(self) -> None:
        pause = LOOK_SECONDS
        while True:
            await asyncio.sleep(pause)
            before = self.place
            try:
                await self.look()
                pause = seconds_to_next_look(self.followers, has_found=self.place > before)
            except MaingateError as error:  # the record may be there again at the next look
                _log.warning("events that are followed could not be read: %s", error)

    async def look(self) -> None:
        """Read how far the record reaches, and wake the followers when there is more."""
        end = await anyio.to_thread.run_sync(position, self._context)
        if end == self.place:
            return
        self.place = end
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
