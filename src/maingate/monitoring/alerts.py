"""Alerts without Prometheus: the rules of ``deploy/prometheus/alerts.rules.yml``, evaluated from the record.

A rule is a threshold on figures that are read at one moment: gauges, which are those of the metrics, and
numbers of events within a time. A test holds every rule against the Prometheus rule of its name. The
beginning and the end of an alert are events of the record: any process knows which fire, after a restart too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from maingate.db.dao.history import events
from maingate.db.ledger.new_event import EventSubject, new_event
from maingate.db.sql.connection import Connection
from maingate.events import Event, EventType, Severity, iso_millis
from maingate.state.steps.step import Context

if TYPE_CHECKING:
    from maingate.db.rollups.recent import RecentCounts

ALERT: Final = "alert"
"""The kind of entity that events about alerts are of; its id is the name of the rule."""

FAILING_LONG: Final = timedelta(minutes=15)
"""Time after which a receiver of webhooks that takes nothing is a matter for a person."""

MOST_LAG: Final = 50_000
"""Rows of the ledger that a follower may lack."""

_COUNTED: Final = ("run", "workstream", "task", "patch_ledger", "test_gate")
"""The machines whose transitions are counted as work."""


@dataclass(frozen=True, kw_only=True)
class AlertFigures:
    """The figures that rules are about, of one moment.

    Args:
        gauges: The values of gauges by metric and labels.
        recent: The numbers of events in the windows of the rules.
        blocked: The number of blocked tasks.
    """

    gauges: Mapping[str, Mapping[tuple[str, ...], float]]
    recent: "Mapping[timedelta, RecentCounts]"
    blocked: int = 0

    def highest(self, metric: str, label: str | None = None) -> float:
        """Return the highest value of a gauge, or that with a label; 0 without any."""
        values = self.gauges.get(metric, {}).items()
        return max((number for labels, number in values if label is None or label in labels), default=0)

    def lowest(self, metric: str) -> float | None:
        """Return the lowest value of a gauge; None without any."""
        return min(self.gauges.get(metric, {}).values(), default=None)


@dataclass(frozen=True, kw_only=True)
class AlertRule:
    """A rule: it fires while its value has been beyond the threshold for some time.

    Args:
        name: Its name, that of the rule for Prometheus.
        severity: The attention that it deserves.
        threshold: The value beyond which it fires.
        value: Returns its value; None where there is none.
        text: The sentence for people; ``{value}`` in it is the value.
        window: The time in which events are counted; None for a gauge.
        least: The events that a ratio needs.
        lasting: The time for which the value has to be beyond the threshold.
        is_below: Whether it fires below the threshold instead of above.
        command: The command that shows more of it, without the program.
    """

    name: str
    severity: Severity
    threshold: float
    value: "Callable[[AlertFigures, AlertRule], float | None]"
    text: str
    window: timedelta | None = None
    least: int | None = None
    lasting: timedelta = timedelta()
    is_below: bool = False
    command: tuple[str, ...] = ("inbox",)

    def exceeded(self, figures: AlertFigures) -> float | None:
        """Return the value if it is beyond the threshold; None otherwise."""
        value = self.value(figures, self)
        if value is None:
            return None
        is_beyond = value < self.threshold if self.is_below else value > self.threshold
        return value if is_beyond else None

    def recent(self, figures: AlertFigures) -> "RecentCounts":
        """Return the numbers of events in its window."""
        return figures.recent[self.window or timedelta()]


def _gauge(metric: str, label: str | None = None) -> "Callable[[AlertFigures, AlertRule], float | None]":
    return lambda figures, _: figures.highest(metric, label)


def _events(kind: EventType) -> "Callable[[AlertFigures, AlertRule], float | None]":
    return lambda figures, rule: rule.recent(figures).events.get(str(kind), 0)


def _failures(figures: AlertFigures, rule: AlertRule) -> float | None:
    found = {key: number for key, number in rule.recent(figures).transitions.items() if key[0] in _COUNTED}
    failed = sum(number for (_, state), number in found.items() if state in ("failed", "FAILED"))
    return _ratio(failed, sum(found.values()), rule.least)


def _retries(figures: AlertFigures, rule: AlertRule) -> float | None:
    found = rule.recent(figures).transitions
    return _ratio(found.get(("task", "retrying"), 0), found.get(("task", "running"), 0), rule.least)


def _ratio(part: int, whole: int, least: int | None) -> float | None:
    return part / whole if whole and whole >= (least or 0) else None


def _quarantines(figures: AlertFigures, rule: AlertRule) -> float | None:
    return rule.recent(figures).transitions.get(("patch_ledger", "quarantined"), 0)


def _mute_workers(figures: AlertFigures, _: AlertRule) -> float | None:
    silent = figures.highest("stuck_entities", "worker")
    return max(figures.highest("workers", "unresponsive"), silent)


def _followers(figures: AlertFigures, _: AlertRule) -> float | None:
    """Return the failures of a follower, or how many times the rows that it may lack it lacks."""
    return max(figures.highest("follower_failures"), figures.highest("follower_lag_rows") // (MOST_LAG + 1))


_MIB: Final = 1024 * 1024

RULES: Final = (
    AlertRule(
        name="MaingateManyFailures",
        severity=Severity.CRITICAL,
        threshold=0.1,
        value=_failures,
        window=timedelta(minutes=5),
        least=50,
        text="{value:.0%} of the transitions failed within 5 minutes",
        command=("events", "since:10m", "severity:error,critical"),
    ),
    AlertRule(
        name="MaingateManyOverrides",
        severity=Severity.CRITICAL,
        threshold=5,
        value=_events(EventType.MANUAL_OVERRIDE),
        window=timedelta(minutes=10),
        text="{value:.0f} decisions by hand within 10 minutes",
        command=("events", "since:1h", "type:override"),
    ),
    AlertRule(
        name="MaingateStuck",
        severity=Severity.CRITICAL,
        threshold=2,
        value=_gauge("stuck_overrun_ratio"),
        text="an entity makes no progress, for {value:.1f} times its limit",
    ),
    AlertRule(
        name="MaingateBreakerOpen",
        severity=Severity.CRITICAL,
        threshold=0,
        value=_gauge("circuit_breaker_open"),
        text="a tool is paused (circuit breaker open)",
        command=("breaker", "list"),
    ),
    AlertRule(
        name="MaingateRollback",
        severity=Severity.CRITICAL,
        threshold=0,
        value=_events(EventType.ROLLBACK),
        window=timedelta(minutes=10),
        text="a landing was rolled back",
        command=("events", "since:1h", "type:rollback"),
    ),
    AlertRule(
        name="MaingateManyRetries",
        severity=Severity.WARNING,
        threshold=0.2,
        value=_retries,
        window=timedelta(minutes=15),
        least=10,
        text="{value:.0%} of the attempts are followed by another",
        command=("events", "since:1h", "type:task", "state:retrying"),
    ),
    AlertRule(
        name="MaingateWorkerUnresponsive",
        severity=Severity.WARNING,
        threshold=0,
        value=_mute_workers,
        text="{value:.0f} workers do not answer",
        command=("workers",),
    ),
    AlertRule(
        name="MaingateManyQuarantines",
        severity=Severity.WARNING,
        threshold=3,
        value=_quarantines,
        window=timedelta(hours=1),
        text="{value:.0f} patches were refused within an hour",
        command=("quarantine",),
    ),
    AlertRule(
        name="MaingateTasksBlocked",
        severity=Severity.WARNING,
        threshold=5,
        value=lambda figures, _: figures.blocked,
        lasting=timedelta(minutes=5),
        text="{value:.0f} tasks are blocked",
        command=("status",),
    ),
    AlertRule(
        name="MaingateDiskFull",
        severity=Severity.CRITICAL,
        threshold=32 * _MIB,
        value=lambda figures, _: figures.lowest("disk_free_bytes"),
        is_below=True,
        text="a disk has {value:.0f} bytes left",
        command=("doctor",),
    ),
    AlertRule(
        name="MaingateDiskLow",
        severity=Severity.WARNING,
        threshold=1024 * _MIB,
        value=lambda figures, _: figures.lowest("disk_free_bytes"),
        is_below=True,
        lasting=timedelta(minutes=5),
        text="a disk has {value:.0f} bytes left",
        command=("doctor",),
    ),
    AlertRule(
        name="MaingateRunWithoutProcess",
        severity=Severity.WARNING,
        threshold=0,
        value=_gauge("runs_without_process"),
        lasting=timedelta(minutes=5),
        text="{value:.0f} runs have no process",
    ),
    AlertRule(
        name="MaingateQueueOld",
        severity=Severity.WARNING,
        threshold=3600,
        value=_gauge("queue_oldest_seconds"),
        text="the oldest in a queue has waited {value:.0f} s",
        command=("status",),
    ),
    AlertRule(
        name="MaingateQueueHeld",
        severity=Severity.WARNING,
        threshold=3600,
        value=_gauge("queue_held_seconds"),
        text="a queue has been paused or drained for {value:.0f} s",
        command=("queue",),
    ),
    AlertRule(
        name="MaingateFollowerFails",
        severity=Severity.WARNING,
        threshold=0,
        value=_followers,
        lasting=timedelta(minutes=10),
        text="a follower of the ledger fails or does not keep up",
        command=("health",),
    ),
    AlertRule(
        name="MaingateWebhookFails",
        severity=Severity.WARNING,
        threshold=FAILING_LONG.total_seconds(),
        value=_gauge("webhook_failing_seconds"),
        text="a receiver of webhooks has taken no event for {value:.0f} s",
        command=("webhook", "list"),
    ),
    AlertRule(
        name="MaingateBudgetNearlyUsed",
        severity=Severity.WARNING,
        threshold=0.8,
        value=_gauge("budget_used_ratio"),
        text="a run has used {value:.0%} of its budget",
    ),
)
"""The rules. `MaingateDown` and `MaingateRecordDown` are Prometheus' alone: the record cannot tell them."""

