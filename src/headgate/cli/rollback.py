"""``headgate rollback``: take what has landed back."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.cli.exit_codes import ExitCode
from headgate.cli.output import console, count, fail, print_json, safe
from headgate.cli.run import Workers, operator_name
from headgate.errors import UsageError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from headgate.db.dao.lookup import Found
    from headgate.db.dao.patches import PatchRow
    from headgate.recovery.rollback_manager import Outcome


def rollback(  # noqa: PLR0917 - the options of a command line
    what: Annotated[
        str,
        typer.Argument(
            metavar="PATCH|TASK|WORKSTREAM|RUN",
            help="Its id, the beginning of one, or the plan's name of it.",
        ),
    ],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept.")],
    operator: Annotated[
        str | None, typer.Option("--operator", metavar="NAME", help="Who wants it. [default: your login]")
    ] = None,
    run: Annotated[str | None, typer.Option("--run", metavar="RUN", help="Where to look for names.")] = None,
    workers: Workers = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Take what has landed back: reverts, newest first, that land only when the gates pass on the result.

    All of it or nothing. What was reverted by hand already is recognised. Then the plan's `on_rollback`
    commands run for every workstream of which nothing is left. Exit codes: 0 rolled back, 1 refused by a
    conflict or a gate (nothing was changed), or such a command failed (the rollback stands), 2 it is not on
    the target or the target is not in order, 4 git, the database or the disk failed, or somebody else holds
    the target.
    """
    from headgate.bootstrap import Headgate

    if not reason.strip():
        raise UsageError("--reason says why; it must not be empty")
    by = operator or operator_name()
    with Headgate.open(create=False) as headgate:
        with headgate.database.read() as conn:
            found, rows, label = _chosen(conn, what, run)
        outcome = headgate.roll_back(
            [row.id for row in rows], label=label, reason=reason, operator=by, workers=workers
        )
        with headgate.database.read() as conn:
            told = _told(conn, found, label, outcome, [row.id for row in rows])
    if as_json:
        print_json(told)
    else:
        _print(told, outcome)
    if outcome.failures:
        said = "the rollback itself stands; `headgate events --type on_rollback_failed` has what they printed"
        fail(f"on_rollback commands failed; {said}")
    if outcome.reason is not None or outcome.failures:
        raise typer.Exit(ExitCode.REFUSED)


def _chosen(conn: "Connection", what: str, run: str | None) -> "tuple[Found, list[PatchRow], str]":
    """Find what is meant, and its patches that are on the target.

    Raises:
        UsageError: Nothing of it is there.
    """
    from headgate.cli.patch import find_in_newest
    from headgate.cli.status import run_named
    from headgate.db.dao import lookup, runs
    from headgate.orchestrator.compensation import owed
    from headgate.state.patch_ledger import PatchState

    kinds = ["patch_ledger", "task", "workstream", "run"]
    if run is not None:
        found = lookup.find(conn, what, kinds=kinds, run_id=run_named(conn, run))
    else:
        found = find_in_newest(conn, what, kinds)
    rows = _patches_of(conn, found)
    there = [row for row in rows if row.state is PatchState.COMMITTED]
    names = {"patch_ledger": "patch"}
    label = f"{names.get(found.machine, found.machine)} {safe(found.name)}"
    if there:
        return found, there, label
    gone = [row for row in rows if row.state is PatchState.ROLLED_BACK]
    if gone and owed(conn, runs.get(conn, gone[0].run_id)):  # a process was ended that had to see to it
        return found, gone, label
    if gone:
        raise UsageError(f"{label} is rolled back already; there is nothing to do")
    states = ", ".join(sorted({str(row.state) for row in rows})) or "it has no patches"
    raise UsageError(f"nothing of {label} is on the target, so nothing can be rolled back ({states})")


def _patches_of(conn: "Connection", found: "Found") -> "list[PatchRow]":
    from headgate.db.dao import patches, tasks, workstreams

    if found.machine == "patch_ledger":
        return [patches.get(conn, found.id)]
    if found.machine == "run":
        return patches.of_run(conn, found.id)
    if found.machine == "task":
        run_id = tasks.get(conn, found.id).run_id
        return [row for row in patches.of_run(conn, run_id) if row.task_id == found.id]
    run_id = workstreams.get(conn, found.id).run_id
    return [row for row in patches.of_run(conn, run_id) if row.workstream_id == found.id]


def _told(
    conn: "Connection", found: "Found", label: str, outcome: "Outcome", wanted: list[str]
) -> dict[str, Any]:
    from headgate.cli.patch_view import task_names
    from headgate.db.dao import patches

    rows = patches.get_many(conn, wanted)
    names = task_names(conn, list(rows.values()))
    return {
        "state": str(outcome.end),
        "id": found.id,
        "what": label,
        "target": {"ref": outcome.ref, "old": outcome.old, "new": outcome.new},
        "patches": [
            {
                "id": each,
                "task": names[rows[each].task_id],
                "state": str(rows[each].state),
                "commit": outcome.commits.get(each) or None,
                "by_hand": each in outcome.commits and not outcome.commits[each],
            }
            for each in wanted
        ],
        "gates": list(outcome.gates),
        "reason": None if outcome.reason is None else outcome.reason.as_json(),
        "notes": list(outcome.notes),
    }


def _print(told: dict[str, Any], outcome: "Outcome") -> None:
    out = console()
    branch = outcome.ref.removeprefix("refs/heads/")
    if outcome.reason is not None:
        out.print(f"{told['what']} was not rolled back; nothing was changed.", soft_wrap=True)
        out.print(f"{outcome.reason.code}: {safe(outcome.reason.message)}", soft_wrap=True)
        if output := str(outcome.reason.detail.get("output") or ""):
            out.print(safe(output, keep_newlines=True), style="dim", soft_wrap=True)
        return
    if outcome.new == outcome.old:
        out.print(f"{branch} had none of {told['what']} any more; the ledger says so now.", soft_wrap=True)
    else:
        said = f"{told['what']} is rolled back: {branch} went from {outcome.old[:10]} to {outcome.new[:10]}"
        out.print(f"{said} ({count(len(told['patches']), 'patch', 'patches')}).", soft_wrap=True)
    for each in told["patches"]:
        how = "was gone already" if each["by_hand"] else f"by {str(each['commit'])[:10]}"
        out.print(f"  {safe(each['task'])}  {each['id']}  {how}", soft_wrap=True)
    for note in outcome.notes:
        out.print(safe(note), style="yellow", soft_wrap=True)
