"""The feed of a repository's events: the record is looked at once for all who follow it.

A place in the feed is a place in the order of commits, so a follower that names the last place it has seen
gets all later events, none twice, from whichever server, also after a restart.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple, Self

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

_MOST_URGENCY: Final = 3
"""Times by which the share of a processor may be larger for compressed sendings to those who are behind."""

KEPT: Final = 32
KEPT_BYTES: Final = 8 * 1024 * 1024
"""Sendings that are kept, and their bytes; followers that are farther behind than others read the record."""

SEARCHED: Final = 10_000
"""Rows of the ledger that a query is asked about at once at most."""

_log: Final = logging.getLogger(__name__)

Matches = Callable[[Event], bool]


@dataclass(frozen=True, kw_only=True)
class EventChoice:
    """The events that a follower wants; followers with equal choices are sent the same.

    Args:
        entity: Only those about this entity or a part of it.
        type: Only those of this type.
        decision: Decides about each of them; None for all.
    """

    entity: str | None = None
    type: str | None = None
    decision: Matches | None = None

    def __call__(self, event: Event) -> bool:
        """Return whether an event is wanted."""
        if self.entity is not None and self.entity not in {
            event.entity_id,
            event.run_id,
            event.workstream_id,
            event.task_id,
        }:
            return False
        is_of_type = self.type in {None, event.event_type}
        return is_of_type and (self.decision is None or self.decision(event))


EVERYTHING: Final = EventChoice()


def seconds_to_next_look(followers: int, *, has_found: bool) -> float:
    """Return how long followers wait for the look behind one that has found something new, or nothing."""
    return max(LOOK_SECONDS, followers * _SECONDS_EACH) if has_found else LOOK_SECONDS


def text_of(event: Event) -> str:
    """Return the text of an event in a stream."""
    return f"id: {event.seq}\nevent: {event.event_type}\ndata: {event.as_text()}\n\n"


@dataclass(frozen=True, kw_only=True)
class Sending:
    """A sending to followers: the events of a part of the ledger that they want.

    Args:
        body: The events, as they are sent.
        end: The place up to which was looked.
    """

    body: bytes
    end: int

    @classmethod
    def of(cls, events: Iterable[Event], end: int, *, is_packed: bool) -> Self:
        """Make the text of some events, or a block of a compressed stream."""
        text = "".join(map(text_of, events)).encode()
        return cls(body=block(text) if is_packed else text, end=end)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A wish of followers, which is made once for all who have it.

    Args:
        place: The place of the last event that they have.
        choice: The decision about each event behind it.
        is_packed: Whether they are sent blocks of a compressed stream.
    """

    place: int
    choice: Matches
    is_packed: bool = False


class EventFeed:
    """The feed of one repository.

    Args:
        context: The repository and its record.
        pace: The pace of sending.
    """

    def __init__(self, context: RepositoryContext, pace: SendingPace) -> None:
        self._context, self._pace = context, pace
        self._kept: OrderedDict[Wish, Sending] = OrderedDict()
        self._kept_bytes = 0
        self._page = _NO_PAGE
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

    async def sent_after(self, wish: Wish, search: EventSearch | None = None) -> tuple[bytes, int]:
        """Return the next events that are wished for, as they are sent, and the place up to which was looked.

        They are returned when it is the caller's turn to be sent something.

        Args:
            wish: The wish.
            search: A query that the record has to answer; None without one.
        """
        if wish.place >= self.place:
            return b"", wish.place
        async with self._pace.turn():
            if search is not None:
                sending = await self._timed(partial(self._search, wish, search), 1)
            else:
                sending = self._kept.get(wish) or await self._make(wish)
            self._pace.sent(len(sending.body), urgency=self._urgency_of(wish))
        return sending.body, sending.end

    async def _make(self, wish: Wish) -> Sending:
        """Make a sending, and keep it for the other followers who wish for it."""
        end = min(self.place, (wish.place // PAGE + 1) * PAGE)
        made = await self._timed(partial(self._read, wish, end), self._urgency_of(wish))
        self._kept[wish] = made
        self._kept_bytes += len(made.body)
        while self._kept_bytes > KEPT_BYTES or len(self._kept) > KEPT:
            self._kept_bytes -= len(self._kept.popitem(last=False)[1].body)
        return made

    def _read(self, wish: Wish, end: int) -> Sending:
        """Read a part of the ledger; its events are kept for followers who choose others of them."""
        if wish.choice == EVERYTHING:
            return Sending.of(between(self._context, wish.place, end), end, is_packed=wish.is_packed)
        if (self._page.begin, self._page.end) != (wish.place, end):
            self._page = _NO_PAGE  # its memory can be used again
            self._page = _LastPage(wish.place, end, between(self._context, wish.place, end))
        return Sending.of(filter(wish.choice, self._page.events), end, is_packed=wish.is_packed)

    def _search(self, wish: Wish, search: EventSearch) -> Sending:
        """Read the events that match, as far as is looked at once."""
        end = min(self.place, wish.place + SEARCHED)
        found = page_after(self._context, search, wish.place, PAGE, upto=end)
        looked = found[-1].seq or end if len(found) == PAGE else end
        return Sending.of(filter(wish.choice, found), looked, is_packed=wish.is_packed)

    def _urgency_of(self, wish: Wish) -> int:
        """Return how urgent a sending is: more, if it is compressed and whole parts are missing before it."""
        parts = (self.place - wish.place) // PAGE
        return 1 + min(parts, _MOST_URGENCY - 1) if wish.is_packed else 1

    async def _timed(self, make: Callable[[], Sending], urgency: int) -> Sending:
        """Make a sending in a thread, and count the processor time that it takes."""

        def timed() -> tuple[Sending, float]:
            began = time.thread_time()
            return make(), time.thread_time() - began

        sending, seconds = await anyio.to_thread.run_sync(timed)
        self._pace.spent(seconds, urgency=urgency)
        return sending

    def _stop_looking(self) -> None:
        self._kept.clear()
        self._kept_bytes, self._page = 0, _NO_PAGE
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


class _LastPage(NamedTuple):
    """The events of a part of the ledger."""

    begin: int
    end: int
    events: Sequence[Event]


_NO_PAGE: Final = _LastPage(0, 0, ())