ABSENT: Final = frozenset({"MaingateDown", "MaingateRecordDown"})
"""The rules for Prometheus that cannot be evaluated from the record."""

BY_NAME: Final[Mapping[str, AlertRule]] = MappingProxyType({rule.name: rule for rule in RULES})


@dataclass(frozen=True, kw_only=True)
class Exceeded:
    """A rule whose value is beyond its threshold.

    Args:
        since: The time since when this process sees it so.
        text: The sentence for people.
    """

    since: datetime
    text: str


def exceeded(figures: AlertFigures, before: Mapping[str, Exceeded], *, now: datetime) -> dict[str, Exceeded]:
    """Return the rules whose values are beyond their thresholds, by their names. Pure.

    Args:
        figures: The figures of now.
        before: The same of the evaluation before.
        now: The time.
    """
    found: dict[str, Exceeded] = {}
    for rule in RULES:
        value = rule.exceeded(figures)
        if value is not None:
            since = before[rule.name].since if rule.name in before else now
            found[rule.name] = Exceeded(since=since, text=rule.text.format(value=value))
    return found


def due(found: Mapping[str, Exceeded], *, now: datetime) -> dict[str, str]:
    """Return the sentences of the rules that have been beyond their thresholds for long enough. Pure."""
    return {name: one.text for name, one in found.items() if now - one.since >= BY_NAME[name].lasting}


