"""Summary lines of a run's report: the headline, the target, gates, cost, and why it is not running."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from maingate.cli.output import STATE_STYLES, SYMBOLS
from maingate.cli.text import count, duration, safe
from maingate.queries.waits.not_running import Standstill

if TYPE_CHECKING:
    from rich.text import Text

Report = Mapping[str, Any]

SHORT: Final = 10
"""Characters of a shortened commit id."""


def short_commit(commit: str | None) -> str:
    """Return a shortened commit id."""
    return (commit or "-")[:SHORT]


def headline(report: Report) -> "Text":
    """Return the first line of a report: name, state and time."""
    from rich.text import Text

    state = str(report["state"])
    so_far = "" if is_abandoned(report) else f", {duration(report['seconds'] or 0.0)} so far"
    took = "" if report["seconds"] is None else f" in {duration(report['seconds'])}"
    verb = {"running": "is running", "pending": "has not started", "canceled": "was cancelled"}.get(
        state, state
    )
    if state == "running" and is_abandoned(report) and not _is_served(report):
        verb = "did not end"
    return Text.assemble(
        (f"{SYMBOLS.get(state, '·')} ", STATE_STYLES.get(state, "")),
        (safe(report["name"]), "bold"),
        " ",
        (verb, STATE_STYLES.get(state, "")),
        took if state not in {"running", "pending"} else so_far,
        (f"   {report['run_id']}", "dim"),
    )


def is_abandoned(report: Report) -> bool:
    """Return whether a run has not ended and no process works on it."""
    return report["state"] in {"running", "pending"} and not report.get("alive", True)


def why_abandoned(report: Report) -> str:
    """Return why no process works on an unfinished run, and the command that continues it."""
    if _is_served(report):
        waiting = report["waiting"]
        return f"waits for {safe(waiting['for'])}; until {safe(waiting['until'])}"
    said = (report.get("stopped") or {}).get("message")
    still = Standstill(run_id=report["run_id"], stopped=said, is_overspent=_is_overspent(report))
    sentence, way_on = safe(still.sentence), f"`{still.command}` continues it"
    if still.is_overspent:
        return f"{sentence}. {way_on}, where N is the new budget of all its tools together."
    if said is None:
        return f"{sentence}. {way_on}."
    return sentence if "`maingate resume " in said else f"{sentence}; {way_on}"


def _is_served(report: Report) -> bool:
    """Return whether a server is to give the run a process."""
    return (report.get("waiting") or {}).get("code") == "server"


def _is_overspent(report: Report) -> bool:
    """Return whether a run would stop again at once if it were resumed with its plan's budget."""
    return bool((report.get("cost") or {}).get("used_up"))


def target_line(report: Report) -> str:
    """Return the line about the target: how many workstreams landed, and its move."""
    target, streams = report["target"], report["workstreams"]
    completed = [stream for stream in streams if stream["state"] == "completed"]
    landed = sum(stream["landed"] is not None for stream in completed)
    unchanged = len(completed) - landed
    rest = f", {unchanged} had nothing to land" if unchanged else ""
    if there := sum(is_there_already(stream) and not stream.get("taken_back") for stream in completed):
        rest += f" ({there} there already)" if there < len(streams) else " (nothing left to do)"
    if back := len(rolled_back(report)):
        rest += f", {back} rolled back since"
    branch = safe(target["ref"].removeprefix("refs/heads/"))
    moved = (
        f"{short_commit(target['old'])} → {short_commit(target['new'])}"
        if target["new"] != target["old"]
        else f"stays at {short_commit(target['old'])}"
    )
    return f"  {landed} of {count(len(streams), 'workstream')} landed on {branch}{rest}: {moved}"


def is_there_already(part: Report) -> bool:
    """Return whether a workstream or a task is done because the target has its changes already."""
    return part["state"] == "completed" and (part["reason"] or {}).get("code") == "already_applied"


def rolled_back(report: Report) -> dict[str, str]:
    """Return the workstreams of which no change is left on the target, with the reason.

    They landed, or were passed over because the target had their changes already.
    """
    patches: dict[str, list[Report]] = {}
    for task in report["tasks"]:
        if task["patch"] and task["patch"]["state"] in {"committed", "rolled_back"}:
            patches.setdefault(task["name"].partition("/")[0], []).append(task["patch"])
    back = {
        name: (own[-1]["reason"] or {}).get("message", "")
        for name, own in patches.items()
        if all(patch["state"] == "rolled_back" for patch in own)
    }
    passed_over = (stream for stream in report["workstreams"] if stream.get("taken_back"))
    return back | {stream["name"]: stream["taken_back"]["message"] for stream in passed_over}


def gates_line(gates: Mapping[str, int]) -> str:
    """Return the line about gates: run, passed, failed, and verdicts reused."""
    parts = [f"{count(gates['run'], 'gate')} run", f"{gates['passed']} passed", f"{gates['failed']} failed"]
    if gates["flaky"]:
        parts.append(f"{gates['flaky']} flaky")
    if gates.get("lost"):
        parts.append(f"{gates['lost']} lost without a verdict")
    if gates["reused"]:
        parts.append(f"{count(gates['reused'], 'verdict')} reused")
    return "\n  " + ", ".join(parts)


def cost_line(cost: Report) -> str:
    """Return the line about the cost of tools."""
    spent, budget = f"  the tools have cost ${cost['spent_usd']:.2f}", cost["budget_usd"]
    return spent if budget is None else f"{spent}; the plan's budget is ${budget:.2f}"
