"""View of a run's report: landed and refused workstreams, reasons, and further commands."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from maingate.cli.output import STATE_STYLES, SYMBOLS
from maingate.cli.tables import print_indented, print_table, table
from maingate.cli.text import reason_line, safe
from maingate.cli.views.headline import (
    cost_line,
    gates_line,
    headline,
    is_abandoned,
    is_there_already,
    rolled_back,
    short_commit,
    target_line,
    why_abandoned,
)
from maingate.cli.views.hints import refusal_of
from maingate.cli.views.wait_groups import FEW, gathered, waiting_alike, why_stuck
from maingate.queries.runs.task_reasons import reason_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

Report = Mapping[str, Any]


MOST_LINES: Final = 40
"""Maximum lines per section; the rest is counted."""

_LANDED: Final = frozenset({"committed", "rolled_back"})
"""States of patches that have reached the target, rolled back since or not."""


def print_report(out: "Console", report: Report, *, every_task: bool = False) -> None:
    """Print the summary of a run.

    Args:
        out: The console.
        report: The result of :func:`maingate.queries.runs.report.run_report`.
        every_task: List each task, also of workstreams that landed.
    """
    out.print(headline(report))
    out.print(target_line(report))
    for each in report["target"].get("behind", ()):
        out.print(f"  {safe(each['reason'])}", style="yellow", soft_wrap=True)
    if is_abandoned(report):
        out.print(f"  {why_abandoned(report)}", style="yellow", soft_wrap=True)
    if every_task:
        _print_tasks(out, report["tasks"])
    else:
        _print_landed(out, report)
        _print_rolled_back(out, report)
        _print_open(out, report["workstreams"])
        _print_stuck(out, report["tasks"])
        if not is_abandoned(report):
            _print_waiting(out, report["tasks"])
        _print_refused(out, report)
    out.print(gates_line(report["gates"]), style="dim")
    if report.get("cost"):
        out.print(cost_line(report["cost"]), style="dim")


def _print_landed(out: "Console", report: Report) -> None:
    back = rolled_back(report)
    landed = [
        stream
        for stream in report["workstreams"]
        if stream["state"] == "completed" and stream["name"] not in back
    ]
    if not landed:
        return
    titles = [_title(stream) for stream in landed[:MOST_LINES]]
    heading = ["title"] if any(titles) else []
    grid = table("", "landed", "patches", "commit", *heading, wide="title")
    by_stream = _by_workstream(report["tasks"])
    for stream, title in zip(landed[:MOST_LINES], titles, strict=True):
        tasks = by_stream.get(stream["name"], [])
        done = sum(bool(task["patch"]) and task["patch"]["state"] in _LANDED for task in tasks)
        cells = safe(stream["name"]), str(done), short_commit(stream["landed"])
        grid.add_row(_symbol("completed"), *cells, *([title] if heading else []))
    _print_grid(out, grid, more=len(landed) - MOST_LINES)


def _print_rolled_back(out: "Console", report: Report) -> None:
    """Print the workstreams of which nothing is left on the target."""
    back = rolled_back(report)
    if not back:
        return
    grid = table("", "rolled back", "because", wide="because")
    for name, why in list(back.items())[:MOST_LINES]:
        grid.add_row(_symbol("rolled_back"), safe(name), safe(why))
    _print_grid(out, grid, more=len(back) - MOST_LINES)


def _title(stream: Report) -> str:
    """Return a workstream's title, or why it has no commit; empty if it equals the name."""
    if is_there_already(stream):
        return "already there"
    return safe(stream["title"]) if stream["title"] != stream["name"] else ""


def _print_open(out: "Console", streams: Sequence[Report]) -> None:
    ended = {"completed", "failed", "skipped", "cancelled"}
    still = [stream for stream in streams if stream["state"] not in ended]
    if not still:
        return
    listed, groups = gathered(still, "workstream")
    grid = table("", "under way", "state", "why", wide="why")
    for stream in listed[:MOST_LINES]:
        grid.add_row(_mark(stream), safe(stream["name"]), stream["state"], _why(stream))
    for group in groups:
        grid.add_row(_symbol("waiting"), group.headline, "", group.listed(FEW))
    _print_grid(out, grid, more=len(listed) - MOST_LINES)


