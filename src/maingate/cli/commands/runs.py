"""``maingate runs``: list all runs."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from maingate.cli.output import STATE_STYLES, console, print_json
from maingate.cli.record_reading import AsJson, opened_for_reading, print_no_runs
from maingate.cli.tables import most_of, print_more, print_table, table
from maingate.cli.text import duration, local_time, safe

if TYPE_CHECKING:
    from collections.abc import Mapping

LISTED: Final = 20
_ENDED: Final = frozenset({"succeeded", "failed", "canceled"})


def runs(
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", "-n", min=1, metavar="N", help="List the newest N. [default: 20; all with --json]"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the runs of this repository, newest first."""
    maingate = opened_for_reading()
    if maingate is None:
        print_no_runs(as_json=as_json)
        return
    from maingate.queries.runs.run_list import list_runs

    with maingate:
        page = list_runs(maingate.context, limit=most_of(limit, shown=LISTED, as_json=as_json))
    if not page.rows:
        print_no_runs(as_json=as_json)
        return
    if as_json:
        print_json(page.rows)
        return
    out = console()
    grid = table("run", "name", "state", "target", "started", "took", wide="name")
    for row in page.rows:
        grid.add_row(*_run_cells(row))
    print_table(out, grid)
    print_more(out, page.more)


def _run_cells(row: "Mapping[str, Any]") -> tuple[Any, ...]:
    from rich.text import Text

    took = "-" if row["started_at"] is None or row["seconds"] is None else duration(row["seconds"])
    state = row["state"] if row["alive"] or row["state"] in _ENDED else f"{row['state']} (no process)"
    return (
        row["run_id"],
        safe(row["name"]),
        Text(state, style=STATE_STYLES.get(row["state"], "")),
        safe(row["target"]["ref"].removeprefix("refs/heads/")),
        local_time(row["started_at"] or row["created_at"]),
        took,
    )
