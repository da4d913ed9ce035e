"""``maingate override``: decide a task or a workstream by hand."""

from typing import TYPE_CHECKING, Annotated

import typer

from maingate.cli.completion import record_words
from maingate.cli.decision_options import By, Run, Why, operator_name
from maingate.cli.output import console, print_json
from maingate.cli.record_reading import AsJson
from maingate.cli.text import safe

if TYPE_CHECKING:
    from maingate.state.operator_rules import Override

app = typer.Typer(
    help="Decide a task or a workstream by hand, whichever process works on it.",
    no_args_is_help=True,
)

Task = Annotated[
    str,
    typer.Argument(
        metavar="TASK",
        help="An id, the beginning of one, or workstream/task.",
        autocompletion=record_words("TASK"),
    ),
]
Stream = Annotated[
    str,
    typer.Argument(
        metavar="WORKSTREAM",
        help="An id, the beginning of one, or a name from the plan.",
        autocompletion=record_words("WORKSTREAM"),
    ),
]


@app.command("force-complete")
def force_complete(
    task: Task, reason: Why, operator: By = None, run: Run = None, as_json: AsJson = False
) -> None:
    """Complete a task that makes no patch (a command or a noop) without running it."""
    _override("force-complete", "task", task, reason, operator, run, as_json=as_json)


@app.command("force-fail")
def force_fail(
    task: Task, reason: Why, operator: By = None, run: Run = None, as_json: AsJson = False
) -> None:
    """Fail a task and drop its patch."""
    _override("force-fail", "task", task, reason, operator, run, as_json=as_json)


@app.command()
def reset(task: Task, reason: Why, operator: By = None, run: Run = None, as_json: AsJson = False) -> None:
    """Start the next attempt of a waiting task at once, and restore all its retries."""
    _override("reset", "task", task, reason, operator, run, as_json=as_json)


@app.command()
def unblock(task: Task, reason: Why, operator: By = None, run: Run = None, as_json: AsJson = False) -> None:
    """Start a blocked task whose needs have all completed."""
    _override("unblock", "task", task, reason, operator, run, as_json=as_json)


@app.command("fail")
def fail_workstream(
    workstream: Stream, reason: Why, operator: By = None, run: Run = None, as_json: AsJson = False
) -> None:
    """Fail a workstream that is under way; nothing of it lands."""
    _override("fail", "workstream", workstream, reason, operator, run, as_json=as_json)


@app.command("validate")
def validate_workstream(
    workstream: Stream, reason: Why, operator: By = None, run: Run = None, as_json: AsJson = False
) -> None:
    """Land a workstream without its open tasks, none of which may be critical; its gates still decide."""
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
    from maingate.queries.decided_entity import decided, is_interrupted
    from maingate.queries.names import find_entity

    by = operator or operator_name()
    with Maingate.open(create=False) as maingate:
        found = find_entity(maingate.context, what, kinds=[kind], run=run)
        said = maingate.operator.override(action, found.id, reason=reason, operator=by)
        told = decided(maingate.context, found, action=action, operator=by)
        is_left = is_interrupted(maingate.context, told["run_id"])
    if as_json:
        print_json(told)
        return
    out = console()
    out.print(safe(said), soft_wrap=True)
    if is_left:
        out.print(f"`maingate resume {told['run_id']}` continues the run.", soft_wrap=True)