def _print_stuck(out: "Console", tasks: Sequence[Report]) -> None:
    """Print the stuck tasks; workstreams are listed anyway."""
    stuck = [task for task in tasks if task.get("stuck")]
    if not stuck:
        return
    grid = table("", "stuck", "state", "why", wide="why")
    for task in stuck[:MOST_LINES]:
        grid.add_row(_mark(task), safe(task["name"]), task["state"], _why(task))
    _print_grid(out, grid, more=len(stuck) - MOST_LINES)


def _print_waiting(out: "Console", tasks: Sequence[Report]) -> None:
    """Print how many tasks only wait, by what they wait for."""
    groups = waiting_alike(tasks, "task")
    if not groups:
        return
    out.print()
    for group in groups:
        out.print(f"  {group.headline}", soft_wrap=True)


def _why(entity: Report, reason: Report | None = None) -> str:
    """Return why an entity is in its state: its wait, its lack of progress, or the reason of its end."""
    waiting, stuck = entity.get("waiting"), entity.get("stuck")
    if gone := entity.get("taken_back"):
        return safe(gone["message"])
    if waiting is None:
        return reason_line(reason or entity["reason"])
    verb = "works:" if waiting["moving"] else "waits for"
    said = f"{verb} {safe(waiting['for'])}; until {safe(waiting['until'])}"
    return f"{why_stuck(stuck)}; {said}" if stuck else said


def _print_refused(out: "Console", report: Report) -> None:
    refused = [one for one in report["workstreams"] if one["state"] in {"failed", "skipped", "cancelled"}]
    by_stream = _by_workstream(report["tasks"])
    if refused:
        grid = table("", "did not land", "because", "", wide="")
        for stream in refused[:MOST_LINES]:
            reason = refusal_of(stream, by_stream.get(stream["name"], []))
            code = reason["code"] if reason else stream["state"]
            grid.add_row(
                _symbol(stream["state"]),
                safe(stream["name"]),
                code,
                safe(reason["message"]) if reason else "",
            )
        _print_grid(out, grid, more=len(refused) - MOST_LINES)
    _print_passed_over(out, report, {stream["name"] for stream in refused})


def _print_passed_over(out: "Console", report: Report, refused: set[str]) -> None:
    """Print the tasks that failed without failing their workstream."""
    passed_over = [
        task
        for task in report["tasks"]
        if task["state"] in {"failed", "cancelled"} and task["name"].partition("/")[0] not in refused
    ]
    if not passed_over:
        return
    grid = table("", "passed over", "because", "", wide="")
    for task in passed_over[:MOST_LINES]:
        reason = reason_of(task)
        code, message = (reason["code"], safe(reason["message"])) if reason else (task["state"], "")
        grid.add_row(_symbol(task["state"]), safe(task["name"]), code, message)
    _print_grid(out, grid, more=len(passed_over) - MOST_LINES)


def _print_tasks(out: "Console", tasks: Sequence[Report]) -> None:
    grid = table("", "task", "state", "patch", "ledger", "why", wide="why")
    listed, groups = gathered(tasks, "task")
    for task in listed:
        patch = task["patch"]
        ledger = patch["state"] if patch else "-"
        grid.add_row(
            _symbol("quarantined") if ledger == "quarantined" else _mark(task),
            safe(task["name"]),
            task["state"],
            patch["id"] if patch else "-",
            ledger,
            _why(task, reason_of(task)),
        )
    if listed:
        _print_grid(out, grid, more=0)
    for group in groups:
        out.print()
        out.print(f"  {group.headline}:", soft_wrap=True)
        print_indented(out, group.listed())


def _print_grid(out: "Console", grid: Any, *, more: int) -> None:
    out.print()
    print_table(out, grid)
    if more > 0:
        out.print(f"  … and {more} more; `maingate status --all` lists every task", style="dim")


def _by_workstream(tasks: Sequence[Report]) -> dict[str, list[Report]]:
    grouped: dict[str, list[Report]] = {}
    for task in tasks:
        grouped.setdefault(task["name"].partition("/")[0], []).append(task)
    return grouped


def _mark(entity: Report) -> "Text":
    """Return the symbol of an entity's state, or the symbol for stuck."""
    return _symbol("stuck" if entity.get("stuck") else entity["state"])


def _symbol(state: str) -> "Text":
    from rich.text import Text

    return Text(SYMBOLS.get(state, "·"), style=STATE_STYLES.get(state, "dim"))
