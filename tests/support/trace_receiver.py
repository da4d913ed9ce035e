"""A receiver of traces in this process: OTLP over HTTP, its protobuf decoded."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True, kw_only=True)
class Received:
    """A span as it was received.

    Args:
        name: Its name.
        trace: Its trace, in hexadecimal.
        id: Its identifier, in hexadecimal.
        parent: That of its parent; empty for a root.
        start: Its beginning, in nanoseconds.
        end: Its end.
        attributes: Its attributes.
        status: ``ok``, ``error`` or empty.
        message: The message of its status.
        links: The spans that it is linked with.
        service: The name of its service.
    """

    name: str
    trace: str
    id: str
    parent: str
    start: int
    end: int
    attributes: dict[str, Any]
    status: str
    message: str
    links: tuple[str, ...]
    service: str


@dataclass(kw_only=True)
class TraceReceiver:
    """The received spans, and the answer that is given.

    Args:
        url: The address.
        spans: The spans in the order in which they came; a repeated one comes again.
        status: The HTTP status that is answered.
        wait: Each answer waits for this.
        headers: The headers of each request.
    """

    url: str = ""
    spans: list[Received] = field(default_factory=list)
    status: int = 200
    wait: threading.Event = field(default_factory=threading.Event)
    headers: list[dict[str, str]] = field(default_factory=list)

    def named(self, name: str) -> list[Received]:
        """Return the different spans of a name, oldest first."""
        found = {span.id: span for span in self.spans if span.name == name}
        return sorted(found.values(), key=lambda span: span.start)

    def tree(self) -> list[str]:
        """Return the names of all spans with their ancestors, sorted; fail unless they are one tree."""
        by_id = {span.id: span for span in self.spans}
        assert len({span.trace for span in self.spans}) == 1
        return sorted(_path(span, by_id) for span in by_id.values())


def _path(span: Received, by_id: dict[str, Received]) -> str:
    return f"{_path(by_id[span.parent], by_id)} > {span.name}" if span.parent else span.name


@contextmanager
def receiving() -> Iterator[TraceReceiver]:
    """Receive traces until the end of the context."""
    made = TraceReceiver()
    made.wait.set()

    class Handler(BaseHTTPRequestHandler):
        """Takes exports."""

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            made.wait.wait()
            made.headers.append(dict(self.headers))
            if made.status == 200 and self.path == "/v1/traces":
                is_packed = self.headers.get("Content-Encoding") == "gzip"
                made.spans += decoded(gzip.decompress(content) if is_packed else content)
            self.send_response(made.status if self.path == "/v1/traces" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.wait.set()
        server.shutdown()
        server.server_close()
        thread.join()


def decoded(content: bytes) -> Iterator[Received]:
    """Return the spans of an export."""
    for resource in ExportTraceServiceRequest.FromString(content).resource_spans:
        service = next(
            each.value.string_value for each in resource.resource.attributes if each.key == "service.name"
        )
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Received(
                    name=span.name,
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    start=span.start_time_unix_nano,
                    end=span.end_time_unix_nano,
                    attributes={
                        each.key: getattr(each.value, str(each.value.WhichOneof("value")))
                        for each in span.attributes
                    },
                    status={1: "ok", 2: "error"}.get(span.status.code, ""),
                    message=span.status.message,
                    links=tuple(link.span_id.hex() for link in span.links),
                    service=service,
                )
