"""Protection of every request: headers, the names of the host, other sites, sizes, and unexpected errors.

Plain ASGI: each wraps the application, looks at a request before it, and costs next to nothing.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import urlsplit

from fastapi import Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from maingate.api.answers.problems import RETRY_SECONDS, internal, problem

SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
"""Headers of every answer that does not set them itself."""

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
"""The names under which a server on the loopback interface is reached."""

BODY_SECONDS: Final = 30.0
"""Seconds in which the next part of a body must come."""

_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_log: Final = logging.getLogger(__name__)


class AddHeaders:
    """Adds the security headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, sending if scope["type"] == "http" else send)


class RefuseOthers:
    """Refuses requests under names of others (DNS rebinding), acting ones from pages of others, and NUL.

    Args:
        app: The application.
        hosts: The names under which the server may be reached; None for all.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        refused = self._refusal(scope) if scope["type"] == "http" else None
        await (refused or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._hosts is not None and _name_of(host) not in self._hosts:
            return problem(421, "host_not_allowed", "this server does not answer under that host name")
        if b"%00" in scope["query_string"] or "\x00" in scope["path"]:
            return problem(400, "bad_request", "NUL is in no name and no identifier")
        if scope["method"] in _READING:
            return None
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        if (origin is not None and _place_of(origin) != host) or site not in {"same-origin", "none"}:
            return problem(403, "cross_site", "requests from pages of other sites are refused")
        return None


class LimitBody:
    """Refuses bodies that are too large, whether they state their length or not, and those that do not come.

    Args:
        app: The application.
        most: The limit, in bytes.
        most_at: Limits of particular paths.
        seconds: Seconds in which the next part of a body must come.
    """

    def __init__(
        self, app: ASGIApp, most: int, most_at: Mapping[str, int], seconds: float = BODY_SECONDS
    ) -> None:
        self._app, self._most, self._most_at, self._seconds = app, most, most_at, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._most_at.get(scope["path"], self._most)
        stated = Headers(scope=scope).get("content-length", "0")
        if stated.isdecimal() and int(stated) > most:
            await problem(413, "too_large", _too_large(most))(scope, receive, send)
            return
        received, is_whole = 0, False

        async def receiving() -> Message:
            nonlocal received, is_whole
            try:
                async with asyncio.timeout(None if is_whole else self._seconds):
                    message = await receive()
            except TimeoutError as error:
                raise HTTPException(408, "the rest of the request did not come") from error
            is_whole = not message.get("more_body", False)
            received += len(message.get("body", b""))
            if received > most:
                raise HTTPException(413, _too_large(most))
            return message

        await self._app(scope, receiving, send)


class CatchErrors:
    """Answers an unexpected error with a problem document that has no particulars; the log has them.

    A request that the server cancels at its end is answered, too, so that its caller may send it again.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        has_begun = False

        async def sending(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except asyncio.CancelledError:
            if has_begun or scope["type"] != "http":
                raise
            await _ending()(scope, receive, send)
        except Exception:
            if has_begun or scope["type"] != "http":
                raise
            _log.exception("%s %s failed", scope["method"], scope["path"])
            await internal()(scope, receive, send)


def _ending() -> Response:
    detail = "the server is ending, and has not answered in time; send the request again to the next one"
    return problem(503, "server_ending", detail, headers={"Retry-After": RETRY_SECONDS})


def _name_of(host: str) -> str:
    """Return the name in a Host header, without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _place_of(origin: str) -> str | None:
    """Return the host and port of an Origin header; None where it has none."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None


def _too_large(most: int) -> str:
    return f"the request is larger than {most} bytes"
