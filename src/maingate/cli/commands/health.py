"""``maingate health``: check the parts that Maingate works with, for people, service managers and probes."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from maingate.cli.exit_codes import ExitCode
from maingate.cli.output import console, print_json
from maingate.cli.record_reading import AsJson
from maingate.cli.tables import print_table, table
from maingate.cli.text import safe

if TYPE_CHECKING:
    from maingate.monitoring.health import CheckAnswer, Report

_STYLES: Final = {"ok": "green", "degraded": "yellow", "failed": "red"}


def health(
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 1 when a part has failed, for probes.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check the database, the repository, the disks, the work, and the newest rows of the record.

    Each part is `ok`, `degraded` (it works, and needs a person) or `failed`, with the reason and a command
    that mends it. Each check has its own time-out. Nothing is written.

    Exit codes: 0 everything was checked; with --exit-code 1 when a part has failed.
    """
    from maingate.bootstrap import Maingate
    from maingate.monitoring.health import HealthChecks
    from maingate.monitoring.repository_checks import checks_of

    with Maingate.open(create=False, migrate=False) as maingate:
        report = HealthChecks(checks_of(maingate.context)).report()
    if as_json:
        print_json(report.as_json())
    else:
        print_report(report)
    if exit_code and report.state == "failed":
        raise typer.Exit(ExitCode.REFUSED)


def print_report(report: "Report") -> None:
    """Print the answer of each check, with all that is wrong and the commands that mend it."""
    from rich.text import Text

    out = console()
    grid = table("state", "part", "", wide="")
    for answer in report.answers:
        state = str(answer.state)
        grid.add_row(Text(state, style=_STYLES[state]), answer.check.name, _described(answer))
    print_table(out, grid)
    commands = dict.fromkeys(each.command for _, each in report.troubles if each.command is not None)
    for command in commands:
        out.print(f"  {safe(command)}", soft_wrap=True)


def _described(answer: "CheckAnswer") -> str:
    reasons = [safe(each.reason) for each in answer.finding.troubles]
    return "; ".join(reasons) or safe(answer.finding.summary)
