"""``maingate bisect``: find the patch that turned a gate red."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from maingate.cli.commands.run import Workers
from maingate.cli.commands.status import AsJson
from maingate.cli.exit_codes import ExitCode
from maingate.cli.output import console, count, print_json, safe
from maingate.errors import UsageError
from maingate.ids import RunId

if TYPE_CHECKING:
    from maingate.bootstrap import Maingate
    from maingate.db.connection import Connection
    from maingate.services.bisect import Search


def bisect(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WORKSTREAM|RANGE",
            help="A landed workstream, or commits as OLD..NEW. [default NEW: the target's head]",
        ),
    ],
    gate: Annotated[str, typer.Option("--gate", "-g", metavar="GATE", help="The gate's name in the plan.")],
    run: Annotated[
        str | None,
        typer.Option(
            "--run", metavar="RUN", help="The run whose plan has the gate. [default: the newest run]"
        ),
    ] = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Find the patch with which a gate began to fail: by stored verdicts first, then by running the gate.

    Exit codes: 0 the patch or commit was found, or the gate does not fail at the end of the range, 1 the gate
    already fails at its beginning.
    """
    from maingate.bootstrap import Maingate

    with Maingate.open(create=False) as maingate:
        run_id, old, new = _range(maingate, what, run)
        found = maingate.bisection.bisect(run_id, old, new, gate=gate, workers=workers)
        told = _told(maingate, found)
    if as_json:
        print_json(told)
    else:
        _print(told)
    if found.place == 0:
        raise typer.Exit(ExitCode.REFUSED)


def _range(maingate: "Maingate", what: str, run: str | None) -> tuple[RunId, str, str]:
    """Find out what is to be searched.

    Raises:
        UsageError: There is no run, the range has no commits, or the workstream has not landed.
    """
    from maingate.cli.commands.status import run_named
    from maingate.db.dao import lookup, runs

    repository = maingate.repository
    with maingate.database.read() as conn:
        newest = runs.newest(conn)
        if newest is None:
            raise UsageError("no runs yet; `maingate run PLAN` starts one")
        run_id = newest.id if run is None else run_named(conn, run)
        if ".." in what:
            old, _, new = what.partition("..")
            end = new.strip(".") or runs.get(conn, run_id).target_ref
            ends = repository.resolve_commit(old or "HEAD"), repository.resolve_commit(end)
            _see_to_order(maingate, what, *ends)
            return RunId(run_id), *ends
        kinds = ["workstream"]
        meant = (
            lookup.find_in_each(conn, what, kinds=kinds)
            if run is None
            else iter([lookup.find(conn, what, kinds=kinds, run_id=run_id)])
        )
        for found in meant:
            if (landing := _landing(conn, found.id)) is not None:
                return landing
    raise UsageError(f"workstream {safe(what)} has landed nothing; name another, or commits as OLD..NEW")


def _landing(conn: "Connection", workstream_id: str) -> tuple[RunId, str, str] | None:
    """Return a workstream's run and the target before and after it landed; None when it has not."""
    from maingate.db.dao import intents, workstreams

    row = workstreams.get(conn, workstream_id)
    for each in intents.of_run(conn, row.run_id):
        if each.new == row.landed_commit and each.new is not None and each.old is not None:
            return RunId(row.run_id), each.old, each.new
    return None


def _see_to_order(maingate: "Maingate", what: str, old: str, new: str) -> None:
    """Refuse a range in which nothing can have begun to fail.

    Raises:
        UsageError: It is empty, reversed, or its ends lie on different branches.
    """
    is_ancestor, said = maingate.repository.is_ancestor, f"the range {safe(what)} has no commits"
    if old == new:
        raise UsageError(f"{said}: both ends are {old[:10]}; choose an earlier OLD")
    if is_ancestor(new, old):
        raise UsageError(f"{said}, it is reversed: {new[:10]} is older than {old[:10]}; write OLD..NEW")
    if not is_ancestor(old, new):
        raise UsageError(f"the range {safe(what)} is invalid: {old[:10]} is not in the history of {new[:10]}")


def _told(maingate: "Maingate", found: "Search") -> dict[str, Any]:
    from maingate.cli.views.patch import task_names
    from maingate.db.dao import patches

    state = {None: "green", 0: "red_before"}.get(found.place, "found")
    commit = None if not found.place else found.points[found.place].commit
    patch = None
    if found.patch is not None:
        with maingate.database.read() as conn:
            row = patches.get(conn, found.patch)
            patch = {"id": row.id, "task": task_names(conn, [row])[row.task_id], "state": str(row.state)}
    return {
        "state": state,
        "gate": found.gate,
        "range": {"old": found.points[0].commit, "new": found.points[-1].commit},
        "commit": commit,
        "patch": patch,
        "reason": None if found.said is None else found.said.as_json(),
        "asked": found.asked,
        "known": found.known,
    }


def _print(told: dict[str, Any]) -> None:
    out = console()
    old, new = told["range"]["old"][:10], told["range"]["new"][:10]
    gate = safe(told["gate"])
    if told["state"] == "green":
        out.print(f"{gate} passes at {new}: there is nothing to search for.", soft_wrap=True)
    elif told["state"] == "red_before":
        out.print(f"{gate} already fails at {old}: choose an earlier start.", soft_wrap=True)
    elif told["patch"] is not None:
        patch = told["patch"]
        out.print(
            f"{gate} fails since {safe(patch['task'])} ({patch['id']}), in {told['commit']}.", soft_wrap=True
        )
        out.print(f"`maingate rollback {patch['id']} --reason …` rolls it back.", soft_wrap=True)
    else:
        out.print(f"{gate} fails since {told['commit']}.", soft_wrap=True)
    asked = count(told["asked"], "execution")
    out.print(f"{asked}; {count(told['known'], 'verdict')} known before.", style="dim")
