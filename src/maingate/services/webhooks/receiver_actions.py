"""Actions of an operator on the receivers of webhooks: a test, an attempt now, and leaving events out."""

import time
from dataclasses import dataclass
from typing import Final

from maingate.db.dao import webhooks
from maingate.db.dao.history import event_pages, events
from maingate.db.dao.history.event_pages import Stretch
from maingate.db.dao.webhooks import WebhookKey, WebhookRow
from maingate.db.ledger import running_head
from maingate.db.ledger.new_event import EventSubject, new_event
from maingate.db.sql.connection import Connection
from maingate.errors import UsageError
from maingate.events import Event, EventType, Severity
from maingate.monitoring.ledger_followers import process_holder
from maingate.queries.events.search import conditions_of
from maingate.queries.webhooks import known_name, receiver_named, webhook_key
from maingate.repository_context import RepositoryContext
from maingate.services.webhooks.follower import WebhookFollower
from maingate.state.operator_rules import require_reason
from maingate.state.steps.step import Context

OTHER_SECONDS: Final = 10.0
"""Time to wait for the next attempt of the process that delivers to a receiver."""

LOOK_SECONDS: Final = 0.1
"""Time between two looks for that attempt."""


@dataclass(frozen=True, kw_only=True)
class WebhookAttempt:
    """The outcome of an attempt that a person asked for.

    Args:
        name: The receiver.
        delivered: The events that it has taken.
        failure: The reason why no more were; None when none is owed.
    """

    name: str
    delivered: int
    failure: str | None


class WebhookService:
    """Carries out what an operator decides about receivers.

    Args:
        context: The repository and its record.
    """

    def __init__(self, context: RepositoryContext) -> None:
        self._context = context

    def test(self, name: str) -> str | None:
        """Send an event of the type ``webhook_test``, not on record; return why it failed, if it did.

        Raises:
            UnknownEntityError: The settings have no receiver of that name.
            ReceiverError: It cannot be used.
        """
        from maingate.services.webhooks.delivery import Sender  # noqa: PLC0415 - loaded where it is used

        now = self._context.clock.now()
        about = EventSubject(machine="webhook", id=name, context=Context())
        event = new_event(EventType.WEBHOOK_TEST, about, now, reason="a test; nothing happened")
        with Sender(receiver_named(self._context, name)) as sender:
            return sender.send(event, now).failure

    def retry(self, name: str) -> WebhookAttempt:
        """Deliver what is owed now, also to a receiver that rests or was gone.

        Where another process delivers already, it is the one that goes on; its next attempt is waited for.

        Raises:
            UnknownEntityError: The settings have no receiver of that name.
            ReceiverError: It cannot be used.
        """
        receiver, database = receiver_named(self._context, name), self._context.database
        receiver.secrets()
        key = webhook_key(self._context, name)
        with database.write() as conn:
            webhooks.hurry(conn, key)
            before = webhooks.find(conn, key)
        follower = WebhookFollower(receiver, context=self._context, holder=process_holder())
        try:
            while follower.step():
                pass
        finally:
            follower.close()
        row, is_answered = self._tried_since(before, key)
        failure = None if row is None else row.failure
        if not is_answered:
            failure = "another process delivers to it, and goes on within a minute"
        delivered = (row.delivered if row else 0) - (before.delivered if before else 0)
        return WebhookAttempt(name=name, delivered=delivered, failure=failure)

    def _tried_since(self, before: WebhookRow | None, key: WebhookKey) -> tuple[WebhookRow | None, bool]:
        """Return a receiver, and whether the process that has it, if any, has tried again or owes nothing."""
        until = time.monotonic() + OTHER_SECONDS
        while True:
            with self._context.database.read() as conn:
                row, end = webhooks.find(conn, key), running_head.position(conn).seq
            is_free = row is None or row.holder is None or row.seq >= end
            is_refused = (
                row is not None and row.failure and (before is None or row.tried_at != before.tried_at)
            )
            if is_free or is_refused:
                return row, True
            if time.monotonic() >= until:
                return row, False
            time.sleep(LOOK_SECONDS)

    def skip(self, name: str, *, reason: str, operator: str, is_all: bool = False) -> int:
        """Leave out the event that a receiver is owed next, or all that it is owed; return their number.

        Raises:
            UnknownEntityError: The settings have no receiver of that name.
            UsageError: It is owed none, or the reason is empty.
        """
        require_reason(reason)
        key = webhook_key(self._context, known_name(self._context, name))
        with self._context.database.write() as conn:
            row, end = webhooks.find(conn, key), running_head.position(conn).seq
            place = end if row is None else row.seq
            owed = self._owed(conn, name, place, None if is_all else 1)
            if not owed:
                raise UsageError(f"{name} is owed no event")
            webhooks.move(conn, key, place, owed[-1].seq or place)
            webhooks.hurry(conn, key)
            subject = EventSubject(machine="webhook", id=name, context=Context())
            events.record(
                conn,
                new_event(
                    EventType.WARNING,
                    subject,
                    self._context.clock.now(),
                    severity=Severity.WARNING,
                    reason=f"{len(owed)} events for the webhook {name} were left out: {reason}",
                    metadata={"first": owed[0].event_id, "last": owed[-1].event_id, "count": len(owed)},
                    operator=operator,
                ),
            )
        return len(owed)

    def _owed(self, conn: Connection, name: str, place: int, limit: int | None) -> list[Event]:
        only, stretch = conditions_of(conn, receiver_named(self._context, name).search), Stretch(after=place)
        return event_pages.page(conn, only, stretch, limit=1 << 31 if limit is None else limit)