@dataclass(frozen=True, kw_only=True)
class FiringAlert:
    """An alert that fires.

    Args:
        rule: Its rule.
        since: The time at which it began to.
        text: The sentence for people, of that time.
    """

    rule: AlertRule
    since: datetime
    text: str

    def as_json(self) -> dict[str, Any]:
        """Return the public JSON form."""
        return {
            "name": self.rule.name,
            "severity": str(self.rule.severity),
            "since": iso_millis(self.since),
            "text": self.text,
        }


def firing(conn: Connection) -> list[FiringAlert]:
    """Read the alerts that fire, the heaviest first, in the order of the rules."""
    newest = events.newest_of(conn, BY_NAME)
    alerts = [
        FiringAlert(rule=rule, since=event.timestamp, text=str((event.reason or {}).get("message")))
        for rule in RULES
        if (event := newest.get(rule.name)) is not None and event.event_type == EventType.ALERT_FIRED
    ]
    return sorted(alerts, key=lambda one: one.rule.severity is not Severity.CRITICAL)


def record(conn: Connection, wanted: Mapping[str, str], *, at: datetime) -> list[Event]:
    """Record the alerts that begin to fire and those that end; return the events.

    Args:
        conn: A writing transaction.
        wanted: The sentences of the alerts that are to fire, by their names.
        at: The time.
    """
    fires = {one.rule.name for one in firing(conn)}
    made = [
        _event(EventType.ALERT_FIRED, BY_NAME[name].severity, name, wanted[name], at)
        for name in wanted
        if name not in fires
    ]
    made += [
        _event(EventType.ALERT_RESOLVED, Severity.INFO, name, f"{name} fires no more", at)
        for name in BY_NAME
        if name in fires and name not in wanted
    ]
    for event in made:
        events.record(conn, event)
    return made


def _event(kind: EventType, severity: Severity, name: str, text: str, at: datetime) -> Event:
    subject = EventSubject(machine=ALERT, id=name, context=Context())
    return new_event(kind, subject, at, severity=severity, reason=text)
