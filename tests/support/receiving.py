"""A receiver of webhooks in tests: a real HTTP server that keeps requests and answers as it is told."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from maingate.webhook_signature import new_secret

SECRET: Final = new_secret(b"k" * 32)
OTHER_SECRET: Final = new_secret(b"o" * 32)


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A request that came."""

    headers: Mapping[str, str]
    body: bytes
    client: tuple[str, int]

    @property
    def event(self) -> dict[str, Any]:
        """The event in it."""
        event: dict[str, Any] = json.loads(self.body)
        return event


@dataclass(kw_only=True)
class Inlet:
    """A receiver.

    Args:
        status: The status of its answers, or a function that makes it of the number of a request, from 1.
        headers: More headers of its answers.
        before: Called with each request before it is answered.
    """

    status: int | Callable[[int], int] = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[Sent], None] = lambda _: None
    sent: list[Sent] = field(default_factory=list)
    url: str = ""

    @property
    def seqs(self) -> list[int]:
        """The places of the events that came."""
        return [sent.event["seq"] for sent in self.sent]


@contextmanager
def receiving(inlet: Inlet, certificate: Path | None = None) -> Iterator[Inlet]:
    """Answer requests until the end, over TLS where there is a certificate with its key."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            request = Sent(headers=dict(self.headers), body=body, client=self.client_address)
            inlet.sent.append(request)
            inlet.before(request)
            self.send_response(
                inlet.status if isinstance(inlet.status, int) else inlet.status(len(inlet.sent))
            )
            for name, value in {"content-length": "2", **inlet.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    scheme = "http" if certificate is None else "https"
    inlet.url = f"{scheme}://127.0.0.1:{server.server_address[1]}/in/very-secret-path"
    try:
        yield inlet
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
