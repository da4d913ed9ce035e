"""The receivers of webhooks, as the settings name them, and how each fares, in the public JSON form."""

from typing import Any

from maingate.db.dao import webhooks
from maingate.db.dao.webhooks import WebhookKey, WebhookRow
from maingate.db.ledger import running_head
from maingate.errors import UnknownEntityError, UsageError
from maingate.monitoring.webhook_receiver import Receiver
from maingate.repository_context import RepositoryContext
from maingate.wording import listed

_SHOWN = 16


def list_webhooks(context: RepositoryContext) -> list[dict[str, Any]]:
    """Return the receivers of a repository, by name."""
    with context.database.read() as conn:
        end = running_head.position(conn).seq
        rows = {row.name: row for row in webhooks.of_repositories(conn, [context.identity.id])}
    return [_webhook_json(context, name, rows.get(name), end) for name in sorted(context.settings.webhooks)]


def receiver_named(context: RepositoryContext, name: str) -> Receiver:
    """Return a receiver of the settings.

    Raises:
        UnknownEntityError: The settings have none of that name.
        ReceiverError: It cannot be used.
    """
    return Receiver.of(name, context.settings.webhooks[known_name(context, name)], context.clock)


def known_name(context: RepositoryContext, name: str) -> str:
    """Return the name of a receiver of the settings.

    Raises:
        UnknownEntityError: The settings have none of that name.
    """
    if name in context.settings.webhooks:
        return name
    known = listed(sorted(context.settings.webhooks), _SHOWN) or "none"
    raise UnknownEntityError(
        name, f"no receiver {name!r} in the settings; they have {known} (docs/WEBHOOKS.md)"
    )


def webhook_key(context: RepositoryContext, name: str) -> WebhookKey:
    """Return the key under which a receiver is on record."""
    return WebhookKey(context.identity.id, name)


def _webhook_json(context: RepositoryContext, name: str, row: WebhookRow | None, end: int) -> dict[str, Any]:
    settings = context.settings.webhooks[name]
    return {
        "name": name,
        "url": settings.shown_url,
        "filter": settings.filter,
        "state": _state(row),
        "trouble": _trouble(context, name),
        "behind": 0 if row is None else end - row.seq,
        "delivered": 0 if row is None else row.delivered,
        "failed": 0 if row is None else row.failed,
        "delivered_at": None if row is None else row.delivered_at,
        "failures": 0 if row is None else row.failures,
        "failure": None if row is None else row.failure,
        "failing_since": None if row is None else row.failing_since,
        "next_try_at": None if row is None or row.is_gone else row.next_at,
    }


def _state(row: WebhookRow | None) -> str:
    if row is None:
        return "new"
    if row.is_gone:
        return "gone"
    return "failing" if row.failures else "well"


def _trouble(context: RepositoryContext, name: str) -> str | None:
    """Return the fault for which this process cannot deliver to a receiver; None without one."""
    try:
        receiver_named(context, name).secrets()
    except UsageError as error:
        return str(error)
    return None
