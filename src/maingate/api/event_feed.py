"""The feed of a repository's events: the record is looked at once for all who follow it.

A place in the feed is a place in the order of commits, so a follower that names the last place it has seen
gets all later events, none twice, from whichever server, also after a restart.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import anyio.to_thread

from maingate.events import Event
from maingate.monitoring.events import EventSearch
from maingate.queries.events.history import EventQuery, position
from maingate.queries.events.search import page_after
from maingate.repository_context import RepositoryContext

LOOK_SECONDS: Final = 0.25
LOOK_SECONDS_EACH: Final = 0.00125
"""Seconds between two looks at the record while it is followed, and more of them for each follower."""

KEPT: Final = 5000
"""Newest events that are kept at least; followers that are farther behind read the record."""

BATCH: Final = 500
"""Events that a follower gets at once at most."""

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

    @property
    def seq(self) -> int:
        """Its place."""
        return self.event.seq or 0

    @cached_property
    def text(self) -> str:
        """Its text in a stream, made once for all followers."""
        return f"id: {self.seq}\nevent: {self.event.event_type}\ndata: {self.event.as_text()}\n\n"


class EventFeed:
    """The feed of one repository.

    Args:
        context: The repository and its record.
    """

    def __init__(self, context: RepositoryContext) -> None:
        self._context = context
        self._kept: list[Told] = []
        self._from = self.place = self.followers = 0
        self._looking: asyncio.Task[None] | None = None
        self._moved = asyncio.Event()
        self._sent: tuple[int, int, bytes] = (0, 0, b"")

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Read the record again and again while there is a follower."""
        self.followers += 1
        if self._looking is None:
            self._from = self.place = await anyio.to_thread.run_sync(position, self._context)
            self._kept.clear()
        if self._looking is None:  # another follower may have begun meanwhile
            self._looking = asyncio.create_task(self._look())
        try:
            yield
        finally:
            self.followers -= 1
            if self.followers == 0:
                looking, self._looking = self._looking, None
                looking.cancel()

    async def wait(self, place: int, seconds: float) -> None:
        """Wait until there is something behind a place, but no longer than some seconds."""
        if self.place > place:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._moved.wait()

    async def after(
        self, place: int, matches: Matches, search: EventSearch | None = None
    ) -> tuple[Sequence[Told], int]:
        """Return the next events behind a place that match, and the place up to which was looked.

        Args:
            place: The place.
            matches: The decision about each event.
            search: A query that the record has to answer; None without one.
        """
        end = self.place
        if search is not None:
            found, end = await anyio.to_thread.run_sync(self._search, place, end, search)
        elif place >= self._from:
            found = self._kept[bisect_right(self._kept, place, key=_seq_of) :]
        else:
            found, end = await anyio.to_thread.run_sync(self._read, place, end)
        if len(found) > BATCH:
            found = found[:BATCH]
            end = found[-1].seq
        return found if matches is everything else [told for told in found if matches(told.event)], end

    async def text_after(
        self, place: int, matches: Matches, search: EventSearch | None = None
    ) -> tuple[bytes, int]:
        """Return the text of the next events, as `after` does, encoded.

        Followers of everything who have seen the same get one text: putting it together for each of hundreds
        would take a large part of the server's time.
        """
        is_shared = matches is everything and search is None
        if is_shared and self._sent[0] == place and self._sent[1] == self.place > place:
            return self._sent[2], self._sent[1]
        found, end = await self.after(place, matches, search)
        text = "".join(told.text for told in found).encode()
        if is_shared and end == self.place:
            self._sent = (place, end, text)
        return text, end

    def _search(self, place: int, end: int, search: EventSearch) -> tuple[list[Told], int]:
        """Read the events behind a place that match; return them and the place that they reach to."""
        if place >= end:
            return [], place
        found = [Told(event) for event in page_after(self._context, search, place, BATCH, upto=end)]
        return found, (found[-1].seq if len(found) == BATCH else end)

    def _read(self, place: int, end: int) -> tuple[list[Told], int]:
        """Read the events behind a place from the record; return them and the place that they reach to."""
        page = EventQuery(context=self._context).page_after(place, BATCH)
        found = [Told(event) for event in page if (event.seq or 0) <= end]
        return found, (found[-1].seq if len(page) == BATCH and found else end)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS + LOOK_SECONDS_EACH * self.followers)
            await self.look()

    async def look(self) -> None:
        """Read the new events of the record, and wake the followers."""
        found, end = await anyio.to_thread.run_sync(self._news)
        if end == self.place:
            return
        self._kept += found
        if len(self._kept) > 2 * KEPT:
            self._from = self._kept[-KEPT - 1].seq
            del self._kept[:-KEPT]
        self.place = end
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def _news(self) -> tuple[list[Told], int]:
        place, end = self.place, position(self._context)
        found: list[Told] = []
        while place < end and len(found) < KEPT:
            part, place = self._read(place, end)
            found += part
        return found, place


def _seq_of(told: Told) -> int:
    return told.seq
