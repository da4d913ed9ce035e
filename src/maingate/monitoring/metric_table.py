"""The table of metrics: each with its name, type, labels, help, and the most label sets that it may have.

Labels have few values by construction: machines, states, codes of reasons and types of gates are lists of the
program; names that people give (gates, tools, operators) are kept apart up to a limit by the roll-ups
(`maingate.db.schema.rollup_kinds`). No label is an id. Each metric has the label ``repository`` besides, the
name of the repository in its server, or of all that share the record.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from maingate.db.schema.rollup_kinds import BOUNDS_MS, MOST_NAMES
from maingate.events import EventType, Severity
from maingate.plan.choices import GateType, TaskKind
from maingate.reasons import ReasonCode
from maingate.state.machines import MACHINES
from maingate.state.queue_control import QueueOrder

PREFIX: Final = "maingate_"
REPOSITORY: Final = "repository"
"""The label that every metric has."""

BUDGET: Final = 4_000
"""Most time series that one record may have; `BUDGET` and the bound of each metric are tested."""

BOUNDS: Final = (
    *(10, 50, 100, 500, 1_000, 5_000, 10_000, 30_000),
    *(60_000, 300_000, 1_800_000, 3_600_000, 14_400_000, 86_400_000),
)
"""Upper bounds of the buckets of histograms, in milliseconds: some of those of the roll-ups."""

MOST_FOLLOWERS: Final = 20
"""Most followers of the ledger that are shown."""

MOST_RECEIVERS: Final = 16
"""Most names of receivers of webhooks that are shown; repositories that share a record may have more."""


class Kind(StrEnum):
    """The types of metrics."""

    COUNTER = "counter"
    """Counts since the record began; never goes down."""
    GAUGE = "gauge"
    """A value at the time of the scrape."""
    HISTOGRAM = "histogram"
    """Durations since the record began, by bucket."""
    INFO = "info"
    """Facts about the program."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric.

    Args:
        name: Its name without the prefix; that of a counter without ``_total``.
        kind: Its type.
        labels: Its labels.
        help: A sentence for people: the thing that it counts or measures.
        most: The most sets of labels that it may have in one record.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...] = ()
    help: str
    most: int = 1

    @property
    def full_name(self) -> str:
        """The name under which its samples are found: that of a histogram without its endings."""
        ending = {Kind.COUNTER: "_total", Kind.INFO: "_info"}.get(self.kind, "")
        return f"{PREFIX}{self.name}{ending}"

    @property
    def series(self) -> int:
        """The most time series that it may have in one record."""
        return self.most * (len(BOUNDS) + 3 if self.kind is Kind.HISTOGRAM else 1)


CONCLUSIONS: Final = ("landed", "failed", "cancelled", "skipped")
"""The ways in which workstreams end."""

PRIORITIES: Final = ("high", "normal", "low")
"""Priorities above that of a plan that states none, that one, and those below."""

_NAMES: Final = MOST_NAMES + 1
_STATES: Final = sum(len(machine.states) for machine in MACHINES.values())
_LEFT: Final = sum(bool(ways) for machine in MACHINES.values() for ways in machine.table.values())
_PAIRS: Final = len(MACHINES) + sum(
    len({to for to, _ in ways}) for machine in MACHINES.values() for ways in machine.table.values()
)
_TYPES: Final = len(GateType)
_OUTCOMES: Final = 5


def _counters() -> list[Metric]:
    rows: list[tuple[str, tuple[str, ...], int, str]] = [
        (
            "state_transitions",
            ("entity_type", "from_state", "to_state"),
            _PAIRS,
            "Changes of state; a creation has an empty from_state.",
        ),
        (
            "events",
            ("event_type", "severity"),
            len(EventType) * len(Severity),
            "Events that are no change of state.",
        ),
        (
            "manual_state_overrides",
            ("entity_type", "operator"),
            len(MACHINES) * _NAMES,
            "Decisions by hand.",
        ),
        ("rollbacks", ("result",), 2, "Rollbacks that landed, and that were refused."),
        ("patches_applied", (), 1, "Patches that were applied on their workstream."),
        ("patches_landed", (), 1, "Patches that landed on their target."),
        ("patches_quarantined", ("reason",), len(ReasonCode) + 1, "Patches that were refused, by code."),
        (
            "workstream_conclusions",
            ("result", "reason"),
            len(CONCLUSIONS) * (len(ReasonCode) + 1),
            "Workstreams that have landed or ended without landing, by the code of the reason.",
        ),
        ("task_retries", ("trigger",), 3, "Attempts that failed and are followed by another."),
        ("gate_runs", ("type", "result"), _TYPES * 3, "Gates that were run: passed, failed, or lost."),
        ("gate_flakes", ("gate",), _NAMES, "Gates that passed only on another execution."),
        ("gate_verdicts_reused", ("type",), _TYPES, "Verdicts that were known, so that no gate was run."),
        (
            "false_blame_undone",
            ("cause",),
            2,
            "Failures of gates that blamed no patch: a second execution passed, or the base fails too.",
        ),
        ("tool_runs", ("tool", "outcome"), _NAMES * _OUTCOMES, "Attempts of tools, by outcome."),
        ("tool_cost_dollars", ("tool",), _NAMES, "Cost of tools in US dollars, where they report it."),
        ("tool_tokens", ("tool",), _NAMES, "Tokens that tools read and wrote, where they report them."),
        ("circuit_breaker_openings", ("tool",), _NAMES, "Pauses of tools by their circuit breakers."),
        (
            "webhook_deliveries",
            ("receiver", "outcome"),
            2 * MOST_RECEIVERS,
            "Attempts to deliver an event to a receiver of webhooks: delivered or failed.",
        ),
    ]
    return [
        Metric(name=name, kind=Kind.COUNTER, labels=labels, most=most, help=text)
        for name, labels, most, text in rows
    ]


