"""The simulation of a plan: times from the record, or assumed and named as such."""

from pathlib import Path

import pytest

from maingate.db.schema.rollup_kinds import BOUNDS_MS, Histogram
from maingate.monitoring.recorded_work import RecordedWork
from maingate.plan.loader import LoadedPlan, load_plan
from maingate.queries.plan_simulation import (
    assumptions,
    simulation,
)

PLAN = """\
maingate: 1
gates: {unit: {run: "true"}, idle: {run: "true", on: []}}
tools: {x: {run: [x, "{prompt}"]}}
workstreams:
  a: {tasks: {made: {tool: x, prompt: p}, told: {command: "true", needs: [made]}}}
  b: {needs: [a], tasks: {t: {command: "true"}}}
"""


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedPlan:
    """Return the plan, loaded in a folder without a repository."""
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN)
    return load_plan(path, cwd=tmp_path, environ={"PATH": "/usr/bin:/bin"})


def test_without_a_record_all_is_assumed_and_said(loaded: LoadedPlan) -> None:
    """Each assumption is a sentence; a gate that never runs has none."""
    told = simulation(loaded, RecordedWork(), workers=[1])
    assert assumptions(told) == [
        "no record of tool x yet: 300 s assumed",
        "no record of command yet: 60 s assumed",
        "no record of gate unit yet: 60 s assumed",
        "no record of workstreams yet: 5% assumed to fail",
    ]
    assert told["critical_path"] == {"seconds": 600.0, "workstreams": ["a", "b"]}


@pytest.mark.parametrize(("scope", "seconds"), [(None, 300.0), ("src/**", 600.0)])
def test_tools_work_side_by_side_unless_their_scopes_overlap(
    tmp_path: Path, scope: str | None, seconds: float
) -> None:
    """Tasks that declare nothing wait for none; others for those before them."""
    task = f"{{tool: x, prompt: p{f', scope: [{scope}]' if scope else ''}}}"
    path = tmp_path / "plan.yaml"
    path.write_text(
        "maingate: 1\ntools: {x: {run: [x, '{prompt}']}}\n"
        f"workstreams: {{w: {{tasks: {{a: {task}, b: {task}}}}}}}\n"
    )
    plan = load_plan(path, cwd=tmp_path, environ={"PATH": "/usr/bin:/bin"})
    told = simulation(plan, RecordedWork(), workers=[2])
    assert told["critical_path"]["seconds"] == seconds
    assert {each["seconds"]["p50"] for each in told["estimates"]} == {seconds}


def test_the_record_takes_the_place_of_assumptions(loaded: LoadedPlan) -> None:
    """Percentiles are those of the roll-ups, and the rate is that of workstreams that ended."""
    minute = BOUNDS_MS.index(60_000)
    times = {key: Histogram(buckets={minute: 10}, total=0) for key in (("gate", "unit"), ("tool", "x"))}
    told = simulation(loaded, RecordedWork(times=times, failed=1, ended=8), workers=[1])
    assert assumptions(told) == ["no record of command yet: 60 s assumed"]
    assert told["times"][0] == {
        "kind": "tool",
        "name": "x",
        "p50": 45.0,
        "p90": 57.0,
        "count": 10,
        "is_assumed": False,
    }
    assert told["failure_rate"] == {"rate": 0.125, "source": "record", "failed": 1, "ended": 8}


def test_both_orders_stand_side_by_side_for_each_number_of_workers(loaded: LoadedPlan) -> None:
    """The present order is marked; without failures and on assumed times both are exact."""
    told = simulation(loaded, RecordedWork(), workers=[4, 1, 4], failure_rate=0.0)
    shown = [(each["workers"], each["order"], each["is_today"]) for each in told["estimates"]]
    assert shown == [
        (workers, order, order == "train") for workers in (1, 4) for order in ("one_at_a_time", "train")
    ]
    assert all(each["seconds"] == {"p50": 600.0, "p90": 600.0} for each in told["estimates"])
    assert "Runs use the train" in told["note"]


def test_the_setting_stands_beside_the_usual_numbers_of_workers(loaded: LoadedPlan) -> None:
    """Unless others are asked for."""
    told = simulation(loaded, RecordedWork())
    assert {each["workers"] for each in told["estimates"]} == {1, 2, 4, 8, loaded.settings.workers}
