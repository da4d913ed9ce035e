"""The next step after a look at a run: a stable code, its subject, and the command for it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from maingate.queries.after_refusal import step_after
from maingate.queries.runs.task_reasons import is_refused, reason_of
from maingate.state.holds import HoldCode

Json = Mapping[str, Any]

LEADING: Final = frozenset({"run_id", "state", "alive", "waiting", "target", "workstreams", "tasks"})
"""The fields of a report that lead to the next step."""

_UNDER_WAY: Final = frozenset({"pending", "running"})
_OF_OTHERS: Final = frozenset({HoldCode.HANDED_OVER, HoldCode.TARGET})
"""The waits of workstreams that another run's process lands, or lets land."""


def next_action(report: Json) -> dict[str, Any]:
    """Return the next step for a person or an agent, from the report of a run.

    The code is one of `wait`, `approve`, `rebase`, `fix_gate`, `fix_base`, `fix_patch`, `repair_checkout`,
    `resume` and `none`; of several steps, the first that must be done.
    """
    steps = [*_of_people(report), *_of_process(report), *_of_refusals(report)]
    return next(iter(steps), _step("none", None, None))


def _step(code: str, about: str | None, command: str | None) -> dict[str, Any]:
    return {"code": code, "about": about, "command": command}


def _of_people(report: Json) -> Iterator[dict[str, Any]]:
    behind = report["target"].get("behind")
    if behind:
        yield _step("repair_checkout", report["target"]["ref"], "maingate checkout repair")
    for task in report["tasks"]:
        if (task.get("waiting") or {}).get("code") == "approvals":
            yield _step("approve", task["name"], f"maingate patch approve {task['name']}")


def _of_process(report: Json) -> Iterator[dict[str, Any]]:
    if report["state"] not in _UNDER_WAY:
        return
    run = report["run_id"]
    is_queued = (report.get("waiting") or {}).get("code") == "server"
    branch = report["target"]["ref"].removeprefix("refs/heads/")
    if report.get("alive") and (other := _landed_by(report)) is not None:
        yield _step("wait", other, f"maingate queue {branch} --watch")
    elif report.get("alive") or is_queued:
        yield _step("wait", run, f"maingate status --watch {run}")
    else:
        yield _step("resume", run, f"maingate resume {run}")


def _landed_by(report: Json) -> str | None:
    """Return the run that all unfinished workstreams of a run wait for, since its process has the target."""
    waits = [stream["waiting"] for stream in report["workstreams"] if stream.get("waiting") is not None]
    others = {wait["about"].get("run") if wait["code"] in _OF_OTHERS else None for wait in waits}
    return others.pop() if len(others) == 1 else None


def _of_refusals(report: Json) -> Iterator[dict[str, Any]]:
    for task in report["tasks"]:
        if is_refused(task) and (reason := reason_of(task)) is not None:
            yield _step(step_after(reason["code"]), task["name"], f"maingate patch show {task['name']}")
    for stream in report["workstreams"]:
        if stream["state"] == "failed" and stream["reason"] is not None:
            yield _step(step_after(stream["reason"]["code"]), stream["name"], "maingate status --all")


def refusals(report: Json) -> Sequence[tuple[str, Json]]:
    """Return the names of what was refused, each with its most specific reason."""
    refused = [task for task in report["tasks"] if is_refused(task)]
    found = [(task["name"], reason) for task in refused if (reason := reason_of(task)) is not None]
    told = {name.partition("/")[0] for name, _ in found}
    found += [
        (stream["name"], stream["reason"])
        for stream in report["workstreams"]
        if stream["state"] == "failed" and stream["reason"] is not None and stream["name"] not in told
    ]
    return found