def _histograms() -> list[Metric]:
    rows: list[tuple[str, tuple[str, ...], int, str]] = [
        ("state_transition_duration_seconds", ("entity_type", "state"), _LEFT, "Time spent in a state."),
        (
            "task_duration_seconds",
            ("kind", "result"),
            len(TaskKind) * 3,
            "Time from the start of a task to its end.",
        ),
        ("task_queue_duration_seconds", (), 1, "Time that tasks waited for a worker."),
        ("gate_duration_seconds", ("type",), _TYPES, "Time that gates ran."),
        ("patch_apply_duration_seconds", (), 1, "Time from the policy's acceptance to the application."),
        ("patch_landing_duration_seconds", (), 1, "Time from the arrival of a patch to its landing."),
        ("landing_queue_duration_seconds", (), 1, "Time that finished workstreams waited to land."),
        ("run_duration_seconds", ("result",), 3, "Time from the start of a run to its end."),
        ("tool_run_duration_seconds", ("outcome",), _OUTCOMES, "Time of an attempt of a tool."),
    ]
    return [
        Metric(name=name, kind=Kind.HISTOGRAM, labels=labels, most=most, help=text)
        for name, labels, most, text in rows
    ]


def _gauges() -> list[Metric]:
    rows: list[tuple[str, tuple[str, ...], int, str]] = [
        ("record_up", (), 1, "Whether the record could be read; without it no other metric of it is there."),
        ("entity_state", ("entity_type", "state"), _STATES, "Entities in a state."),
        ("queue_depth", ("queue",), 3, "Tasks and gates that wait for a worker, workstreams to land."),
        ("queue_oldest_seconds", ("queue",), 3, "Time that the oldest of them has waited."),
        (
            "landing_queue_depth",
            ("priority",),
            3,
            "Finished workstreams that wait to land: high, normal, low.",
        ),
        ("landing_queue_oldest_seconds", ("priority",), 3, "Time that the oldest of them has waited."),
        ("queue_orders", ("order",), len(QueueOrder), "Queues that are paused, drained or frozen now."),
        ("queue_held_seconds", (), 1, "Time since the oldest pause or drain of a queue that is in force."),
        ("unfinished_runs", (), 1, "Runs that have not ended."),
        ("runs_without_process", (), 1, "Runs that have not ended and whose target no process holds."),
        ("workers", ("condition",), 4, "Workers: busy, idle, unresponsive, or gone without having said so."),
        ("active_workers", (), 1, "Workers that have a job."),
        ("worker_oldest_heartbeat_seconds", (), 1, "Time since the heartbeat of the most silent worker."),
        ("breakers_open", (), 1, "Tools that are paused by their circuit breakers."),
        ("circuit_breaker_open", ("tool",), _NAMES, "Whether a tool is paused by its circuit breaker."),
        ("stuck_entities", ("entity_type",), 3, "Entities without progress for longer than their limit."),
        (
            "stuck_overrun_ratio",
            ("entity_type",),
            3,
            "Longest time without progress, as a multiple of its limit.",
        ),
        ("budget_used_ratio", (), 1, "Largest share of its budget that a run under way has used."),
        ("ledger_rows", (), 1, "Rows of the ledger."),
        ("follower_lag_rows", ("follower",), MOST_FOLLOWERS, "Rows of the ledger that a follower lacks."),
        ("follower_failures", ("follower",), MOST_FOLLOWERS, "Failures of a follower since its progress."),
        (
            "webhook_lag_rows",
            ("receiver",),
            MOST_RECEIVERS,
            "Rows of the ledger that were not looked at yet for a receiver of webhooks.",
        ),
        (
            "webhook_failing_seconds",
            ("receiver",),
            MOST_RECEIVERS,
            "Time for which a receiver of webhooks has taken no event that it was sent; 0 when it is well.",
        ),
        ("disk_free_bytes", ("folder",), 2, "Bytes left on the disk of the state folder and the worktrees."),
        ("scrape_seconds", (), 1, "Time that reading the record for this scrape took."),
    ]
    return [
        Metric(name=name, kind=Kind.GAUGE, labels=labels, most=most, help=text)
        for name, labels, most, text in rows
    ]


_BUILD: Final = Metric(
    name="build",
    kind=Kind.INFO,
    labels=("version", "python", "git", "schema"),
    help="Versions of the program and of what it works with.",
)

METRICS: Final[Mapping[str, Metric]] = {
    metric.name: metric for metric in (*_counters(), *_histograms(), *_gauges(), _BUILD)
}
"""Every metric, by its name without the prefix."""

assert set(BOUNDS) <= set(BOUNDS_MS)  # noqa: S101 - a bucket cannot be split


def as_markdown() -> str:
    """Return the table of all metrics for the documentation."""
    lines = ["| metric | type | labels | |", "|---|---|---|---|"]
    for metric in METRICS.values():
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "-"
        lines.append(f"| `{metric.full_name}` | {metric.kind} | {labels} | {metric.help} |")
    return "\n".join(lines) + "\n"
