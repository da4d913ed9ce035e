"""The HTTP interface, live: a real server on a port of this machine, in a thread of the test's process.

What it is made of is imported when the first one is served: a process that only collects tests does without.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from maingate.api.guard.rates import Rate
from maingate.clock import ManualClock
from support.forked_server import host_from_a_nursery

if TYPE_CHECKING:
    from fastapi import FastAPI

    from maingate.server.served_repositories import Site

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

    site: "Site"
    app: "FastAPI"
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
    operator: str = "ada",
    reads: Rate = PLENTY,
    writes: Rate = PLENTY,
    failures: Rate = PLENTY,
    is_hosting: bool = False,
    port: int = 0,
) -> Iterator[Live]:
    """Serve some repositories until the end of the context; the clock of the rates stands still.

    Args:
        paths: Paths in the repositories.
        is_loopback: Whether only this machine can reach the server, under the names that it has there.
        operator: The local user.
        reads: The permitted reading requests of one caller.
        writes: The same for its acting requests.
        failures: The same for wrong tokens of one address.
        is_hosting: Whether it takes up runs.
        port: Its port; 0 for any.
    """
    from maingate.api.app import create_app  # noqa: PLC0415
    from maingate.api.guard.access import Access, Rates  # noqa: PLC0415
    from maingate.api.guard.protection import LOOPBACK_NAMES  # noqa: PLC0415
    from maingate.pages.app import add_pages  # noqa: PLC0415
    from maingate.server.served_repositories import Site  # noqa: PLC0415
    from support.listening import listening  # noqa: PLC0415

    rates = Rates(reads=reads, writes=writes, failures=failures)
    with Site.open(paths) as site:
        access = Access(site, operator=operator, is_loopback=is_loopback, rates=rates, clock=ManualClock())
        app = add_pages(create_app(site, access=access, hosts=LOOPBACK_NAMES if is_loopback else None))
        with hosting(site) if is_hosting else nullcontext(), listening(app, port) as url:
            yield Live(site=site, app=app, url=url)


@contextmanager
def hosting(site: "Site") -> Iterator[None]:
    """Host the runs of a site until the end of the context."""
    from maingate.server.host import RunHost  # noqa: PLC0415

    host_from_a_nursery()
    host = RunHost(site, workers=1, drain_time=timedelta(0))
    host.start()
    try:
        yield
    finally:
        host.drain()
        assert host.join(PATIENCE)


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and code of a problem document, after a look at its form."""
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert {"type", "title", "status", "detail", "code"} <= document.keys()
    assert document["status"] == answer.status_code
    assert document["type"] == f"urn:maingate:problem:{document['code']}"
    return answer.status_code, document["code"]
