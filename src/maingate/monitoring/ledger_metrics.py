"""Counters, histograms and states from the totals of the ledger. Pure.

Totals never go down and are the same in every process, so counters are right just after a restart and with
several processes. The number of entities in a state is the number that came into it less the number that left
it, so it is of the same moment as the counters, and costs nothing more.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from maingate.db.rollups.store import Totals
from maingate.db.schema.rollup_kinds import BOUNDS_MS, EMPTY, EventKind, Histogram, Measure, MeasureKind
from maingate.events import TRANSITION_SUFFIX, EventType
from maingate.monitoring.metric_table import BOUNDS
from maingate.reasons import NOT_RUN, ReasonCode
from maingate.state.gate import GateState
from maingate.state.patch_ledger import PatchState
from maingate.state.task import TaskState
from maingate.state.workstream import WorkstreamState

MICROS: Final = 1_000_000

Labels = tuple[str, ...]


@dataclass(kw_only=True)
class Samples:
    """Values of metrics, by metric and labels.

    Args:
        values: Those of counters and gauges.
        histograms: Those of histograms.
    """

    values: dict[str, dict[Labels, float]] = field(default_factory=lambda: defaultdict(dict))
    histograms: dict[str, dict[Labels, Histogram]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, name: str, labels: Labels, number: float) -> None:
        """Add to a counter or a gauge, which begins with 0."""
        known = self.values[name]
        known[labels] = known.get(labels, 0) + number

    def put(self, name: str, number: float, *labels: str) -> None:
        """Set a gauge."""
        self.values[name][labels] = number

    def merge(self, name: str, labels: Labels, histogram: Histogram) -> None:
        """Add to a histogram, which begins empty."""
        known = self.histograms[name]
        known[labels] = known.get(labels, EMPTY) + histogram


def add_totals(samples: Samples, totals: Totals) -> None:
    """Add everything that is counted from the ledger."""
    _add_zeros(samples)
    for kind, number in totals.events.items():
        for name, labels, share in _of_event(kind):
            samples.add(name, labels, number * share)
    for measure, histogram in totals.measures.items():
        for name, labels in _of_measure(measure):
            samples.merge(name, labels, histogram)
        for name, labels, amount in _of_sum(measure, histogram):
            samples.add(name, labels, amount)
    samples.put("ledger_rows", totals.seq)


def exposed(histogram: Histogram) -> list[tuple[str, float]]:
    """Return the buckets of a histogram as Prometheus has them: bounds in seconds, cumulative numbers."""
    upto = dict(zip(BOUNDS_MS, histogram.cumulative, strict=False))
    shown: list[tuple[str, float]] = [(f"{bound / 1000:g}", upto[bound]) for bound in BOUNDS]
    return [*shown, ("+Inf", histogram.count)]


def _add_zeros(samples: Samples) -> None:
    """Begin counters without labels with 0, so that their first increase is seen."""
    for name in ("patches_applied", "patches_landed"):
        samples.add(name, (), 0)
    for result in ("landed", "refused"):
        samples.add("rollbacks", (result,), 0)
    for cause in ("flake", "base_red"):
        samples.add("false_blame_undone", (cause,), 0)


def _of_event(kind: EventKind) -> Iterator[tuple[str, Labels, int]]:
    """Return what one event of a kind adds to which metrics."""
    if not kind.event_type.endswith(TRANSITION_SUFFIX):
        yield "events", (kind.event_type, kind.severity), 1
        if kind.event_type == EventType.MANUAL_OVERRIDE:
            yield "manual_state_overrides", (kind.entity_type, kind.operator), 1
        if (result := _ROLLBACKS.get(kind.event_type)) is not None:
            yield "rollbacks", (result,), 1
        return
    yield "state_transitions", (kind.entity_type, kind.from_state, kind.to_state), 1
    yield "entity_state", (kind.entity_type, kind.to_state), 1
    if kind.from_state:
        yield "entity_state", (kind.entity_type, kind.from_state), -1
    if (more := _OF_MACHINE.get(kind.entity_type)) is not None:
        yield from more(kind)


_ROLLBACKS: Final[Mapping[str, str]] = {
    EventType.ROLLBACK: "landed",
    EventType.ROLLBACK_REFUSED: "refused",
}


def _of_task(kind: EventKind) -> Iterator[tuple[str, Labels, int]]:
    if kind.to_state == TaskState.RETRYING:
        yield "task_retries", (kind.trigger,), 1


def _of_workstream(kind: EventKind) -> Iterator[tuple[str, Labels, int]]:
    if (result := _CONCLUSIONS.get(kind.to_state)) is not None:
        yield "workstream_conclusions", (result, kind.reason), 1


_CONCLUSIONS: Final[Mapping[str, str]] = {
    WorkstreamState.COMPLETED: "landed",
    WorkstreamState.FAILED: "failed",
    WorkstreamState.CANCELLED: "cancelled",
    WorkstreamState.SKIPPED: "skipped",
}


def _of_patch(kind: EventKind) -> Iterator[tuple[str, Labels, int]]:
    match kind.to_state:
        case PatchState.APPLIED:
            yield "patches_applied", (), 1
        case PatchState.COMMITTED:
            yield "patches_landed", (), 1
        case PatchState.QUARANTINED:
            yield "patches_quarantined", (kind.reason,), 1
            if kind.reason == ReasonCode.BASE_RED:
                yield "false_blame_undone", ("base_red",), 1


def _of_gate(kind: EventKind) -> Iterator[tuple[str, Labels, int]]:
    if kind.to_state not in (GateState.PASSED, GateState.FAILED) or kind.reason == ReasonCode.CANCELLED:
        return
    passed = kind.to_state == GateState.PASSED
    result = "passed" if passed else "lost" if kind.reason in NOT_RUN else "failed"
    yield "gate_runs", (kind.variant, result), 1
    if kind.mark == "flaky":
        yield "gate_flakes", (kind.gate,), 1
        yield "false_blame_undone", ("flake",), 1


def _of_breaker(kind: EventKind) -> Iterator[tuple[str, Labels, int]]:
    if kind.to_state == "OPEN":
        yield "circuit_breaker_openings", (kind.tool,), 1


_OF_MACHINE: Final[Mapping[str, Callable[[EventKind], Iterator[tuple[str, Labels, int]]]]] = {
    "workstream": _of_workstream,
    "task": _of_task,
    "patch_ledger": _of_patch,
    "test_gate": _of_gate,
    "circuit_breaker": _of_breaker,
}

_OF_STATE: Final[Mapping[tuple[str, str], str]] = {
    ("task", "queued"): "task_queue_duration_seconds",
    ("patch_ledger", "queued"): "patch_apply_duration_seconds",
    ("workstream", "validating"): "landing_queue_duration_seconds",
}
"""Histograms of the time in one state."""


def _of_measure(kind: MeasureKind) -> Iterator[tuple[str, Labels]]:
    """Return the histograms that a measure is part of, with its labels there."""
    match kind.measure:
        case Measure.STATE:
            yield "state_transition_duration_seconds", (kind.entity_type, kind.state)
            if (name := _OF_STATE.get((kind.entity_type, kind.state))) is not None:
                yield name, ()
            if (kind.entity_type, kind.state) == ("test_gate", GateState.RUNNING):
                yield "gate_duration_seconds", (kind.variant,)
        case Measure.WORK if kind.entity_type == "task":
            yield "task_duration_seconds", (kind.variant, kind.state)
        case Measure.WORK if kind.entity_type == "run":
            yield "run_duration_seconds", (kind.state,)
        case Measure.LIFE if (kind.entity_type, kind.state) == ("patch_ledger", PatchState.COMMITTED):
            yield "patch_landing_duration_seconds", ()
        case Measure.TOOL:
            yield "tool_run_duration_seconds", (kind.variant,)


def _of_sum(kind: MeasureKind, histogram: Histogram) -> Iterator[tuple[str, Labels, float]]:
    """Return the counters that a measure adds to: its sum, or its number."""
    match kind.measure:
        case Measure.TOOL:
            yield "tool_runs", (kind.tool, kind.variant), histogram.count
        case Measure.TOOL_COST:
            yield "tool_cost_dollars", (kind.tool,), histogram.total / MICROS
        case Measure.TOOL_TOKENS:
            yield "tool_tokens", (kind.tool,), histogram.total
        case Measure.REUSE:
            yield "gate_verdicts_reused", (kind.variant,), histogram.count
