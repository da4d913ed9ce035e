"""``headgate resume``: go on with a run after a crash or an interruption."""

from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli.run import AsJson, Wait, Workers, finish, go_on
from headgate.errors import UsageError
from headgate.ids import RunId

if TYPE_CHECKING:
    from headgate.bootstrap import Headgate


def resume(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]", help="A run's id or its beginning. [default: the one that was interrupted]"
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
            help="What its tools may cost, all together, instead of what its plan says.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Go on with a run whose process was interrupted, ended or killed: nothing is lost, nothing lands twice.

    Exit codes are those of `run`.
    """
    from headgate.bootstrap import Headgate
    from headgate.cli.status import find_run

    with Headgate.open(create=False) as headgate:
        run_id = find_run(headgate, run) if run is not None else _interrupted(headgate)
        outcome = go_on(
            headgate, run_id, workers=workers, wait=wait, budget_usd=budget_usd, progress_on_stderr=as_json
        )
    finish(outcome, as_json=as_json)


def _interrupted(headgate: "Headgate") -> RunId:
    """Find the one run that was interrupted.

    Raises:
        UsageError: There is none, or there are several.
    """
    found = headgate.interrupted()
    if not found:
        headgate.clear_up()
        raise UsageError("no run was interrupted; `headgate runs` lists them all")
    if len(found) > 1:
        listed = ", ".join(f"{row.id} ({row.name})" for row in found)
        raise UsageError(f"{len(found)} runs were interrupted; say which one: {listed}")
    return RunId(found[0].id)
