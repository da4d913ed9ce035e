"""The hook that exports the spans of what has ended."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from maingate.db.engine import Database
from maingate.errors import UsageError
from maingate.events import Event
from maingate.monitoring.traces.receiver import TraceReceiver
from maingate.monitoring.traces.spans import spans_of
from maingate.wording import extra_adds

if TYPE_CHECKING:
    from maingate.monitoring.traces.export import SpanExport

HOOK: Final = "traces"
"""The name of the hook; the position is that of the record."""

_BATCH: Final = 1_000
"""Events whose spans are exported at once."""


class TraceHook:
    """A hook that exports spans.

    Args:
        receiver: The receiver.
        database: The record, which has the rest of what has ended.
        secrets: Values that are never sent.
    """

    name = HOOK
    batch = _BATCH

    def __init__(self, receiver: TraceReceiver, database: Database, *, secrets: Iterable[str] = ()) -> None:
        self._receiver, self._database, self._secrets = receiver, database, tuple(secrets)
        self._export: SpanExport | None = None

    def take(self, batch: Sequence[Event]) -> None:
        """Export the spans that end with these events.

        Raises:
            UsageError: The extra `otel` is not installed.
            OutsideFaultError: The receiver has not taken them.
        """
        with self._database.read() as conn:
            spans = [span for span in spans_of(conn, batch) if self._receiver.takes(span.run)]
        if spans:
            self._exporter().send(spans)

    def _exporter(self) -> "SpanExport":
        if self._export is None:
            try:
                from maingate.monitoring.traces.export import SpanExport  # noqa: PLC0415 - an extra, loaded where used
            except ModuleNotFoundError as error:
                raise UsageError(
                    f"{self._receiver.asked_by} asks for traces, which need more packages ({error}); "
                    f"{extra_adds('otel')}"
                ) from error
            self._export = SpanExport(self._receiver, secrets=self._secrets)
        return self._export
