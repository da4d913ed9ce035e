"""``headgate patch`` and ``headgate quarantine``: the ledger of patches, and each patch's diff."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli.output import console, count, is_narrow, print_json, reason_line, safe, table
from headgate.cli.patch_view import described, patch_json, print_patch, state_text, task_names
from headgate.cli.status import AsJson
from headgate.errors import UnknownEntityError, UsageError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from headgate.db.dao.patches import PatchRow

app = typer.Typer(help="Look into the ledger of patches.", no_args_is_help=True)

RunOption = Annotated[str | None, typer.Option("--run", metavar="RUN", help="Of this run only.")]
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, metavar="N", help="How many to list.")]
PatchArgument = Annotated[
    str,
    typer.Argument(
        metavar="PATCH", help="A patch's id or the beginning of it, or the name of its task, as ws/task."
    ),
]


@app.command("list")
def list_patches(
    state: Annotated[
        str | None, typer.Option("--state", "-s", metavar="S", help="In this state only.")
    ] = None,
    run: RunOption = None,
    limit: LimitOption = 50,
    as_json: AsJson = False,
) -> None:
    """List patches, newest first."""
    _list(state=_checked(state), run=run, limit=limit, as_json=as_json)


def quarantine(run: RunOption = None, limit: LimitOption = 50, as_json: AsJson = False) -> None:
    """List the patches that were kept out, newest first (`patch list --state quarantined`)."""
    _list(state="quarantined", run=run, limit=limit, as_json=as_json)


@app.command()
def show(patch: PatchArgument, run: RunOption = None, as_json: AsJson = False) -> None:
    """Show all that is known of a patch: where it is, why, what the gates said, and its history."""
    from headgate.bootstrap import Headgate

    with Headgate.open(create=False) as headgate, headgate.database.read() as conn:
        shown = described(conn, headgate, find_patch(conn, patch, run=run))
    if as_json:
        print_json(shown)
    else:
        print_patch(console(), shown)


@app.command()
def diff(patch: PatchArgument, run: RunOption = None) -> None:
    """Print a patch as it came in, byte for byte (on a terminal, control characters are shown as escapes)."""
    from headgate.bootstrap import Headgate
    from headgate.db.dao import artifacts

    with Headgate.open(create=False) as headgate, headgate.database.read() as conn:
        raw = artifacts.diff_of(conn, find_patch(conn, patch, run=run).id)
    if sys.stdout.isatty():
        print(safe(raw, keep_newlines=True), end="")
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(raw)
    sys.stdout.buffer.flush()


def find_patch(conn: "Connection", text: str, *, run: str | None = None) -> "PatchRow":
    """Find a patch by its id, the beginning of it, or the name of its task (the newest patch counts).

    Raises:
        UnknownEntityError: Nothing is called so, or the task has no patch.
        AmbiguousNameError: Several are.
    """
    from headgate.cli.status import run_named
    from headgate.db.dao import lookup, patches

    run_id = run_named(conn, run) if run is not None else None
    found = lookup.find(conn, text, kinds=["patch_ledger", "task"], run_id=run_id)
    if found.machine == "patch_ledger":
        return patches.get(conn, found.id)
    of_task = patches.of_task(conn, found.id)
    if not of_task:
        raise UnknownEntityError(
            text, f"task {safe(found.name)} has no patch yet; `headgate status --all` shows where it is"
        )
    return max(of_task, key=lambda row: row.id)


def _checked(state: str | None) -> str | None:
    from headgate.state.patch_ledger import PatchState

    if state is not None and state not in list(PatchState):
        raise UsageError(
            f"no patch is ever in a state {safe(state)!r}; the states are {', '.join(PatchState)}"
        )
    return state


def _list(*, state: str | None, run: str | None, limit: int, as_json: bool) -> None:
    from headgate.bootstrap import Headgate
    from headgate.cli.status import run_named
    from headgate.db.dao import patches

    with Headgate.open(create=False) as headgate, headgate.database.read() as conn:
        run_id = run_named(conn, run) if run is not None else None
        rows = patches.listed(conn, run_id=run_id, state=state, limit=limit)
        names = task_names(conn, rows)
    if as_json:
        print_json([patch_json(row, names[row.task_id]) for row in rows])
        return
    out = console()
    if not rows:
        out.print(f"No patches{f' in state {state}' if state else ''}.")
        return
    narrow = is_narrow(out)
    grid = table(
        *([] if narrow else ["patch"]), "task", "state", *([] if narrow else ["change"]), "", wide=""
    )
    for row in rows:
        grid.add_row(
            *([] if narrow else [row.id]),
            safe(names[row.task_id]),
            state_text(row.state),
            *([] if narrow else [f"{count(row.files, 'file')} +{row.insertions} -{row.deletions}"]),
            reason_line(row.quarantine_reason or row.reason) or safe(row.summary),
        )
    out.print(grid)
