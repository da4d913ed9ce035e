"""``maingate resume``: continue a run after a crash or an interruption."""

from typing import TYPE_CHECKING, Annotated

import typer

from maingate.cli.commands.run import AsJson, Wait, Workers, finish, go_on
from maingate.cli.completion import OPEN_RUNS
from maingate.cli.output import console
from maingate.cli.text import safe
from maingate.errors import UsageError
from maingate.ids import RunId
from maingate.wording import listed

if TYPE_CHECKING:
    from maingate.bootstrap import Maingate


def resume(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="A run id or the beginning of one. [default: the interrupted run]",
            autocompletion=OPEN_RUNS,
        ),
    ] = None,
    workers: Workers = None,
    wait: Wait = False,
    budget_usd: Annotated[
        float | None,
        typer.Option(
            "--budget-usd",
            min=0.01,
            metavar="DOLLARS",
            help="New budget of all tools of the run together, instead of the plan's.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Continue a run whose process was interrupted, ended or killed. Nothing is lost; nothing lands twice.

    Exit codes are those of `run`.
    """
    from maingate.bootstrap import Maingate
    from maingate.queries.names import find_run

    with Maingate.open(create=False) as maingate:
        run_id = find_run(maingate.context, run) if run is not None else _interrupted(maingate)
        outcome = go_on(
            maingate, run_id, workers=workers, wait=wait, budget_usd=budget_usd, progress_on_stderr=as_json
        )
    finish(outcome, as_json=as_json)


def _interrupted(maingate: "Maingate") -> RunId:
    """Return the only interrupted run.

    Raises:
        UsageError: No run is interrupted, or several are.
    """
    found = maingate.execution.interrupted()
    if not found:
        maingate.rescue.clear_up()
        for warning in maingate.notifier.deliver():
            console(stderr=True).print(safe(warning), soft_wrap=True)
        raise UsageError("no interrupted run to resume; `maingate runs` lists all runs")
    if len(found) > 1:
        names = listed([f"{row.id} ({row.name})" for row in found], 5)
        raise UsageError(f"{len(found)} runs are interrupted; name one to resume: {names}")
    return RunId(found[0].id)
