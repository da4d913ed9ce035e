"""``maingate patch`` and ``maingate quarantine``: list patches, show them and print their diffs."""

import base64
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from maingate.cli.commands.status import AsJson, opened_for_reading, print_no_runs, run_named
from maingate.cli.output import (
    console,
    count,
    most_of,
    print_json,
    print_more,
    print_table,
    reason_line,
    safe,
    table,
)
from maingate.cli.streams import naming_standard_output
from maingate.cli.views.patch import described, patch_json, print_patch, state_text, task_names
from maingate.errors import UnknownEntityError, UsageError

if TYPE_CHECKING:
    from maingate.db.connection import Connection
    from maingate.db.dao.patches import PatchRow
    from maingate.db.dao.tasks import TaskRow

LISTED: Final = 50

app = typer.Typer(help="List patches, show them, and decide them by hand.", no_args_is_help=True)

RunOption = Annotated[str | None, typer.Option("--run", metavar="RUN", help="Only patches of this run.")]
LimitOption = Annotated[
    int | None,
    typer.Option(
        "--limit", "-n", min=1, metavar="N", help="List the newest N. [default: 50; all with --json]"
    ),
]
PatchArgument = Annotated[
    str,
    typer.Argument(
        metavar="PATCH", help="A patch id, the beginning of one, or the name of its task: workstream/task."
    ),
]


@app.command("list")
def list_patches(
    state: Annotated[
        str | None, typer.Option("--state", "-s", metavar="S", help="Only patches in this state.")
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
    from maingate.cli.views.task import described_task, print_task
    from maingate.db.dao.tasks import TaskRow

    with Maingate.open(create=False) as maingate, maingate.database.read() as conn:
        row = find_patch_or_task(conn, patch, run=run)
        older = older_run(conn, row.run_id)
        shown = (
            described_task(conn, maingate, row)
            if isinstance(row, TaskRow)
            else described(conn, maingate, row)
        )
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
    from maingate.db.dao import artifacts

    with Maingate.open(create=False) as maingate, maingate.database.read() as conn:
        row = find_patch(conn, patch, run=run)
        older = older_run(conn, row.run_id)
        raw = artifacts.diff_of(conn, row.id)
    if as_json:
        print_json({"patch": row.id, **_diff_json(raw)})
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


def _diff_json(raw: bytes) -> dict[str, str]:
    try:
        return {"encoding": "utf-8", "diff": raw.decode()}
    except UnicodeDecodeError:
        return {"encoding": "base64", "diff": base64.b64encode(raw).decode()}


def older_run(conn: "Connection", run_id: str) -> str | None:
    """Return a run's id where it is not the newest one; None where it is."""
    from maingate.db.dao import runs

    newest = runs.newest(conn)
    return None if newest is None or newest.id == run_id else run_id


def find_patch(conn: "Connection", text: str, *, run: str | None = None) -> "PatchRow":
    """Find a patch by its id, the beginning of it, or the name of its task (the newest patch counts).

    A name is looked for in one run if that is said; else in the newest run that has it.

    Raises:
        UnknownEntityError: Nothing is called so, or the task has no patch.
        AmbiguousNameError: Several are.
    """
    from maingate.db.dao.tasks import TaskRow

    row = find_patch_or_task(conn, text, run=run)
    if isinstance(row, TaskRow):
        raise UnknownEntityError(
            text, f"task {safe(row.name)} has no patch; `maingate patch show {row.id}` shows its attempts"
        )
    return row


def find_patch_or_task(conn: "Connection", text: str, *, run: str | None = None) -> "PatchRow | TaskRow":
    """Find a patch as :func:`find_patch` does, and where a task that was tried has none, the task.

    Raises:
        UnknownEntityError: Nothing is called so, or the task was never tried.
        AmbiguousNameError: Several are.
    """
    from maingate.db.dao import lookup, patches, tasks

    kinds = ["patch_ledger", "task"]
    if run is not None:
        found = lookup.find(conn, text, kinds=kinds, run_id=run_named(conn, run))
    else:
        found = lookup.find_in_newest(conn, text, kinds=kinds)
    if found.machine == "patch_ledger":
        return patches.get(conn, found.id)
    if of_task := patches.of_task(conn, found.id):
        return patches.present(of_task)[found.id]
    task = tasks.get(conn, found.id)
    if not task.attempt:
        raise UnknownEntityError(text, _without_patch(safe(found.name), task))
    return task


def _without_patch(name: str, task: "TaskRow") -> str:
    """Return why a task that was never tried has no patch."""
    from maingate.state.task import TASK

    if TASK.is_terminal(task.state):
        why = f": {reason_line(task.reason)}" if task.reason else ""
        return f"task {name} has no patch: it is {task.state} and never ran{why}"
    return f"task {name} has no patch yet; `maingate status --all` shows its state"


def _checked(state: str | None) -> str | None:
    from maingate.state.patch_ledger import PatchState

    if state is not None and state not in list(PatchState):
        raise UsageError(f"unknown patch state {safe(state)!r}: choose one of {', '.join(PatchState)}")
    return state


def _list(*, state: str | None, run: str | None, limit: int | None, as_json: bool) -> None:
    from maingate.db.dao import patches

    maingate = opened_for_reading()
    if maingate is None:
        print_no_runs(as_json=as_json)
        return
    with maingate, maingate.database.read() as conn:
        run_id = run_named(conn, run) if run is not None else None
        most = most_of(limit, shown=LISTED, as_json=as_json)
        rows = patches.listed(conn, run_id=run_id, state=state, limit=most)
        is_cut = len(rows) == most and not as_json
        more = patches.count(conn, run_id=run_id, state=state) - most if is_cut else 0
        names = task_names(conn, rows)
    if as_json:
        print_json([patch_json(row, names[row.task_id]) for row in rows])
        return
    out = console()
    if not rows:
        out.print(f"No patches{f' in state {state}' if state else ''}.")
        return
    grid = table("patch", "task", "state", "change", "", wide="")
    for row in rows:
        grid.add_row(
            row.id,
            safe(names[row.task_id]),
            state_text(row.state),
            f"{count(row.files, 'file')} +{row.insertions} -{row.deletions}",
            reason_line(row.quarantine_reason or row.reason) or safe(row.summary),
        )
    print_table(out, grid)
    print_more(out, more)
