"""``maingate patch`` and ``maingate quarantine``: list patches, show them and print their diffs."""

import sys
from typing import Annotated, Final

import typer

from maingate.cli.completion import PATCHES, RUNS, fixed_words
from maingate.cli.output import console, print_json
from maingate.cli.record_reading import AsJson, opened_for_reading, print_no_runs
from maingate.cli.standard_streams import naming_standard_output
from maingate.cli.tables import most_of, print_more, print_table, table
from maingate.cli.text import count, reason_line, safe
from maingate.cli.views.patch import print_patch, state_text
from maingate.errors import UsageError

LISTED: Final = 50

app = typer.Typer(help="List patches, show them, and decide them by hand.", no_args_is_help=True)

RunOption = Annotated[
    str | None, typer.Option("--run", metavar="RUN", help="Only patches of this run.", autocompletion=RUNS)
]
LimitOption = Annotated[
    int | None,
    typer.Option(
        "--limit", "-n", min=1, metavar="N", help="List the newest N. [default: 50; all with --json]"
    ),
]
PatchArgument = Annotated[
    str,
    typer.Argument(
        metavar="PATCH",
        help="A patch id, the beginning of one, or the name of its task: workstream/task.",
        autocompletion=PATCHES,
    ),
]


@app.command("list")
def list_patches(
    state: Annotated[
        str | None,
        typer.Option(
            "--state",
            "-s",
            metavar="S",
            help="Only patches in this state.",
            autocompletion=fixed_words("maingate.state.patch_ledger", "PatchState"),
        ),
    ] = None,
    run: RunOption = None,
    limit: LimitOption = None,
    as_json: AsJson = False,
) -> None:
    """List patches, newest first."""
    _list(state=_checked(state), run=run, limit=limit, as_json=as_json)


def quarantine(run: RunOption = None, limit: LimitOption = None, as_json: AsJson = False) -> None:
    """List refused patches, newest first (`patch list --state quarantined`)."""
    _list(state="quarantined", run=run, limit=limit, as_json=as_json)


@app.command()
def show(patch: PatchArgument, run: RunOption = None, as_json: AsJson = False) -> None:
    """Show a patch: its state and reason, the results of its gates, and its history.

    For a task that ran without giving a patch: its attempts, and the output of the last one.
    """
    from maingate.bootstrap import Maingate
    from maingate.cli.views.task import print_task
    from maingate.queries.details.patch import patch_or_task_detail

    with Maingate.open(create=False) as maingate:
        shown, older = patch_or_task_detail(maingate.context, patch, run=run)
    if as_json:
        print_json(shown)
        return
    out = console()
    if older and run is None:
        out.print(f"from an older run: {older}", style="yellow", soft_wrap=True)
    print_task(out, shown) if shown["id"] is None else print_patch(out, shown)


@app.command()
def diff(patch: PatchArgument, run: RunOption = None, as_json: AsJson = False) -> None:
    """Print the diff of a patch, byte for byte (on a terminal, control characters are shown as escapes)."""
    from maingate.bootstrap import Maingate
    from maingate.queries.details.patch import diff_json, patch_diff

    with Maingate.open(create=False) as maingate:
        patch_id, raw, older = patch_diff(maingate.context, patch, run=run)
    if as_json:
        print_json({"patch": patch_id, **diff_json(raw)})
        return
    if older and run is None:
        print(f"from an older run: {older}", file=sys.stderr)
    if sys.stdout.isatty():
        print(safe(raw, keep_newlines=True), end="")
        return
    with naming_standard_output():
        sys.stdout.flush()
        sys.stdout.buffer.write(raw)
        sys.stdout.buffer.flush()


def _checked(state: str | None) -> str | None:
    from maingate.state.patch_ledger import PatchState

    if state is not None and state not in list(PatchState):
        raise UsageError(f"unknown patch state {safe(state)!r}: choose one of {', '.join(PatchState)}")
    return state


def _list(*, state: str | None, run: str | None, limit: int | None, as_json: bool) -> None:
    maingate = opened_for_reading()
    if maingate is None:
        print_no_runs(as_json=as_json)
        return
    from maingate.queries.details.patch import list_patches

    with maingate:
        most = most_of(limit, shown=LISTED, as_json=as_json)
        page = list_patches(maingate.context, state=state, run=run, limit=most)
    if as_json:
        print_json(page.rows)
        return
    out = console()
    if not page.rows:
        out.print(f"No patches{f' in state {state}' if state else ''}.")
        return
    grid = table("patch", "task", "state", "change", "", wide="")
    for row in page.rows:
        scope = row["scope"]
        grid.add_row(
            row["id"],
            safe(row["task"]),
            state_text(row["state"]),
            f"{count(scope['files'], 'file')} +{scope['insertions']} -{scope['deletions']}",
            reason_line(row["reason"]) or safe(row["summary"]),
        )
    print_table(out, grid)
    print_more(out, page.more)
