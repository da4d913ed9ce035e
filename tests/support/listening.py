"""A server of an application on a port of this machine, in a thread of the test's process."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from fastapi import FastAPI

PATIENCE: Final = 60.0
"""Seconds that the start and the end may take; they take a fraction of one."""


@contextmanager
def listening(app: FastAPI, port: int = 0) -> Iterator[str]:
    """Run an application in a server of its own, and return the server's address."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        log_config=None,
        lifespan="on",
        ws="none",
        timeout_graceful_shutdown=1,  # a stream does not end by itself
    )
    server = Announcing(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        assert server.is_ready.wait(PATIENCE), "the server did not start"
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE)


class Announcing(uvicorn.Server):
    """A server that another thread can wait for."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and announce it."""
        await super().startup(sockets)
        self.is_ready.set()
