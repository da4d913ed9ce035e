"""The hook that exports the spans of what has ended."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from maingate.db.engine import Database
from maingate.errors import UsageError
from maingate.events import Event
from maingate.monitoring.traces.receiver import SpansRefusedError, TraceReceiver
from maingate.monitoring.traces.spans import spans_of
from maingate.wording import extra_adds

if TYPE_CHECKING:
    from maingate.monitoring.traces.export import SpanExport

HOOK: Final = "traces"
"""The name of the hook; the position is that of the record."""

_BATCH: Final = 1_000
"""Events whose spans are exported at once."""


class TraceHook:
    """A hook that exports spans. Those that the receiver refuses for good are dropped, counted and told.

    Args:
        receiver: The receiver.
        database: The record, which has the rest of what has ended.
        warn: Records and shows a warning; called in the hook's thread.
        secrets: Values that are never sent.
    """

    name = HOOK
    batch = _BATCH

    def __init__(
        self,
        receiver: TraceReceiver,
        database: Database,
        *,
        warn: Callable[[str], None],
        secrets: Iterable[str] = (),
    ) -> None:
        self._receiver, self._database, self._secrets = receiver, database, tuple(secrets)
        self._warn, self._dropped_batches, self._dropped_spans = warn, 0, 0
        self._export: SpanExport | None = None

    def take(self, batch: Sequence[Event]) -> None:
        """Export the spans that end with these events.

        Raises:
            UsageError: The extra `otel` is not installed.
            OutsideFaultError: The receiver has not taken them.
        """
        with self._database.read() as conn:
            spans = [span for span in spans_of(conn, batch) if self._receiver.takes(span.run)]
        if not spans:
            return
        try:
            self._exporter().send(spans)
        except SpansRefusedError as error:  # raised, it would come again for ever, and keep all later spans
            self._drop(len(spans), error)

    def _drop(self, spans: int, refusal: SpansRefusedError) -> None:
        """Count a refused batch; tell of the first, second, fourth and so on: each one may be refused."""
        batches, spans = self._dropped_batches + 1, self._dropped_spans + spans
        if batches.bit_count() == 1:
            self._warn(
                f"hook {self.name} dropped what the receiver refuses for good, in this process "
                f"{spans} span(s) in {batches} request(s) so far: {refusal}; "
                "later spans are sent"
            )
        self._dropped_batches, self._dropped_spans = batches, spans

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
