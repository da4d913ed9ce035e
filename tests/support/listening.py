"""A server of an application on a port of this machine, in a thread of the test's process."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from fastapi import FastAPI

from maingate.server.connections import LimitedConnection

PATIENCE: Final = 60.0
"""Seconds that the start and the end may take; they take a fraction of one."""

GOODBYE_SECONDS: Final = 1.0
"""Seconds that open connections have at the end; a stream does not end by itself."""


@contextmanager
def listening(app: FastAPI, port: int = 0) -> Iterator[str]:
    """Run an application in a server of its own, and return the server's address."""
    config = uvicorn.Config(
        app,
        http=LimitedConnection,
        host="127.0.0.1",
        port=port,
        log_config=None,
        lifespan="on",
        ws="none",
    )
    server = Announcing(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        assert server.is_ready.wait(PATIENCE), "the server did not start"
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.end()
        thread.join(PATIENCE)


class Announcing(uvicorn.Server):
    """A server that another thread can wait for, and that ends without the naps of its class."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_ready, self._is_over = threading.Event(), asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and announce it."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self.is_ready.set()

    def end(self) -> None:
        """Have it end; safe in any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._is_over.set)

    async def main_loop(self) -> None:
        """Serve until it is to end."""
        await self.on_tick(0)
        await self._is_over.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close what is idle; what is not done soon, such as a stream, is cancelled."""
        assert not sockets
        state, until = self.server_state, time.monotonic() + GOODBYE_SECONDS
        for server in self.servers:
            server.close()
        for connection in list(state.connections):
            connection.shutdown()
        while (state.connections or state.tasks) and time.monotonic() < until:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.005)
        for task in state.tasks:
            task.cancel()
        await self.lifespan.shutdown()
