"""The follower of the ledger that delivers to one receiver: in order, at least once, and never given up.

An event that is not taken is tried again after a growing rest, which is on record, and the events behind it
wait. A receiver that answers that it is gone for good rests until a person has it tried again.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from maingate.db.dao import webhooks
from maingate.db.dao.history import event_pages
from maingate.db.dao.history.event_pages import Stretch
from maingate.db.dao.webhooks import WebhookKey
from maingate.db.ledger import running_head
from maingate.db.sql.connection import Connection
from maingate.events import Event
from maingate.faultpoints import reach
from maingate.monitoring.ledger_followers import HOOK_REST, has_ended
from maingate.monitoring.own_events import OwnEvents
from maingate.monitoring.webhook_receiver import Receiver
from maingate.queries.events.search import conditions_of
from maingate.repository_context import RepositoryContext

if TYPE_CHECKING:
    from maingate.services.webhooks.delivery import Delivery, Sender

FIRST_REST: Final = timedelta(seconds=5)
LAST_REST: Final = timedelta(hours=1)
"""Rest of a receiver after a failure: the first, doubled each time, and the longest."""

_SPREAD: Final = 0.2
"""Part by which a rest is longer or shorter by chance, so that receivers are not tried all at once."""

_PAGE: Final = 100
"""Events that are read at a time."""

_STEP_SECONDS: Final = 1.0
"""Seconds after which a step begins no other delivery."""

_HELD: Final = timedelta(minutes=1)
"""Time after its last sign for which a process keeps a receiver from other processes."""


@dataclass(frozen=True, kw_only=True)
class _Page:
    """The next events for a receiver.

    Args:
        events: The events.
        upto: The place up to which the ledger has no others for it.
        is_full: Whether there may be more behind it.
    """

    events: list[Event]
    upto: int
    is_full: bool


class WebhookFollower:
    """The follower that delivers events to a receiver.

    Args:
        receiver: The receiver.
        context: The repository and its record.
        holder: A name of this process, such as `process_holder` gives.
        since: The place of the last event that a receiver that is not on record yet is not sent; None for the
            newest event.
        chance: Returns a number from 0 to 1.
    """

    rest = HOOK_REST
    drain_time = timedelta(seconds=3)  # what is left waits for the next process

    def __init__(
        self,
        receiver: Receiver,
        *,
        context: RepositoryContext,
        holder: str,
        since: int | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.name = f"webhook {receiver.name}"
        self._receiver, self._context, self._holder, self._since = receiver, context, holder, since
        self._key = WebhookKey(context.identity.id, receiver.name)
        self._chance, self._own = chance, OwnEvents(context)
        self._sender: Sender | None = None
        self._is_registered = False

    def step(self) -> bool:
        """Deliver the next events, if it is their time; return whether there may be more.

        Raises:
            ReceiverError: The secrets of the receiver cannot be read by this process; another one may.
        """
        self._register()
        database = self._context.database
        with database.read() as conn:
            is_due = self._is_due(conn)
        if not is_due:
            return False
        self._receiver.secrets()
        if not self._hold():
            return False
        with database.read() as conn:
            if not self._is_due(conn):  # another process has delivered meanwhile
                return False
            place, page = self._next(conn)
        until = time.monotonic() + _STEP_SECONDS
        for event in page.events:
            if not self._deliver(event, place):
                return False
            place = event.seq or place
            if time.monotonic() > until:
                return True
        if place < page.upto:
            with database.write() as conn:
                webhooks.move(conn, self._key, place, page.upto)
        return page.is_full

    def failed(self, failure: str) -> None:
        """Do nothing: a receiver's failures are outcomes, and those of this process are told as warnings."""

    def close(self) -> None:
        """Close the connection, and release the receiver for other processes."""
        if self._sender is not None:
            self._sender.close()
            self._sender = None
        with self._context.database.write() as conn:
            webhooks.release(conn, self._key, self._holder)

    def _register(self) -> None:
        """Record the receiver, at the place where it begins."""
        if self._is_registered:
            return
        with self._context.database.write() as conn:
            end = running_head.position(conn).seq
            webhooks.register(conn, self._key, end if self._since is None else min(self._since, end))
        self._is_registered = True

    def _is_due(self, conn: Connection) -> bool:
        row = webhooks.find(conn, self._key)
        is_behind = row is not None and row.seq < running_head.position(conn).seq
        return row is not None and is_behind and not row.rests_at(self._context.clock.now())

    def _hold(self) -> bool:
        at = self._context.clock.now()
        with self._context.database.write() as conn:
            row = webhooks.find(conn, self._key)
            if row is not None and row.holder is not None and has_ended(row.holder):
                webhooks.release(conn, self._key, row.holder)
            return webhooks.hold(conn, self._key, self._holder, at=at, until=at + _HELD)

    def _next(self, conn: Connection) -> tuple[int, "_Page"]:
        """Read the next events for the receiver; return its place and them."""
        row, end = webhooks.find(conn, self._key), running_head.position(conn).seq
        place = 0 if row is None else row.seq
        only = conditions_of(conn, self._receiver.search)
        found = event_pages.page(conn, only, Stretch(after=place, upto=end), limit=_PAGE)
        is_full = len(found) == _PAGE
        upto = found[-1].seq or end if is_full else end
        return place, _Page(events=list(self._own.of(conn, found)), upto=upto, is_full=is_full)

    def _deliver(self, event: Event, before: int) -> bool:
        """Deliver an event, and record what came of it; return whether the next one may follow."""
        if self._sender is None:
            from maingate.services.webhooks.delivery import Sender  # noqa: PLC0415 - loaded where it is used

            self._sender = Sender(self._receiver)
        clock = self._context.clock
        outcome = self._sender.send(event, clock.now())
        reach("webhook.sent")
        at = clock.now()
        with self._context.database.write() as conn:
            if outcome.failure is None:
                places = before, event.seq or before
                return webhooks.delivered(conn, self._key, places, self._holder, at=at, until=at + _HELD)
            self._record_failure(conn, outcome, at)
        return False

    def _record_failure(self, conn: Connection, outcome: "Delivery", at: datetime) -> None:
        row = webhooks.find(conn, self._key)
        rest = max(rest_after(row.failures if row else 0, self._chance()), outcome.rest or timedelta())
        webhooks.failed(
            conn,
            self._key,
            self._holder,
            outcome.failure or "",
            at=at,
            next_at=at + rest,
            is_gone=outcome.is_gone,
        )


def rest_after(failures: int, chance: float) -> timedelta:
    """Return the rest after one more failure. Pure.

    Args:
        failures: The failures in a row before it.
        chance: A number from 0 to 1, which makes the rest shorter or longer.
    """
    doubled = min(FIRST_REST * (1 << min(failures, 30)), LAST_REST)
    return doubled * (1 - _SPREAD + 2 * _SPREAD * chance)
