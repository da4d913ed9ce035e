"""Alerts without Prometheus: the same rules, from the record, each told when it begins and when it ends."""

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from maingate.clock import ManualClock
from maingate.db.dao.history import events
from maingate.db.ledger.new_event import new_event
from maingate.db.rollups.recent import RecentCounts
from maingate.events import EventType, Severity
from maingate.monitoring.alert_follower import AlertFollower
from maingate.monitoring.alerts import (
    ABSENT,
    BY_NAME,
    MOST_LAG,
    RULES,
    AlertFigures,
    Exceeded,
    due,
    exceeded,
    firing,
)
from maingate.monitoring.checks.alerts import check_alerts
from maingate.monitoring.finding import HealthState
from maingate.queries.inbox.open_matters import inbox
from maingate.repository_context import RepositoryContext
from support.database_factories import NOW

RULES_FILE = Path(__file__).parents[2] / "deploy" / "prometheus" / "alerts.rules.yml"
RECORDING_FILE = RULES_FILE.with_name("recording.rules.yml")
UNITS = {"s": 1, "m": 60, "h": 3600}


def prometheus_rules() -> Mapping[str, Mapping[str, Any]]:
    """Return the rules for Prometheus by name."""
    groups = yaml.safe_load(RULES_FILE.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def expanded(expression: str) -> str:
    """Return an expression with the ratios that it names written out."""
    for group in yaml.safe_load(RECORDING_FILE.read_text())["groups"]:
        for rule in group["rules"]:
            expression = (
                expression.replace(rule["record"], f"({rule['expr']})")
                if ":ratio" in rule["record"]
                else expression
            )
    return expression


def seconds(text: str) -> timedelta:
    """Return a duration of Prometheus."""
    return timedelta(seconds=int(text[:-1]) * UNITS[text[-1]])


def number(text: str) -> float:
    """Return a number that is written as a product."""
    product = 1.0
    for factor in text.split("*"):
        product *= float(factor)
    return product


def test_each_rule_for_prometheus_has_one_here() -> None:
    """None is forgotten on either side."""
    assert prometheus_rules().keys() - ABSENT == BY_NAME.keys()
    assert prometheus_rules().keys() >= ABSENT


@pytest.mark.parametrize("name", list(BY_NAME))
def test_a_rule_is_that_of_prometheus(name: str) -> None:
    """Threshold, direction, window, least number, duration, severity and metrics are the same."""
    rule, other = BY_NAME[name], prometheus_rules()[name]
    assert rule.lasting == seconds(other.get("for", "0s"))
    assert str(rule.severity) == other["labels"]["severity"]
    compared = {
        (sign, number(value))
        for sign, value in re.findall(r"([<>]=?)\s*([0-9.]+(?: \* [0-9]+)*)(?!\))", other["expr"])
    }
    wanted = {("<" if rule.is_below else ">", rule.threshold)}
    wanted |= {(">=", float(rule.least))} if rule.least is not None else set()
    wanted |= {(">", float(MOST_LAG))} if name == "MaingateFollowerFails" else set()
    assert compared == wanted
    windows = set(re.findall(r"\[(\w+)\]", expanded(other["expr"])))
    assert {seconds(window) for window in windows} == ({rule.window} if rule.window else set())


def figures(**gauges: float) -> AlertFigures:
    """Return figures with some gauges, and nothing else."""
    nothing = RecentCounts(transitions={}, events={})
    windows = {rule.window: nothing for rule in RULES if rule.window is not None}
    return AlertFigures(gauges={name: {(): value} for name, value in gauges.items()}, recent=windows)


def test_a_rule_fires_beyond_its_threshold_and_not_at_it() -> None:
    """Twice the limit is not more than twice the limit."""
    assert exceeded(figures(stuck_overrun_ratio=2), {}, now=NOW) == {}
    assert list(exceeded(figures(stuck_overrun_ratio=2.1), {}, now=NOW)) == ["MaingateStuck"]
    assert exceeded(figures(queue_held_seconds=3600), {}, now=NOW) == {}
    assert list(exceeded(figures(queue_held_seconds=3601), {}, now=NOW)) == ["MaingateQueueHeld"]
    full = exceeded(figures(disk_free_bytes=31 << 20), {}, now=NOW)
    assert list(full) == ["MaingateDiskFull", "MaingateDiskLow"]
    assert exceeded(figures(follower_lag_rows=MOST_LAG), {}, now=NOW) == {}
    assert list(exceeded(figures(follower_lag_rows=MOST_LAG + 1), {}, now=NOW)) == ["MaingateFollowerFails"]


@given(beyond=st.lists(st.booleans(), max_size=40))
def test_a_rule_fires_once_it_has_lasted(beyond: list[bool]) -> None:
    """One evaluation below the threshold begins anew, whatever came before."""
    seen: dict[str, Exceeded] = {}
    lasted = 0
    for minute, is_beyond in enumerate(beyond):
        now = NOW + timedelta(minutes=minute)
        seen = exceeded(figures(runs_without_process=int(is_beyond)), seen, now=now)
        lasted = lasted + 1 if is_beyond else 0
        assert ("MaingateRunWithoutProcess" in due(seen, now=now)) == (lasted > 5)


def override(context: RepositoryContext, times: int) -> None:
    """Record decisions by hand."""
    with context.database.write() as conn:
        for _ in range(times):
            at = context.clock.now()
            events.record(conn, new_event(EventType.MANUAL_OVERRIDE, None, at, severity=Severity.WARNING))


def told(context: RepositoryContext) -> list[tuple[str, str | None]]:
    """Return the events about alerts."""
    with context.database.read() as conn:
        found = [*events.query(conn, type="alert_fired"), *events.query(conn, type="alert_resolved")]
    return [(event.event_type, event.entity_id) for event in found]


def test_an_alert_is_told_once_and_ends(context: RepositoryContext, clock: ManualClock) -> None:
    """By whichever process; health and the inbox show it meanwhile."""
    follower, other = AlertFollower(context), AlertFollower(context)
    override(context, 5)
    follower.step()
    assert told(context) == []
    assert check_alerts(context).state is HealthState.OK
    override(context, 1)
    for each in (follower, other, follower):
        each.step()
    assert told(context) == [("alert_fired", "MaingateManyOverrides")]
    trouble = check_alerts(context).first
    assert trouble is not None
    assert trouble.reason == "MaingateManyOverrides: 6 decisions by hand within 10 minutes"
    assert [str(item.code) for item in inbox(context)] == ["alert"]
    clock.current += timedelta(minutes=11)
    for each in (other, follower):
        each.step()
    assert told(context)[1:] == [("alert_resolved", "MaingateManyOverrides")]
    assert check_alerts(context).state is HealthState.OK
    assert inbox(context) == []


def test_a_process_that_starts_keeps_what_fires(
    context: RepositoryContext, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also a rule that has to last: it is beyond its threshold, so it goes on firing."""
    gauges = {"value": 1}
    monkeypatch.setattr(
        "maingate.monitoring.alert_follower.figures_of",
        lambda *_: figures(runs_without_process=gauges["value"]),
    )
    first = AlertFollower(context)
    first.step()
    clock.current += timedelta(minutes=5)
    first.step()
    AlertFollower(context).step()
    assert told(context) == [("alert_fired", "MaingateRunWithoutProcess")]
    gauges["value"] = 0
    AlertFollower(context).step()
    with context.database.read() as conn:
        assert firing(conn) == []
