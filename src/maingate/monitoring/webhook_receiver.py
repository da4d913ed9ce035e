"""A receiver of webhooks, as the settings have it, with its secrets and its filter."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from maingate.clock import Clock
from maingate.errors import UsageError
from maingate.monitoring.event_query_language import EventSearch, QueryError, parse
from maingate.webhook_signature import key_of
from maingate.wording import extra_adds

if TYPE_CHECKING:
    from maingate.settings.model import WebhookSettings

_MOST_SECRETS: Final = 2
_UNSUITED: Final = ("run", "workstream", "task")
"""Filters by ids that a receiver outlives."""


class ReceiverError(UsageError):
    """The receiver cannot be used as the settings have it."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"webhooks.{name}: {text}")


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """A receiver.

    Args:
        name: Its name.
        settings: Its settings.
        search: The events that it is sent.
    """

    name: str
    settings: "WebhookSettings"
    search: EventSearch

    @classmethod
    def of(cls, name: str, settings: "WebhookSettings", clock: Clock) -> "Receiver":
        """Return a receiver of its settings.

        Raises:
            ReceiverError: Its filter is no query that lists events, or nothing here can send over HTTP.
        """
        if find_spec("httpx") is None:
            raise ReceiverError(name, f"sending needs more packages; {extra_adds('server')}")
        try:
            search = parse(settings.filter, now=clock.now())
        except QueryError as error:
            raise ReceiverError(name, f"filter: {error}") from error
        is_list = search.is_list and search.top is None and search.since is None and search.until is None
        if not is_list or not search.wanted.keys().isdisjoint(_UNSUITED):
            raise ReceiverError(
                name,
                "filter: it chooses kinds of events; remove by:, show:, top:, since:, until:, "
                "run:, workstream: and task:",
            )
        return cls(name=name, settings=settings, search=search)

    def secrets(self, environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
        """Read the secrets that sign: one, or two while it is exchanged.

        Raises:
            ReceiverError: There is none, or one is not of the form of a secret.
        """
        place, text = self._secret_text(environ)
        found = tuple(text.split())
        if not 1 <= len(found) <= _MOST_SECRETS:
            raise ReceiverError(self.name, f"{place} has {len(found)} secrets; put one there, or two")
        for secret in found:
            try:
                key_of(secret)
            except ValueError as error:
                raise ReceiverError(self.name, f"{place}: {error}") from None
        return found

    def _secret_text(self, environ: Mapping[str, str]) -> tuple[str, str]:
        """Return the place of the secrets, and the text there."""
        path, variable = self.settings.secret_file, self.settings.secret_env or ""
        if path is None:
            if variable not in environ:
                raise ReceiverError(
                    self.name, f"the variable {variable} with its secret is not set in this process"
                )
            return variable, environ[variable]
        try:
            return str(path), path.read_text(encoding="ascii")
        except OSError as error:
            raise ReceiverError(self.name, f"{path} cannot be read: {error.strerror}") from error
        except UnicodeError:
            raise ReceiverError(self.name, f"{path} is not the file of a secret") from None
