"""Commands that show more about a run, and the reason to show for what was refused."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from maingate.cli.tables import print_commands
from maingate.cli.text import safe
from maingate.queries.runs.task_reasons import is_refused, reason_of

if TYPE_CHECKING:
    from rich.console import Console

Report = Mapping[str, Any]

_TRIED: Final = frozenset({"tool_failed", "tool_timeout", "worker_lost", "budget_exceeded"})
"""Reasons of tasks that failed without a patch."""

_LISTS: Final = (
    ("quarantined", "maingate quarantine", "all patches that were refused"),
    ("dropped", "maingate patch list --state dropped", "patches that were dropped"),
)
"""Commands that list the patches in a state, with a description."""


def print_hints(out: "Console", report: Report, *, page: str | None = None) -> None:
    """Print commands that show more about a run, or the page of a run whose record is elsewhere."""
    if page is not None:
        out.print()
        print_commands(out, [(page, "its page: every patch with its reason and the gate's output")])
        return
    with_patch = [task for task in report["tasks"] if task["patch"]]
    refused = next((task for task in with_patch if is_refused(task)), None)
    gave_none = next((task for task in report["tasks"] if not task["patch"] and _is_given_up(task)), None)
    hints = [
        (command, tells)
        for state, command, tells in _LISTS
        if any(task["patch"]["state"] == state for task in with_patch)
    ]
    hints.append(("maingate status --all", "every task and its patch"))
    if refused is not None:
        hints.insert(0, (f"maingate patch show {safe(refused['name'])}", _shows(refused)))
    if gave_none is not None:
        shown = f"maingate patch show {safe(gave_none['name'])}"
        hints = [(shown, "why it failed, with its output"), *hints]
    out.print()
    print_commands(out, hints)


def _shows(refused: Report) -> str:
    """Return the description of `patch show`: it has a gate's output only if a gate refused the patch."""
    reason = reason_of(refused) or {}
    is_gate = reason.get("code") in {"gate_failed", "gate_timeout", "base_red"}
    return "why it was refused, with the gate's output" if is_gate else "why it was refused"


def refusal_of(workstream: Report, tasks: Sequence[Report]) -> Report | None:
    """Return the most specific reason why a workstream did not land: that of a refused task, or its own."""
    refused = next((task for task in tasks if is_refused(task)), None)
    return (refused and reason_of(refused)) or workstream["reason"]


def _is_given_up(task: Report) -> bool:
    """Return whether a task's tool or command ran and failed."""
    return task["state"] == "failed" and bool(task["reason"]) and task["reason"]["code"] in _TRIED
