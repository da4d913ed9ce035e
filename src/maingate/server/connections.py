"""The connections of a server: no more than its descriptors allow, and none without a request that ends.

A client needs no token to open connections. Without a limit they would take every descriptor of the process,
which its runs, its records and git need, too; and uvicorn lets one that never sends anything stay for ever.
"""

import asyncio
import resource
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from maingate.server.log import LOG

ACCEPTED_AT_ONCE: Final = 100
"""Connections that are accepted in one go, before any of them can be counted."""

FIRST_REQUEST_SECONDS: Final = 30.0
"""Seconds within which a new connection must bring the head of a request."""

MOST_HEAD: Final = 64 * 1024
"""Bytes of the head of a request that has not ended; the parser itself has no limit."""

_KEPT_FREE: Final = 256 + 2 * ACCEPTED_AT_ONCE
"""Descriptors that are left for everything else, and for connections that are about to be closed."""

_FEWEST: Final = 32
_MOST: Final = 10_000
_TOLD_EVERY: Final = 60.0


def limited_connection() -> type[asyncio.Protocol]:
    """Return the protocol of connections, of which there may be as many as this process can have."""
    return type("Connection", (LimitedConnection,), {"most": most_connections()})


def most_connections() -> int:
    """Return how many connections this process may have, by its limit of open files."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return _MOST
    return min(_MOST, max(_FEWEST, files - _KEPT_FREE))


class LimitedConnection(HttpToolsProtocol):
    """A connection of the HTTP server; one too many is closed at once, and so is one without a request."""

    most = _MOST
    first_request_seconds = FIRST_REQUEST_SECONDS
    _told_at = -_TOLD_EVERY
    _is_amid_head = False
    _head = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
            self._tell()
        else:
            self.loop.call_later(self.first_request_seconds, self._require_request)

    def data_received(self, data: bytes) -> None:
        """Receive a part of a request, or of several; refuse one whose head is too long."""
        super().data_received(data)
        self._head = self._head + len(data) if self._is_amid_head else 0
        if self._head > MOST_HEAD and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        """Begin with the head of a request."""
        self._is_amid_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """End the head of a request."""
        self._is_amid_head = False
        super().on_headers_complete()

    def _require_request(self) -> None:
        if self.cycle is None:
            self.transport.abort()

    def _tell(self) -> None:
        """Log that connections are refused, once in a while."""
        now = self.loop.time()
        if now - LimitedConnection._told_at >= _TOLD_EVERY:
            LimitedConnection._told_at = now
            LOG.warning("connections_refused", most=self.most)
