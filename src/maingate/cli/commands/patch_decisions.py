"""``maingate patch drop|approve|recover``: decide a patch by hand."""

import os
from pathlib import Path
from typing import Annotated

import typer

from maingate.cli.commands.patch import PatchArgument, RunOption, app
from maingate.cli.commands.run import Wait, Workers, execute, finish
from maingate.cli.completion import record_words
from maingate.cli.decision_options import By, Why, operator_name
from maingate.cli.output import console, print_json
from maingate.cli.record_reading import AsJson
from maingate.cli.text import count, safe
from maingate.errors import UsageError
from maingate.trace_ids import TRACEPARENT


@app.command("drop")
def drop(
    patch: PatchArgument,
    reason: Why,
    operator: By = None,
    run: RunOption = None,
    as_json: AsJson = False,
) -> None:
    """Drop a quarantined patch. The patch and its diff stay on record."""
    from maingate.bootstrap import Maingate
    from maingate.queries.details.patch import patch_state
    from maingate.queries.names import find_patch

    with Maingate.open(create=False) as maingate:
        row = find_patch(maingate.context, patch, run=run)
        maingate.operator.drop_patch(row.id, reason=reason, operator=operator or operator_name())
        shown = patch_state(maingate.context, row.id)
    if as_json:
        print_json(shown)
        return
    console().print(f"{row.id} is dropped.", soft_wrap=True)


@app.command("approve")
def approve(
    patch: PatchArgument,
    message: Annotated[
        str, typer.Option("--message", "-m", metavar="TEXT", help="A comment, recorded.")
    ] = "",
    operator: By = None,
    run: RunOption = None,
    as_json: AsJson = False,
) -> None:
    """Approve a patch of a plan with reviewers. A second approval by the same person does not count."""
    from maingate.bootstrap import Maingate
    from maingate.queries.details.patch import patch_approvals
    from maingate.queries.names import find_patch

    by = operator or operator_name()
    with Maingate.open(create=False) as maingate:
        row = find_patch(maingate.context, patch, run=run)
        is_new = maingate.operator.approve_patch(row.id, message=message, operator=by)
        given = patch_approvals(maingate.context, row.id)
    if as_json:
        print_json({"id": row.id, "state": str(row.state), "is_new": is_new, "approvals": given})
        return
    said = "approved" if is_new else "had already approved"
    console().print(f"{safe(by)} {said}: {row.id} has {count(len(given), 'approval')}.", soft_wrap=True)


@app.command("recover")
def recover(  # noqa: PLR0917 - the options of a command line
    patch: PatchArgument,
    file: Annotated[
        Path | None, typer.Option("--patch", metavar="FILE", help="A diff to land instead.")
    ] = None,
    tool: Annotated[
        str | None,
        typer.Option(
            "--tool",
            metavar="TOOL",
            help="A tool of the plan that makes a new patch.",
            autocompletion=record_words("TOOL"),
        ),
    ] = None,
    run: RunOption = None,
    workers: Workers = None,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Try to land a refused, dropped or rolled back patch again, in a new run with the same gates.

    The same diff is applied to the target as it is now, unless --patch or --tool gives another one.
    Exit codes are those of `run`.
    """
    from maingate.bootstrap import Maingate
    from maingate.cli.commands.run import TargetWait
    from maingate.queries.names import find_patch
    from maingate.services.patch_recovery import write_recovery_plan
    from maingate.services.runs.plan_loading import load_plan

    if file is not None and tool is not None:
        raise UsageError("--patch and --tool cannot be combined: choose one")
    with Maingate.open(create=False) as maingate:
        row = find_patch(maingate.context, patch, run=run)
        path = write_recovery_plan(
            maingate.context, row, diff=None if file is None else _read(file), tool=tool
        )
        run_id = maingate.admission.admit(
            load_plan(path),
            wait=TargetWait() if wait else None,
            replaces=row.id,
            traceparent=os.environ.get(TRACEPARENT),
        )
        outcome = execute(maingate, run_id, workers=workers, progress_on_stderr=as_json)
    finish(outcome, as_json=as_json)


def _read(file: Path) -> bytes:
    """Return the bytes of a diff.

    Raises:
        UsageError: It cannot be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be used: {error.strerror}") from error
