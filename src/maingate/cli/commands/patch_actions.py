"""``maingate patch drop|approve|recover``: decide a patch by hand."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from maingate.cli.commands.patch import PatchArgument, RunOption, app, find_patch
from maingate.cli.commands.run import Wait, Workers, execute, finish, operator_name
from maingate.cli.commands.status import AsJson
from maingate.cli.output import console, count, print_json, safe
from maingate.errors import UsageError

if TYPE_CHECKING:
    from maingate.bootstrap import Maingate
    from maingate.db.dao.patches import PatchRow

By = Annotated[
    str | None,
    typer.Option("--operator", metavar="NAME", help="Your name, recorded. [default: your login]"),
]

SHOWN_DIFF: Final = 64 * 1024
"""How much of a refused diff a tool gets to see, in bytes."""

RECOVERED: Final = "recover"
"""The folder, in the state folder, of the plans that `recover` writes, each in a folder of its own."""
RECOVERED_PLAN: Final = "plan.json"

_OF_THE_OLD: Final = frozenset({"needs", "critical"})
"""What a task and its workstream were to others in the old plan; in the new run there are no others."""

_RECOVERABLE: Final = frozenset({"quarantined", "dropped", "rolled_back"})


@app.command("drop")
def drop(
    patch: PatchArgument,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="The reason, recorded.")],
    operator: By = None,
    run: RunOption = None,
    as_json: AsJson = False,
) -> None:
    """Give up a quarantined patch. The patch and its diff stay on record."""
    from maingate.bootstrap import Maingate
    from maingate.db.dao import patches

    if not reason.strip():
        raise UsageError("--reason must not be empty")
    with Maingate.open(create=False) as maingate:
        with maingate.database.read() as conn:
            row = find_patch(conn, patch, run=run)
        maingate.operator.drop_patch(row.id, reason=reason, operator=operator or operator_name())
        with maingate.database.read() as conn:
            row = patches.get(conn, row.id)
    if as_json:
        why = None if row.reason is None else row.reason.as_json()
        print_json({"id": row.id, "state": str(row.state), "reason": why})
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
    from maingate.db.dao import approvals

    by = operator or operator_name()
    with Maingate.open(create=False) as maingate:
        with maingate.database.read() as conn:
            row = find_patch(conn, patch, run=run)
        is_new = maingate.operator.approve_patch(row.id, message=message, operator=by)
        with maingate.database.read() as conn:
            given = approvals.of_patch(conn, row.id)
    if as_json:
        people = [
            {"operator": each.operator, "message": each.message, "at": each.created_at} for each in given
        ]
        print_json({"id": row.id, "state": str(row.state), "is_new": is_new, "approvals": people})
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
        str | None, typer.Option("--tool", metavar="TOOL", help="A tool of the plan that makes a new patch.")
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
    from maingate.cli.commands.run import Patience
    from maingate.plan.loader import load_plan

    if file is not None and tool is not None:
        raise UsageError("--patch and --tool cannot be combined: choose one")
    with Maingate.open(create=False) as maingate:
        with maingate.database.read() as conn:
            row = find_patch(conn, patch, run=run)
        path = _write_plan(maingate, row, file, tool)
        run_id = maingate.admission.admit(load_plan(path), wait=Patience() if wait else None, replaces=row.id)
        outcome = execute(maingate, run_id, workers=workers, progress_on_stderr=as_json)
    finish(outcome, as_json=as_json)


def _write_plan(maingate: "Maingate", row: "PatchRow", file: Path | None, tool: str | None) -> Path:
    """Write the plan of one task that stands for a patch, and the diff beside it.

    Raises:
        UsageError: The patch may still land by itself, or the file cannot be read.
    """
    from maingate.db.dao import artifacts, runs, tasks, workstreams
    from maingate.ids import new_id

    if row.state not in _RECOVERABLE:
        raise UsageError(
            f"patch {row.id} is {row.state}; "
            f"`recover` applies to patches that are {', '.join(sorted(_RECOVERABLE))}"
        )
    with maingate.database.read() as conn:
        old, task = runs.get(conn, row.run_id), tasks.get(conn, row.task_id)
        stream = workstreams.get(conn, row.workstream_id)
        diff = artifacts.diff_of(conn, row.id)
    plan = json.loads(json.dumps(dict(old.plan)))
    described = plan["workstreams"][stream.name]
    wanted = {
        key: value
        for key, value in described["tasks"][task.name].items()
        if key not in _OF_THE_OLD | {"patch", "tool", "prompt", "prompt_file"}
    }
    if tool is None:
        wanted["patch"] = "recovered.patch"
    else:
        wanted |= {"tool": tool, "prompt": _prompt(described["tasks"][task.name], row, diff)}
    described = {key: value for key, value in described.items() if key not in _OF_THE_OLD}
    plan |= {
        "maingate": 1,
        "name": f"recover {stream.name}/{task.name}",
        "repo": str(maingate.repository.root),
        "target": old.target_ref,
        "workstreams": {stream.name: described | {"tasks": {task.name: wanted}}},
    }
    folder = maingate.paths.root / RECOVERED / new_id("patch").removeprefix("patch_")
    try:
        bytes_ = diff if file is None else file.read_bytes()
        folder.mkdir(parents=True)
        (folder / "recovered.patch").write_bytes(bytes_)
        (folder / RECOVERED_PLAN).write_text(json.dumps(plan, indent=1))
    except OSError as error:
        raise UsageError(f"{error.filename or folder} cannot be used: {error.strerror}") from error
    return folder / RECOVERED_PLAN


def _prompt(task: dict[str, Any], row: "PatchRow", diff: bytes) -> str:
    """Say what a tool is to do instead: what was asked before, why it was refused, and the refused diff."""
    reason = row.quarantine_reason or row.reason
    asked = str(task.get("prompt") or task.get("title") or row.summary)
    why = "" if reason is None else f"\n\nAn earlier patch for this was refused: {reason.message}"
    output = "" if reason is None else str(reason.detail.get("output") or "")[-16 * 1024 :]
    shown = diff[:SHOWN_DIFF].decode(errors="replace")
    return f"{asked}{why}\n\n{output}\n\nThe refused patch:\n\n{shown}".replace("\0", "")
