"""``maingate rollback``: revert landed patches."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from maingate.cli.commands.run import Workers, operator_name
from maingate.cli.exit_codes import ExitCode
from maingate.cli.output import console, count, fail, print_json, safe
from maingate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from maingate.db.connection import Connection
    from maingate.db.dao.lookup import Found
    from maingate.db.dao.patches import PatchRow
    from maingate.recovery.rollback import RollbackOutcome


def rollback(  # noqa: PLR0917 - the options of a command line
    what: Annotated[
        str,
        typer.Argument(
            metavar="PATCH|TASK|WORKSTREAM|RUN",
            help="An id, the beginning of one, a name from the plan, or the commit of a landing.",
        ),
    ],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="The reason, recorded.")],
    operator: Annotated[
        str | None,
        typer.Option("--operator", metavar="NAME", help="Your name, recorded. [default: your login]"),
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="The run to look up names in.")
    ] = None,
    workers: Workers = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Revert landed patches, newest first. The reverts land together, and only when the gates pass.

    Patches that were already reverted by hand are recognised. Afterwards the plan's `on_rollback` commands
    run for every workstream of which nothing is left.

    Exit codes: 0 rolled back, 1 refused by a conflict or a gate (nothing was changed) or an `on_rollback`
    command failed (the rollback stands), 2 nothing of it is on the target or the target is not in order,
    4 git, the database or the disk failed or another process holds the target.
    """
    from maingate.bootstrap import Maingate

    if not reason.strip():
        raise UsageError("--reason must not be empty")
    by = operator or operator_name()
    with Maingate.open(create=False) as maingate:
        with maingate.database.read() as conn:
            found, rows, label = _chosen(conn, what, run)
        outcome = maingate.rollback.roll_back(
            [row.id for row in rows], label=label, reason=reason, operator=by, workers=workers
        )
        with maingate.database.read() as conn:
            told = _told(conn, found, label, outcome, [row.id for row in rows])
    if as_json:
        print_json(told)
    else:
        _print(told, outcome)
    if outcome.failures:
        where = "`maingate events --type on_rollback_failed --json`"
        fail(f"on_rollback commands failed (the rollback itself stands); {where} shows their output")
    if outcome.reason is not None or outcome.failures:
        raise typer.Exit(ExitCode.REFUSED)


def _chosen(conn: "Connection", what: str, run: str | None) -> "tuple[Found, list[PatchRow], str]":
    """Find what is meant, and its patches that are on the target.

    A name means the newest run in which something of it is on the target, whatever came of later ones.

    Raises:
        UsageError: Nothing of it is there.
    """
    from maingate.db.dao import runs
    from maingate.services.compensation import failed, owed
    from maingate.state.patch_ledger import PatchState

    meant = []
    for found in _candidates(conn, what, run):
        rows = _patches_of(conn, found)
        if there := [row for row in rows if row.state is PatchState.COMMITTED]:
            return found, there, _label(conn, found, rows)
        meant.append((found, rows, [row for row in rows if row.state is PatchState.ROLLED_BACK]))
    for found, rows, gone in meant:
        if gone and owed(conn, runs.get(conn, gone[0].run_id)):  # their commands still have to run
            return found, gone, _label(conn, found, rows)
    for found, rows, gone in meant:
        if gone:
            said = f"{_label(conn, found, rows)} is already rolled back; {_again([row.id for row in gone])}"
            if number := failed(conn, {row.workstream_id for row in gone}):
                commands = count(number, "on_rollback command")
                said += f"; {commands} failed then: `maingate events --type on_rollback_failed`"
            raise UsageError(said)
    found, rows, _ = meant[0]
    states = ", ".join(sorted({str(row.state) for row in rows})) or "it has no patches"
    what_it_is = _label(conn, found, rows)
    raise UsageError(f"nothing of {what_it_is} is on the target, so there is nothing to roll back ({states})")


def _again(patch_ids: "Sequence[str]") -> str:
    """Return how to land rolled back patches again: through their gates, not by another revert."""
    if len(patch_ids) == 1:
        return f"`maingate patch recover {patch_ids[0]}` lands it again"
    return f"to land its {len(patch_ids)} patches again: `maingate patch recover {patch_ids[0]}`, and so on"


def _candidates(conn: "Connection", what: str, run: str | None) -> "Iterator[Found]":
    """Find what may be meant: by its id, by the commit that it landed with, by name in the newest run first.

    Raises:
        UnknownEntityError: Nothing is called so.
        AmbiguousNameError: Several things are.
    """
    from maingate.cli.commands.status import run_named
    from maingate.db.dao import intents, lookup

    kinds = ["patch_ledger", "task", "workstream", "run"]
    if run is not None:
        yield lookup.find(conn, what, kinds=kinds, run_id=run_named(conn, run))
        return
    if (landed := lookup.of_commit(conn, what)) is not None:
        yield landed
        return
    if (undone := intents.rollback_named(conn, what)) is not None:
        raise UsageError(f"{safe(what)} is itself a rollback; {_again(sorted(undone.commits))}")
    yield from lookup.find_in_each(conn, what, kinds=kinds)


def _label(conn: "Connection", found: "Found", rows: "Sequence[PatchRow]") -> str:
    """Return the kind and name of an entity, with its run unless that is the newest."""
    from maingate.db.dao import runs

    kind = {"patch_ledger": "patch"}.get(found.machine, found.machine)
    label = f"{kind} {safe(found.name)}"
    newest = runs.newest(conn)
    is_older = bool(rows) and newest is not None and rows[0].run_id not in {newest.id, found.id}
    return f"{label} of {rows[0].run_id}" if is_older else label


def _patches_of(conn: "Connection", found: "Found") -> "list[PatchRow]":
    from maingate.db.dao import patches, tasks, workstreams

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
    conn: "Connection", found: "Found", label: str, outcome: "RollbackOutcome", wanted: list[str]
) -> dict[str, Any]:
    from maingate.cli.views.patch import task_names
    from maingate.db.dao import patches

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


def _print(told: dict[str, Any], outcome: "RollbackOutcome") -> None:
    out = console()
    branch = outcome.ref.removeprefix("refs/heads/")
    if outcome.reason is not None:
        out.print(f"{told['what']} was not rolled back; nothing was changed.", soft_wrap=True)
        out.print(f"{outcome.reason.code}: {safe(outcome.reason.message)}", soft_wrap=True)
        if output := str(outcome.reason.detail.get("output") or ""):
            out.print(safe(output, keep_newlines=True), style="dim", soft_wrap=True)
        return
    if outcome.new == outcome.old:
        out.print(
            f"{branch} already had nothing of {told['what']}; the record has been updated.", soft_wrap=True
        )
    else:
        said = f"{told['what']} is rolled back: {branch} went from {outcome.old[:10]} to {outcome.new[:10]}"
        out.print(f"{said} ({count(len(told['patches']), 'patch', 'patches')}).", soft_wrap=True)
    for each in told["patches"]:
        how = "was already gone" if each["by_hand"] else f"by {str(each['commit'])[:10]}"
        out.print(f"  {safe(each['task'])}  {each['id']}  {how}", soft_wrap=True)
    for note in outcome.notes:
        out.print(safe(note), style="yellow", soft_wrap=True)
