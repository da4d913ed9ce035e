"""The next step that a report leads to: a stable code, its subject, and a command."""

from collections.abc import Mapping
from typing import Any

import pytest

from maingate.queries.runs.next_action import next_action


def report(state: str = "failed", task: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return a report of one task, as far as the next step goes by it."""
    one = {"name": "w/t", "state": "failed", "reason": None, "patch": None, "waiting": None, **(task or {})}
    return {
        "run_id": "run_1",
        "state": state,
        "alive": False,
        "waiting": None,
        "target": {"ref": "refs/heads/main", "behind": []},
        "workstreams": [],
        "tasks": [one],
        **more,
    }


def refused(code: str) -> dict[str, Any]:
    """Return the fields of a task whose patch is refused."""
    return {"patch": {"state": "quarantined", "reason": {"code": code}}}


DONE = {"state": "completed"}
WAITS = {"state": "validating", "waiting": {"code": "approvals"}}


@pytest.mark.parametrize(
    ("told", "code", "command"),
    [
        (report("succeeded", DONE), "none", None),
        (report("failed", refused("conflict")), "rebase", "maingate patch show w/t"),
        (report("failed", refused("gate_failed")), "fix_gate", "maingate patch show w/t"),
        (report("failed", refused("gate_timeout")), "fix_gate", "maingate patch show w/t"),
        (report("failed", refused("base_red")), "fix_base", "maingate patch show w/t"),
        (report("failed", refused("prepare_failed")), "fix_base", "maingate patch show w/t"),
        (report("failed", refused("policy_violation")), "fix_patch", "maingate patch show w/t"),
        (report("failed", {"reason": {"code": "tool_failed"}}), "fix_patch", "maingate patch show w/t"),
        (report("running", DONE, alive=True), "wait", "maingate status --watch run_1"),
        (report("pending", DONE, waiting={"code": "server"}), "wait", "maingate status --watch run_1"),
        (report("running", DONE), "resume", "maingate resume run_1"),
        (report("running", WAITS, alive=True), "approve", "maingate patch approve w/t"),
        (
            report("succeeded", DONE, target={"ref": "refs/heads/main", "behind": [{}]}),
            "repair_checkout",
            "maingate checkout repair",
        ),
        (
            report(
                "failed",
                DONE,
                workstreams=[{"name": "w", "state": "failed", "reason": {"code": "gate_failed"}}],
            ),
            "fix_gate",
            "maingate status --all",
        ),
    ],
)
def test_a_report_leads_to_the_next_step(told: dict[str, Any], code: str, command: str | None) -> None:
    """Of several, the one that must be done first."""
    action = next_action(told)
    assert (action["code"], action["command"]) == (code, command)
    assert (action["about"] is None) is (code == "none")


def handed(code: str, run: str = "run_2") -> dict[str, Any]:
    """Return an unfinished workstream that another run's process has."""
    return {
        "name": "w",
        "state": "executing",
        "reason": None,
        "waiting": {"code": code, "about": {"run": run}},
    }


OWN = {"name": "v", "state": "executing", "reason": None, "waiting": {"code": "parts", "about": {}}}


@pytest.mark.parametrize(
    ("workstreams", "about", "command"),
    [
        ([handed("handed_over")], "run_2", "maingate queue main --watch"),
        ([handed("target"), handed("handed_over")], "run_2", "maingate queue main --watch"),
        ([handed("target"), OWN], "run_1", "maingate status --watch run_1"),
        ([handed("handed_over"), handed("handed_over", "run_3")], "run_1", "maingate status --watch run_1"),
        (
            [{**OWN, "waiting": {"code": "target", "about": {}}}],
            "run_1",
            "maingate status --watch run_1",
        ),
    ],
)
def test_a_run_that_only_waits_for_another_names_it(
    workstreams: list[dict[str, Any]], about: str, command: str
) -> None:
    """Where anything of its own goes on, it is followed itself."""
    told = report("running", DONE, alive=True, workstreams=workstreams)
    assert next_action(told) == {"code": "wait", "about": about, "command": command}
