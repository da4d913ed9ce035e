"""Rules, alerts, runbooks and the dashboard name metrics that exist, and each alert is tested both ways.

`.ci/run prometheus` runs the tests of the rules themselves with promtool.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from maingate.monitoring.metric_table import METRICS, REPOSITORY, Kind, Metric

ROOT: Final = Path(__file__).parents[2]
PROMETHEUS: Final = ROOT / "deploy" / "prometheus"
DASHBOARD: Final = json.loads((ROOT / "deploy" / "grafana" / "maingate.json").read_text())
RUNBOOKS: Final = (ROOT / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
TARGET_LABELS: Final = {"job", "instance", "le", REPOSITORY}

_NAME: Final = re.compile(r"\b(?:maingate|process)[_:][a-z0-9_:]*[a-z0-9]")
_SELECTED: Final = re.compile(r"(\bmaingate_[a-z_]+)\{([^}]*)\}")
_LABEL: Final = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)\s*\"([^\"]*)\"")


def rules(name: str) -> list[Mapping[str, Any]]:
    """Return the rules of a file."""
    groups = yaml.safe_load((PROMETHEUS / f"{name}.rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS: Final = {rule["alert"]: rule for rule in rules("alerts")}
RECORDED: Final = {rule["record"] for rule in rules("recording")}
EXPRESSIONS: Final = {
    **{rule["record"]: rule["expr"] for rule in rules("recording")},
    **{name: rule["expr"] for name, rule in ALERTS.items()},
}


def panels() -> Iterator[tuple[str, str]]:
    """Return the expressions of the dashboard, each with the title of its panel."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def samples() -> dict[str, Metric]:
    """Return the names that samples have, with their metrics."""
    found = {}
    for metric in METRICS.values():
        endings = ("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",)
        found.update({f"{metric.full_name}{ending}": metric for ending in endings})
    return found


def unknown_in(expression: str) -> set[str]:
    """Return the names in an expression that neither a metric nor a recording rule has."""
    named = set(_NAME.findall(expression))
    return {name for name in named if name not in samples() and name not in RECORDED} - {
        "process_resident_memory_bytes"
    }


def wrong_labels_in(expression: str) -> list[tuple[str, str]]:
    """Return the labels by which an expression selects and that the metric does not have."""
    return [
        (name, label)
        for name, selected in _SELECTED.findall(expression)
        if name in samples()
        for label, _ in _LABEL.findall(selected)
        if label not in {*samples()[name].labels, *TARGET_LABELS}
    ]


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_a_rule_names_metrics_and_labels_that_exist(name: str) -> None:
    """A metric that was renamed would silence its alert for ever."""
    assert unknown_in(EXPRESSIONS[name]) == set()
    assert wrong_labels_in(EXPRESSIONS[name]) == []


@pytest.mark.parametrize(("title", "expression"), list(panels()), ids=lambda text: text[:30])
def test_a_panel_names_metrics_and_labels_that_exist(title: str, expression: str) -> None:
    """And is drawn for the chosen repositories."""
    assert unknown_in(expression) == set(), title
    assert wrong_labels_in(expression) == [], title
    assert "$job" in expression


def test_the_check_of_names_can_fail() -> None:
    """A name with a typing error, and a label of another metric, are found."""
    assert unknown_in("increase(maingate_patches_landet_total[1h])") == {"maingate_patches_landet_total"}
    assert wrong_labels_in('maingate_workers{state="busy"}') == [("maingate_workers", "state")]
    assert unknown_in("maingate_gate_duration_seconds") == {"maingate_gate_duration_seconds"}


def test_every_metric_is_on_the_dashboard_or_in_a_rule() -> None:
    """One that is shown nowhere is not worth its series; those of details are named here."""
    shown = " ".join([*EXPRESSIONS.values(), *(expression for _, expression in panels())])
    named = set(_NAME.findall(shown))
    metrics = {samples()[name].name for name in named if name in samples()}
    detail = {
        "build",
        "active_workers",
        "patches_applied",
        "patch_apply_duration_seconds",
        "run_duration_seconds",
        "state_transition_duration_seconds",
        "tool_run_duration_seconds",
    }
    assert set(METRICS) - metrics == detail


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_a_severity_and_a_runbook(name: str) -> None:
    """The link leads to a heading, and the runbook says how to see it, or what to do."""
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert (ROOT / page).is_file()
    headings = re.findall(r"^### (\w+)$", RUNBOOKS, re.MULTILINE)
    assert anchor in {heading.lower() for heading in headings}
    book = RUNBOOKS.split(f"### {name}\n")[1].split("\n### ")[0]
    assert book.strip().startswith(rule["labels"]["severity"].capitalize())
    assert "`maingate " in book or "](#maingate" in book


def test_every_runbook_is_of_an_alert() -> None:
    """A runbook without an alert is never read."""
    chapter = RUNBOOKS.split("\n## Alerts\n")[1].split("\n## ")[0]
    assert re.findall(r"^### (\w+)$", chapter, re.MULTILINE) == list(ALERTS)


def test_every_alert_is_tested_both_ways() -> None:
    """It fires when it should, and a case close to that does not fire."""
    tests = yaml.safe_load((PROMETHEUS / "tests" / "alerts.test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    fires = {case["alertname"] for case in cases if case["exp_alerts"]}
    is_quiet = {case["alertname"] for case in cases if not case["exp_alerts"]}
    assert fires == is_quiet == set(ALERTS)


@pytest.mark.parametrize(
    ("alert", "severity"),
    [
        ("MaingateManyFailures", "critical"),
        ("MaingateManyOverrides", "critical"),
        ("MaingateStuck", "critical"),
        ("MaingateBreakerOpen", "critical"),
        ("MaingateRollback", "critical"),
        ("MaingateManyRetries", "warning"),
        ("MaingateWorkerUnresponsive", "warning"),
        ("MaingateManyQuarantines", "warning"),
        ("MaingateTasksBlocked", "warning"),
    ],
)
def test_the_specified_alerts_are_there(alert: str, severity: str) -> None:
    """docs/SPECIFICATION.md §7.4 lists them, in this order."""
    assert ALERTS[alert]["labels"]["severity"] == severity


def test_the_panels_of_the_dashboard_have_titles_and_places() -> None:
    """No two have the same id, and none lies over another."""
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells
