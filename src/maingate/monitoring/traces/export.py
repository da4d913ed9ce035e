"""The export of spans by OTLP, with the libraries of OpenTelemetry (the extra `otel`)."""

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from http import HTTPStatus
from importlib.metadata import version
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags

from maingate.errors import OutsideFaultError
from maingate.monitoring.traces.receiver import PROTOCOL, SpansRefusedError, TraceReceiver
from maingate.monitoring.traces.spans import TraceSpan
from maingate.uet.process.redaction import redact

_UNNAMED: Final = "unknown_service"
"""The beginning of the name that OpenTelemetry gives to a service that no variable names."""
_UNSET: Final = Status(StatusCode.UNSET)
_OK: Final = Status(StatusCode.OK)

_ANSWERED: Final = re.compile(r"\bcode: (\d{3})\b")
"""The status of the answer in the library's message; it is told nowhere else."""

_REFUSALS: Final = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
)
"""The answers to spans that the receiver will never take. Others are about the address, the credentials or
the moment: once these are mended, the same spans are taken."""


class _LastMessage(logging.Handler):
    """Keeps the last warning of the libraries, which print it otherwise."""

    text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = " ".join(record.getMessage().split())


@contextmanager
def _heard() -> Iterator[_LastMessage]:
    """Keep the messages of the libraries from being printed, until the end of the context."""
    libraries, handler = logging.getLogger("opentelemetry"), _LastMessage(logging.WARNING)
    before = libraries.propagate
    libraries.addHandler(handler)
    libraries.propagate = False
    try:
        yield handler
    finally:
        libraries.removeHandler(handler)
        libraries.propagate = before


class _ServiceResource(Resource):
    """A resource whose hash is computed once: the library encodes it as JSON for each span."""

    def __init__(self, found: Resource) -> None:
        super().__init__(found.attributes, found.schema_url)
        self._hash = super().__hash__()

    def __hash__(self) -> int:
        return self._hash


class SpanExport:
    """The export to a receiver.

    Args:
        receiver: The receiver.
        secrets: Values that are never sent.

    Raises:
        OutsideFaultError: A protocol is asked for that is not spoken.
    """

    def __init__(self, receiver: TraceReceiver, *, secrets: Iterable[str] = ()) -> None:
        if receiver.protocol != PROTOCOL:
            raise OutsideFaultError(
                f"OTEL_EXPORTER_OTLP_PROTOCOL asks for {receiver.protocol!r}; traces are sent as {PROTOCOL}"
            )
        self._asked_by, self._secrets = receiver.asked_by, tuple(secrets)
        self._exporter = OTLPSpanExporter(endpoint=receiver.endpoint, timeout=receiver.seconds)
        self._resource = _ServiceResource(_resource())
        self._scope = InstrumentationScope("maingate", version("maingate"))

    def send(self, spans: Sequence[TraceSpan]) -> None:
        """Send spans, and return when the receiver has them.

        Raises:
            SpansRefusedError: It has refused them for good.
            OutsideFaultError: It has not taken them.
        """
        with _heard() as said:
            result = self._exporter.export([self._readable(span) for span in spans])
        if result is not SpanExportResult.SUCCESS:
            text = said.text.rstrip(".") or "the receiver of traces did not take them"
            answered = _ANSWERED.search(text)
            is_final = answered is not None and int(answered[1]) in _REFUSALS
            failure = SpansRefusedError if is_final else OutsideFaultError
            raise failure(f"{text} (the receiver that {self._asked_by} names)")

    def _readable(self, span: TraceSpan) -> ReadableSpan:
        trace = span.run.id
        links = () if span.link is None else (Link(_context(trace, span.link)),)
        return ReadableSpan(
            name=self._clean(span.name),
            context=_context(trace, span.id),
            parent=None if span.parent is None else _context(trace, span.parent),
            resource=self._resource,
            attributes={
                name: self._clean(value) if isinstance(value, str) else value
                for name, value in span.attributes.items()
            },
            links=links,
            status=self._status(span),
            start_time=_nanoseconds(span.start),
            end_time=_nanoseconds(span.end),
            instrumentation_scope=self._scope,
        )

    def _clean(self, text: str) -> str:
        return redact(text, self._secrets) if self._secrets else text

    def _status(self, span: TraceSpan) -> Status:
        if span.is_good is None:
            return _UNSET
        if span.is_good:
            return _OK
        return Status(StatusCode.ERROR, self._clean(span.failure))


def _resource() -> Resource:
    """Return the description of this service: that of the variables, or by its own name."""
    found = Resource.create()
    if str(found.attributes[SERVICE_NAME]).startswith(_UNNAMED):
        found = found.merge(Resource({SERVICE_NAME: "maingate"}))
    return Resource({SERVICE_VERSION: version("maingate")}).merge(found)


def _context(trace: int, span: int) -> SpanContext:
    return SpanContext(trace, span, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _nanoseconds(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000) * 1_000
