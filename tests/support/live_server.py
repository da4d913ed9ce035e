"""The HTTP interface, live: a real server on a port of this machine, in a thread of the test's process."""

import socket
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI

from maingate.api.app import create_app
from maingate.api.guard.access import Access, Rates
from maingate.api.guard.protection import LOOPBACK_NAMES
from maingate.api.guard.rates import Rate
from maingate.clock import ManualClock
from maingate.pages.app import add_pages
from maingate.server.host import RunHost
from maingate.server.served_repositories import Site
from support.forked_server import host_from_a_nursery

PLENTY = Rate(per_second=1, burst=1_000_000)

PATIENCE = 60.0
"""Seconds that an answer may take; it takes a fraction of one."""


@dataclass(frozen=True, kw_only=True)
class Live:
    """A server that answers.

    Args:
        site: Its repositories.
        app: Its application.
        url: Its address.
    """

    site: Site
    app: FastAPI
    url: str

    def client(self, token: str | None = None) -> httpx.Client:
        """Return a client, with a token or as the local user."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=PATIENCE)


@contextmanager
def served(
    paths: Sequence[Path],
    *,
    is_loopback: bool = True,
    hosts: Collection[str] | None = LOOPBACK_NAMES,
    operator: str = "ada",
    rates: Rates | None = None,
    is_hosting: bool = False,
    port: int = 0,
) -> Iterator[Live]:
    """Serve some repositories until the end of the context; the clock of the rates stands still.

    Args:
        paths: Paths in the repositories.
        is_loopback: Whether only this machine can reach the server.
        hosts: The names of the server.
        operator: The local user.
        rates: The permitted rates; by default there is no limit.
        is_hosting: Whether it takes up runs.
        port: Its port; 0 for any.
    """
    rates = rates or Rates(reads=PLENTY, writes=PLENTY, failures=PLENTY)
    with Site.open(paths) as site:
        access = Access(site, operator=operator, is_loopback=is_loopback, rates=rates, clock=ManualClock())
        app = add_pages(create_app(site, access=access, hosts=hosts))
        with hosting(site) if is_hosting else nullcontext(), listening(app, port) as url:
            yield Live(site=site, app=app, url=url)


@contextmanager
def hosting(site: Site) -> Iterator[None]:
    """Host the runs of a site until the end of the context."""
    host_from_a_nursery()
    host = RunHost(site, workers=1, drain_time=timedelta(0))
    host.start()
    try:
        yield
    finally:
        host.drain()
        assert host.join(PATIENCE)


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


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and code of a problem document, after a look at its form."""
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert {"type", "title", "status", "detail", "code"} <= document.keys()
    assert document["status"] == answer.status_code
    assert document["type"] == f"urn:maingate:problem:{document['code']}"
    return answer.status_code, document["code"]
