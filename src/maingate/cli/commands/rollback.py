"""``maingate rollback``: revert landed patches."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from maingate.cli.commands.run import Workers
from maingate.cli.completion import record_words
from maingate.cli.decision_options import By, Run, operator_name
from maingate.cli.exit_codes import ExitCode
from maingate.cli.output import console, fail, print_json
from maingate.cli.text import count, safe
from maingate.errors import UsageError

if TYPE_CHECKING:
    from maingate.recovery.rollback_values import RollbackOutcome


def rollback(  # noqa: PLR0917 - the options of a command line
    what: Annotated[
        str,
        typer.Argument(
            metavar="PATCH|TASK|WORKSTREAM|RUN",
            help="An id, the beginning of one, a name from the plan, or the commit of a landing.",
            autocompletion=record_words(
                "PATCH", "WORKSTREAM", "RUN", states=("committed", "completed", "succeeded", "failed")
            ),
        ),
    ],
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="The reason, recorded; required.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show what would be reverted, and whether it can be; change nothing."),
    ] = False,
    operator: By = None,
    run: Run = None,
    workers: Workers = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Revert landed patches, newest first. The reverts land together, and only when the gates pass.

    Patches that were already reverted by hand are recognised. Afterwards the plan's `on_rollback` commands
    run for every workstream of which nothing is left.

    With --dry-run no gate runs and nothing is changed.

    Exit codes: 0 rolled back, 1 refused by a conflict or a gate (nothing was changed) or an `on_rollback`
    command failed (the rollback stands), 2 nothing of it is on the target or the target is not in order,
    4 git, the database or the disk failed or another process holds the target.
    """
    from maingate.bootstrap import Maingate
    from maingate.queries.rollbacks.rollback import choose_patches, rollback_json

    if reason is None and not dry_run:
        raise UsageError("say why with --reason TEXT: it is recorded; --dry-run needs none")
    with Maingate.open(create=False) as maingate:
        choice = choose_patches(maingate.context, what, run=run)
        ids, label = choice.patch_ids, choice.label
        outcome = (
            maingate.rollback.try_out(ids, label=label)
            if dry_run
            else maingate.rollback.roll_back(
                ids, label=label, reason=reason or "", operator=operator or operator_name(), workers=workers
            )
        )
        told = rollback_json(maingate.context, choice, outcome)
    if as_json:
        print_json(told)
    elif dry_run:
        _print_trial(told, outcome)
    else:
        _print(told, outcome)
    if outcome.failures:
        where = "`maingate events --type on_rollback_failed --json`"
        fail(f"on_rollback commands failed (the rollback itself stands); {where} shows their output")
    if outcome.reason is not None or outcome.failures:
        raise typer.Exit(ExitCode.REFUSED)


def _print_trial(told: dict[str, Any], outcome: "RollbackOutcome") -> None:
    out = console()
    label, branch = safe(told["what"]), outcome.ref.removeprefix("refs/heads/")
    if outcome.reason is not None:
        out.print(f"{label} cannot be rolled back as {branch} is now.", soft_wrap=True)
        out.print(f"{outcome.reason.code}: {safe(outcome.reason.message)}", soft_wrap=True)
        return
    number = count(len(told["patches"]), "patch", "patches")
    out.print(f"{label} would be rolled back from {branch} at {outcome.old[:10]} ({number}).", soft_wrap=True)
    for each in told["patches"]:
        how = "  is already gone" if each["by_hand"] else ""
        out.print(f"  {safe(each['task'])}  {each['id']}{how}", soft_wrap=True)
    names = ", ".join(outcome.gates)
    gates = f"these gates would have to pass: {names}" if names else "no gate would run"
    out.print(f"Nothing was changed; {gates}.", soft_wrap=True)
    for note in outcome.notes:
        out.print(safe(note), soft_wrap=True)


def _print(told: dict[str, Any], outcome: "RollbackOutcome") -> None:
    out = console()
    label, branch = safe(told["what"]), outcome.ref.removeprefix("refs/heads/")
    if outcome.reason is not None:
        out.print(f"{label} was not rolled back; nothing was changed.", soft_wrap=True)
        out.print(f"{outcome.reason.code}: {safe(outcome.reason.message)}", soft_wrap=True)
        if output := str(outcome.reason.detail.get("output") or ""):
            out.print(safe(output, keep_newlines=True), style="dim", soft_wrap=True)
        return
    if outcome.new == outcome.old:
        out.print(f"{branch} already had nothing of {label}; the record has been updated.", soft_wrap=True)
    else:
        said = f"{label} is rolled back: {branch} went from {outcome.old[:10]} to {outcome.new[:10]}"
        out.print(f"{said} ({count(len(told['patches']), 'patch', 'patches')}).", soft_wrap=True)
    for each in told["patches"]:
        how = "was already gone" if each["by_hand"] else f"by {str(each['commit'])[:10]}"
        out.print(f"  {safe(each['task'])}  {each['id']}  {how}", soft_wrap=True)
    for note in outcome.notes:
        out.print(safe(note), style="yellow", soft_wrap=True)
