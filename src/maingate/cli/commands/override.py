"""``maingate override``: decide about a task or a workstream by hand."""

from typing import TYPE_CHECKING, Annotated

import typer

from maingate.cli.commands.run import operator_name
from maingate.cli.commands.status import AsJson
from maingate.cli.output import console, print_json, safe
from maingate.errors import UsageError

if TYPE_CHECKING:
    from maingate.db.dao.requests import Override

app = typer.Typer(
    help="Decide about a task or a workstream by hand, wherever it is being worked on.",
    no_args_is_help=True,
)

Task = Annotated[str, typer.Argument(metavar="TASK", help="Its id, the beginning of one, or ws/task.")]
Stream = Annotated[
    str, typer.Argument(metavar="WORKSTREAM", help="Its id, the beginning of one, or the plan's name of it.")
]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept.")]
By = Annotated[
    str | None, typer.Option("--operator", metavar="NAME", help="Who wants it. [default: your login]")
]
Run = Annotated[str | None, typer.Option("--run", metavar="RUN", help="Where to look for names.")]


@app.command("force-complete")
def force_complete(
    task: Task, reason: Why, operator: By = None, run: Run = None, as_json: AsJson = False
) -> None:
    """Take a step without a patch (a command, or nothing) as done."""
    _override("force-complete", "task", task, reason, operator, run, as_json=as_json)


@app.command("force-fail")
def force_fail(
    task: Task, reason: Why, operator: By = None, run: Run = None, as_json: AsJson = False
) -> None:
    """Let a task fail, and drop its patch."""
    _override("force-fail", "task", task, reason, operator, run, as_json=as_json)


@app.command()
def reset(task: Task, reason: Why, operator: By = None, run: Run = None, as_json: AsJson = False) -> None:
    """Let a task that waits for its next attempt begin at once, with all its retries before it."""
    _override("reset", "task", task, reason, operator, run, as_json=as_json)


@app.command()
def unblock(task: Task, reason: Why, operator: By = None, run: Run = None, as_json: AsJson = False) -> None:
    """Look at a blocked task anew whose needs are all completed."""
    _override("unblock", "task", task, reason, operator, run, as_json=as_json)


@app.command("fail")
def fail_workstream(
    workstream: Stream, reason: Why, operator: By = None, run: Run = None, as_json: AsJson = False
) -> None:
    """Let a workstream fail that is under way; nothing of it lands."""
    _override("fail", "workstream", workstream, reason, operator, run, as_json=as_json)


@app.command("validate")
def validate_workstream(
    workstream: Stream, reason: Why, operator: By = None, run: Run = None, as_json: AsJson = False
) -> None:
    """Let a workstream land without its open tasks, where none of them is critical; its gates decide."""
    _override("validate", "workstream", workstream, reason, operator, run, as_json=as_json)


def _override(  # noqa: PLR0917 - the options of a command line
    action: "Override",
    kind: str,
    what: str,
    reason: str,
    operator: str | None,
    run: str | None,
    *,
    as_json: bool,
) -> None:
    from maingate.bootstrap import Maingate
    from maingate.cli.commands.status import run_named
    from maingate.db.dao import lookup, tasks, workstreams

    if not reason.strip():
        raise UsageError("--reason says why; it must not be empty")
    by = operator or operator_name()
    with Maingate.open(create=False) as maingate:
        with maingate.database.read() as conn:
            within = None if run is None else run_named(conn, run)
            found = lookup.find(conn, what, kinds=[kind], run_id=within)
        said = maingate.override(action, found.id, reason=reason, operator=by)
        with maingate.database.read() as conn:
            row = (tasks if kind == "task" else workstreams).get(conn, found.id)
        is_left = row.run_id in {each.id for each in maingate.interrupted()}
    if as_json:
        why = None if row.reason is None else row.reason.as_json()
        told = {"id": row.id, "name": found.name, "action": action, "state": str(row.state), "reason": why}
        print_json(told | {"operator": by, "run_id": row.run_id})
        return
    out = console()
    out.print(safe(said), soft_wrap=True)
    if is_left:
        out.print(f"`maingate resume {row.run_id}` goes on with the rest.", soft_wrap=True)
