"""The receiver of traces: where it is, by the settings and the standard variables of OpenTelemetry.

Nothing of OpenTelemetry is loaded here, so that a process without traces pays nothing for them.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from maingate.errors import OutsideFaultError
from maingate.trace_ids import RunTrace

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_TIMEOUTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")

_LED: Final = "parentbased_"
_SAMPLER: Final = "parentbased_always_on"
"""The beginning of the samplers that follow the caller's trace, and the one without a variable."""

PROTOCOL: Final = "http/protobuf"
"""The protocol that is spoken."""

EXPORT_SECONDS: Final = 2.0
"""Seconds that an export may take, unless a variable says otherwise; the end of a process waits for one."""

_LOW_BITS: Final = 1 << 64
"""The part of a trace's identifier that decides whether it is sampled, as a number of values."""


class SpansRefusedError(OutsideFaultError):
    """The receiver refuses spans for good."""


@dataclass(frozen=True, kw_only=True)
class TraceReceiver:
    """A receiver of traces.

    Args:
        asked_by: The setting or variable that names it.
        endpoint: The address to send to; None leaves it to the variables of OpenTelemetry.
        protocol: The protocol that is asked for.
        seconds: Seconds that an export may take; None leaves it to the variables of OpenTelemetry.
        ratio: The share of runs whose spans are exported.
        is_led: Whether a run that was asked for within a trace is exported as that trace is.
    """

    asked_by: str
    endpoint: str | None = None
    protocol: str = PROTOCOL
    seconds: float | None = field(default=EXPORT_SECONDS)
    ratio: float = 1.0
    is_led: bool = True

    def takes(self, run: RunTrace) -> bool:
        """Return whether the spans of a run are exported: all of them or none."""
        if self.is_led and run.caller is not None:
            return run.caller.is_sampled
        return run.id % _LOW_BITS < round(self.ratio * _LOW_BITS)

    def trace_of(self, run_id: str, traceparent: str | None) -> RunTrace:
        """Return the trace of a run, for the programs that it starts."""
        trace = RunTrace.of(run_id, traceparent)
        return replace(trace, is_sampled=self.takes(trace))


def receiver_of(endpoint: str | None, environ: Mapping[str, str]) -> TraceReceiver | None:
    """Return the receiver of traces; None when there is none.

    Args:
        endpoint: The setting ``otlp_endpoint``, which counts before the variables.
        environ: The environment, with the variables of OpenTelemetry.
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() not in {"", "otlp"}:
        return None
    named = next((name for name in _ENDPOINTS if environ.get(name, "").strip()), None)
    if endpoint is None and named is None:
        return None
    sampler = (_first(environ, ("OTEL_TRACES_SAMPLER",)) or _SAMPLER).lower()
    return TraceReceiver(
        asked_by="the setting `otlp_endpoint`" if endpoint is not None else str(named),
        endpoint=None if endpoint is None else f"{endpoint.rstrip('/')}/v1/traces",
        protocol=_first(environ, _PROTOCOLS) or PROTOCOL,
        seconds=EXPORT_SECONDS if _first(environ, _TIMEOUTS) is None else None,
        ratio=_ratio(sampler.removeprefix(_LED), environ.get("OTEL_TRACES_SAMPLER_ARG", "1")),
        is_led=sampler.startswith(_LED),
    )


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((value for name in names if (value := environ.get(name, "").strip())), None)


def _ratio(sampler: str, argument: str) -> float:
    """Return the share of runs that is sampled: all, unless a known sampler says otherwise."""
    if sampler == "always_off":
        return 0.0
    if sampler == "traceidratio":
        with suppress(ValueError):
            return min(max(float(argument), 0.0), 1.0)
    return 1.0
