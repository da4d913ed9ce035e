"""Connections are limited by the descriptors that there are, and one that asks for nothing is closed."""

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

import pytest


async def answering(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer each request with nothing."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


@asynccontextmanager
async def listening(**limits: float) -> AsyncIterator[int]:
    """Listen with some limits of connections; give the port."""
    import uvicorn  # noqa: PLC0415 - not to be loaded by a process that only collects tests
    from uvicorn.server import ServerState  # noqa: PLC0415 - as above

    from maingate.server.connections import LimitedConnection  # noqa: PLC0415 - as above

    config = uvicorn.Config(answering, log_config=None, lifespan="off")
    state, kind = ServerState(), type("Connection", (LimitedConnection,), limits)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: kind(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    async with server:
        yield server.sockets[0].getsockname()[1]


class Caller:
    """A connection to a server, not closed before the end of its context."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    async def told(self, request: bytes = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") -> bytes:
        """Return the beginning of the answer to a request; nothing where the connection is closed."""
        self._writer.write(request)
        try:
            return await self._reader.read(12)
        except ConnectionResetError:
            return b""


def test_one_connection_too_many_is_closed_and_the_others_are_answered() -> None:
    """When one of them has ended, the next is answered."""

    async def play() -> list[bytes]:
        async with listening(most=2) as port, Caller(port) as first:
            async with Caller(port), Caller(port) as third:
                refused = await third.told(b"")
                answered = await first.told()
            async with Caller(port) as later:
                return [refused, answered, await later.told()]

    assert asyncio.run(play()) == [b"", b"HTTP/1.1 204", b"HTTP/1.1 204"]


def test_a_connection_without_a_request_is_closed() -> None:
    """A part of a request is none."""

    async def play() -> bytes:
        async with listening(first_request_seconds=0.01) as port, Caller(port) as caller:
            return await caller.told(b"GET / HT")

    assert asyncio.run(play()) == b""


@pytest.mark.parametrize(
    ("files", "most"), [(1024, 568), (64, 32), (1 << 20, 10_000), (resource.RLIM_INFINITY, 10_000)]
)
def test_descriptors_are_left_for_everything_else(
    monkeypatch: pytest.MonkeyPatch, files: int, most: int
) -> None:
    """Runs, records and git need some, also while connections are closed."""
    from maingate.server.connections import most_connections  # noqa: PLC0415 - as above

    monkeypatch.setattr("resource.getrlimit", lambda _: (files, files))
    assert most_connections() == most
