"""``maingate workers``: list workers with their jobs and last heartbeats."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from maingate.cli.output import STATE_STYLES, console, print_json
from maingate.cli.record_reading import opened_for_reading
from maingate.cli.tables import print_more, print_table, table
from maingate.cli.text import duration, local_time, reason_line, safe
from maingate.cli.views.wait_groups import why_stuck

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text


def workers(
    every: Annotated[
        bool, typer.Option("--all", "-a", help="Include workers that have shut down, newest first.")
    ] = False,
    limit: Annotated[
        int,
        typer.Option("--limit", "-n", min=1, metavar="N", help="With --all, include at most N of those."),
    ] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List the processes that control runs, the workers of their pools, and the job of each."""
    maingate = opened_for_reading()
    if maingate is None:
        _print([], as_json=as_json)
        return
    from maingate.queries.workforce.workers import list_workers

    with maingate:
        page = list_workers(maingate.context, ended=limit if every else 0)
    _print(page.rows, as_json=as_json)
    if not as_json:
        print_more(console(), page.more)


def _print(shown: "Sequence[dict[str, Any]]", *, as_json: bool) -> None:
    if as_json:
        print_json(shown)
        return
    out = console()
    if not shown:
        out.print("No workers are running.")
        return
    grid = table("worker", "state", "process", "last heartbeat", "doing", wide="doing")
    for one in shown:
        heard = "-" if one["silent_seconds"] is None else f"{duration(one['silent_seconds'])} ago"
        grid.add_row(safe(one["name"]), _state(one), str(one["pid"] or "-"), heard, _doing(one))
    print_table(out, grid)


def _state(one: dict[str, Any]) -> "Text":
    from rich.text import Text

    return Text(one["state"], style=STATE_STYLES.get(one["state"], ""))


def _doing(one: dict[str, Any]) -> str:
    """Return a worker's job, or why it has none."""
    if one["ended_at"] is not None:
        why = reason_line(one["reason"])
        return f"ended {local_time(one['ended_at'])}" + (f", {why}" if why else "")
    if not one["alive"]:
        return "its process exited; `maingate resume` cleans up"
    said = _job(one["job"]) if one["job"] else "nothing"
    return f"{why_stuck(one['stuck'])}; {said}" if one["stuck"] else said


def _job(job: dict[str, Any]) -> str:
    name, so_long = safe(job["name"]), f"for {duration(job['seconds'])}"
    if job["kind"] == "run":
        return f"run {name}, {so_long}"
    what = f"gate {name} of {safe(job['of'] or '-')}" if job["kind"] == "gate" else f"command of {name}"
    return f"{what}, attempt {job['attempt']}, {so_long}"
