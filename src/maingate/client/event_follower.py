"""Following of events: where a stream goes on, and what its lines mean. No input or output."""

import json
from typing import Final

from maingate.client.failures import error_of
from maingate.client.request_flow import Call, Reply, delay
from maingate.client.results import Event
from maingate.errors import MaingateError

SILENCE: Final = 60.0
"""Seconds without a sign of life after which a stream is taken up anew; the server gives one every 15."""


class Following:
    """A stream of events that survives interruptions: it continues behind the last event that it gave.

    Args:
        after: The place of an event; only those behind it. None begins now.
        repo: The repository, by the server's name for it.
        run: Only events of this run.
        type_: Only events of this type.
        query: Only events that match this query.
    """

    def __init__(
        self,
        *,
        after: int | None = None,
        repo: str | None,
        run: str | None,
        type_: str | None,
        query: str | None = None,
    ) -> None:
        self._place = after
        self._query = {"repo": repo, "entity": run, "type": type_, "q": query}
        self._failures = 0
        self._fields: dict[str, str] = {}

    def call(self) -> Call:
        """Return the request with which the stream begins or goes on."""
        self._fields = {}
        headers = {} if self._place is None else {"Last-Event-ID": str(self._place)}
        return Call(method="GET", path="/api/v1/events/stream", query=self._query, headers=headers)

    def line(self, line: str) -> Event | None:
        """Take a line of the stream; return the event that it completes, if any."""
        if line:
            name, _, value = line.partition(":")
            self._fields[name] = value.removeprefix(" ")
            return None
        fields, self._fields = self._fields, {}
        if "id" in fields:
            self._place = int(fields["id"])
        self._failures = 0
        return Event.of(json.loads(fields["data"])) if "data" in fields else None

    def interrupted(self, reply: Reply) -> float:
        """Return the seconds to wait before the stream is taken up again.

        Raises:
            MaingateError: The server refuses it for good.
        """
        if (refused := self.refusal(reply)) is not None:
            raise refused
        self._failures += 1
        return delay(min(self._failures, 8), reply)

    @staticmethod
    def refusal(reply: Reply) -> MaingateError | None:
        """Return why a stream cannot be had; None where that may pass."""
        is_fine = reply.status < 400  # noqa: PLR2004 - an error of HTTP
        if is_fine or reply.is_passing:
            return None
        return error_of(reply.status, reply.value if isinstance(reply.value, dict) else {})
