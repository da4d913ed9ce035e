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
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final

import anyio.to_thread

from maingate.api.sending_pace import SendingPace
from maingate.errors import MaingateError
from maingate.events import Event
from maingate.monitoring.event_query_language import EventSearch
from maingate.queries.events.history import between, position
from maingate.queries.events.search import page_after
from maingate.repository_context import RepositoryContext

LOOK_SECONDS: Final = 0.25
"""Seconds between two looks at the record for new rows while it is followed."""

PAGE: Final = 500
"""Rows of the ledger that followers get at once at most. Pages end at its multiples, so that followers who
began at different places have the same pages soon."""

KEPT_PAGES: Final = 8
"""Pages that are kept; followers that are farther behind than others read the record."""

SEARCHED: Final = 10_000
"""Rows of the ledger that a query is asked about at once at most."""

_log: Final = logging.getLogger(__name__)

Matches = Callable[[Event], bool]


def everything(_event: Event) -> bool:
    """Match each event."""
    return True


@dataclass(frozen=True)
class Told:
    """An event as it is sent to every follower.

    Args:
        event: The event.
    """

    event: Event

    @cached_property
    def text(self) -> str:
        """Its text in a stream, made once for all followers."""
        return f"id: {self.event.seq}\nevent: {self.event.event_type}\ndata: {self.event.as_text()}\n\n"


@dataclass(frozen=True)
class EventPage:
    """The events of a part of the ledger.

    Args:
        told: The events.
        end: The place of the last row.
    """

    told: Sequence[Told]
    end: int

    @cached_property
    def text(self) -> bytes:
        """The text of all of them, made once for all followers."""
        return self.text_of(everything)

    def text_of(self, matches: Matches) -> bytes:
        """Return the text of those that match."""
        return "".join(told.text for told in self.told if matches(told.event)).encode()


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

    async def text_after(
        self, place: int, matches: Matches, search: EventSearch | None = None
    ) -> tuple[bytes, int]:
        """Return the text of the next events behind a place that match, and the place up to which was looked.

        It is returned when it is the caller's turn to be sent something.

        Args:
            place: The place.
            matches: The decision about each event.
            search: A query that the record has to answer; None without one.
        """
        if place >= self.place:
            return b"", place
        async with self._pace.turn():
            if search is not None:
                page = await self._timed(partial(self._search, place, search))
            else:
                page = self._pages.get(place) or await self._read(place, matches)
            text = page.text if matches is everything else page.text_of(matches)
            self._pace.sent(len(text))
        return text, page.end

    async def _read(self, place: int, matches: Matches) -> EventPage:
        """Read the page behind a place, and keep it for the other followers."""

        def read() -> EventPage:
            events = between(self._context, place, end)
            page = EventPage([Told(event) for event in events], end)
            if matches is everything:
                len(page.text)  # made here, and not in the thread of all requests
            return page

        end = min(self.place, (place // PAGE + 1) * PAGE)
        page = self._pages[place] = await self._timed(read)
        if len(self._pages) > KEPT_PAGES:
            self._pages.popitem(last=False)
        return page

    def _search(self, place: int, search: EventSearch) -> EventPage:
        """Read the events behind a place that match, as far as is looked at once."""
        end = min(self.place, place + SEARCHED)
        found = [Told(event) for event in page_after(self._context, search, place, PAGE, upto=end)]
        return EventPage(found, found[-1].event.seq or end if len(found) == PAGE else end)

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
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
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
