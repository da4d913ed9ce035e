"""Metrics for Prometheus, read from the records at each scrape.

Nothing is counted in this process: counters and histograms are the totals of the ledger, gauges are read from
the rows of open work. So they are right just after a restart and with several processes, and a scrape costs
the same however long the history is. A record that cannot be read has ``record_up`` 0 and nothing else: an
alert tells it from one at rest.
"""

import platform
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, exposition
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.core import (
    Metric as Family,
)
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from maingate.db import migrations
from maingate.db.rollups import store
from maingate.errors import MaingateError
from maingate.git.command import require_git
from maingate.monitoring.ledger_metrics import Samples, add_totals, exposed
from maingate.monitoring.metric_table import METRICS, PREFIX, REPOSITORY, Kind, Metric
from maingate.monitoring.record_metrics import add_gauges
from maingate.repository_context import RepositoryContext

MICROS: Final = 1_000_000


class RecordCollector(Collector):
    """Reads the metrics of the records of some repositories.

    Args:
        contexts: The repositories by name; those that share a record are one set of metrics.
    """

    def __init__(self, contexts: Mapping[str, RepositoryContext]) -> None:
        self._contexts = contexts

    def collect(self) -> Iterator[Family]:
        """Read every metric."""
        read = {name: _read(contexts) for name, contexts in self._records().items()}
        for metric in METRICS.values():
            if metric.kind is Kind.INFO:
                yield _info(metric)
            else:
                yield _family(metric, read)

    def describe(self) -> Iterable[Family]:
        """Return nothing: registration must not read the records."""
        return ()

    def _records(self) -> Mapping[str, Sequence[RepositoryContext]]:
        """Return the repositories that share each record, by their names together."""
        sharing: dict[str, dict[str, RepositoryContext]] = {}
        for name, context in self._contexts.items():
            sharing.setdefault(context.database.record_id or context.database.url, {})[name] = context
        return {",".join(sorted(found)): list(found.values()) for found in sharing.values()}


def registry_of(contexts: Mapping[str, RepositoryContext]) -> CollectorRegistry:
    """Return the registry of a process: the metrics of its records, and those of the process itself."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(RecordCollector(contexts))
    ProcessCollector(registry=registry)
    return registry


def metrics_text(registry: CollectorRegistry, accept: str = "") -> tuple[bytes, str]:
    """Return all metrics as text, and the media type.

    Args:
        registry: The registry.
        accept: The caller's ``Accept`` header: OpenMetrics where it is asked for, else Prometheus text.
    """
    if "application/openmetrics-text" in accept:
        text: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
        return text, openmetrics.CONTENT_TYPE_LATEST
    return exposition.generate_latest(registry), exposition.CONTENT_TYPE_LATEST


def _read(contexts: Sequence[RepositoryContext]) -> Samples:
    """Return the metrics of one record, all of one moment."""
    began = time.monotonic()
    samples, database = Samples(), contexts[0].database
    try:
        store.catch_up(database, at=contexts[0].clock.now(), tail=store.LONG_TAIL)
        with database.read() as conn:
            add_totals(samples, store.totals(conn))
            add_gauges(samples, conn, contexts)
    except MaingateError:  # the reason is for people: `maingate health` and the log of the server have it
        samples = Samples()
        samples.put("record_up", 0)
    else:
        samples.put("record_up", 1)
        samples.put("scrape_seconds", time.monotonic() - began)
    return samples


def _info(metric: Metric) -> Family:
    family = InfoMetricFamily(f"{PREFIX}{metric.name}", metric.help, labels=())
    git = ".".join(map(str, require_git()))
    family.add_metric(
        (),
        {
            "version": version("maingate"),
            "python": platform.python_version(),
            "git": git,
            "schema": migrations.HEAD,
        },
    )
    return family


def _family(metric: Metric, read: Mapping[str, Samples]) -> Family:
    name, labels = f"{PREFIX}{metric.name}", (REPOSITORY, *metric.labels)
    if metric.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(name, metric.help, labels=labels)
        for record, samples in read.items():
            for values, found in samples.histograms[metric.name].items():
                histogram.add_metric((record, *values), exposed(found), found.total / MICROS)
        return histogram
    kind = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family: CounterMetricFamily | GaugeMetricFamily = kind(name, metric.help, labels=labels)
    for record, samples in read.items():
        for values, value in samples.values[metric.name].items():
            family.add_metric((record, *values), value)
    return family
