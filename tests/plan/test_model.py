"""The plan as values."""

from typing import Any

import pytest
from pydantic import ValidationError

from maingate.plan.choices import GateType, LandingStyle, Proof, TaskKind
from maingate.plan.model import Plan


def plan(workstreams: dict[str, Any], **head: Any) -> Plan:
    """Make a plan from its workstreams."""
    return Plan.model_validate({"maingate": 1, "workstreams": workstreams, **head})


ONE = {"w": {"tasks": {"t": {"patch": "a"}}}}


def test_defaults() -> None:
    """Values that a plan does not state are as documented."""
    made = plan(ONE, gates={"g": {"run": "x"}})
    gate, task = made.gates["g"], made.workstreams["w"].tasks["t"]
    assert (made.landing, made.promise, gate.type, gate.expect) == (
        LandingStyle.MERGE,
        Proof.REF,
        GateType.UNIT,
        (0,),
    )
    assert (task.kind, task.max_retries, task.critical, task.scope) == (TaskKind.PATCH, 3, True, None)


def test_gates_by_level() -> None:
    """Tasks and workstreams that list no gates get those whose `on` has their level."""
    made = plan(
        ONE,
        gates={"a": {"run": "x", "on": ["task"]}, "b": {"run": "x", "on": ["landing"]}, "c": {"run": "x"}},
    )
    assert (made.task_gates("w", "t"), made.landing_gates("w")) == (["a", "c"], ["b", "c"])


def test_gates_bring_what_they_need() -> None:
    """A listed gate brings what it needs, each after its needs; an empty list is none."""
    gates = {
        "unit": {"run": "x", "needs": ["lint"]},
        "lint": {"run": "x", "needs": ["fmt"]},
        "fmt": {"run": "x"},
    }
    made = plan({"w": {"gates": [], "tasks": {"t": {"patch": "a", "gates": ["unit"]}}}}, gates=gates)
    assert (made.task_gates("w", "t"), made.landing_gates("w")) == (["fmt", "lint", "unit"], [])


def test_workstreams_come_by_needs_then_priority_then_place() -> None:
    """Needs come first, then higher priority, then the listed order."""
    tasks = {"t": {"patch": "a"}}
    made = plan(
        {
            "late": {"tasks": tasks, "needs": ["urgent"], "priority": 9},
            "plain": {"tasks": tasks},
            "urgent": {"tasks": tasks, "priority": 5},
        }
    )
    assert made.workstream_order() == ["urgent", "late", "plain"]


def test_tasks_come_as_listed_unless_needs_demand() -> None:
    """A task comes after those it needs, else where it is listed."""
    tasks = {"b": {"patch": "a", "needs": ["c"]}, "a": {"patch": "a"}, "c": {"patch": "a"}}
    assert plan({"w": {"tasks": tasks}}).workstreams["w"].task_order() == ["a", "c", "b"]


def test_policies_are_stacked_outermost_first() -> None:
    """Plan, workstream and task each add a layer."""
    workstreams = {
        "w": {"policy": {"max_files": 2}, "tasks": {"t": {"patch": "a", "policy": {"max_files": 1}}}}
    }
    made = plan(workstreams, policy={"max_files": 3})
    assert [layer.max_files for layer in made.policy_layers("w", "t")] == [3, 2, 1]


def test_the_json_form_gives_the_same_plan_back() -> None:
    """The stored form gives the same plan, for any plan."""
    made = plan(
        {
            "w": {
                "priority": 2,
                "gates": [],
                "tasks": {
                    "t": {
                        "patch": "a",
                        "date": "2026-01-31T12:00:00+01:30",
                        "author": "A <a@b>",
                        "scope": ["src/**"],
                    },
                    "u": {"tool": "x", "prompt": "p", "timeout": 1.5, "gates": []},
                },
            }
        },
        landing="rebase",
        strict=False,
        gates={
            "g": {
                "run": ["a", "b"],
                "timeout": "1h30m",
                "expect": [0, 5],
                "on": ["landing"],
                "env": {"A": "1"},
            }
        },
        tools={"x": {"preset": "claude", "max_cost_usd": 2.5}},
        prepare=["a", ["b", "c"]],
        policy={"max_files": 3, "binary": False},
    )
    assert Plan.from_json(made.as_json()) == made
    assert made.as_json()["gates"]["g"]["timeout"] == 5400


def test_a_plan_on_record_keeps_its_target() -> None:
    """A plan that was admitted before the names of branches were judged still loads."""
    with pytest.raises(ValidationError, match=r"bad\.\.ref"):
        plan(ONE, target="bad..ref")
    made = Plan.from_json({"maingate": 1, "workstreams": ONE, "target": "bad..ref"})
    assert made.target == "bad..ref"
    assert Plan.from_json(made.as_json()) == made
