"""``maingate audit verify``: whether the record is whole."""

from typing import TYPE_CHECKING

import typer

from maingate.cli.exit_codes import ExitCode
from maingate.cli.output import console, count, print_json, print_table, safe, table
from maingate.cli.status import AsJson

if TYPE_CHECKING:
    from maingate.db.audit import AuditReport

app = typer.Typer(help="Check the record of what happened.", no_args_is_help=True)


@app.callback()
def audit() -> None:
    """Check the record of what happened."""


@app.command()
def verify(as_json: AsJson = False) -> None:
    """Check every chain of hashes and transitions.jsonl; exit code 1 if a row or line is not as written."""
    from maingate.bootstrap import Maingate
    from maingate.db import audit as chains

    with Maingate.open(create=False) as maingate:
        report = chains.verify(maingate.database, log=maingate.paths.transitions)
    if as_json:
        print_json(report.as_json())
    else:
        _print(report)
    raise typer.Exit(ExitCode.DONE if report.is_intact else ExitCode.REFUSED)


def _print(report: "AuditReport") -> None:
    from rich.text import Text

    out = console()
    checked = f"{count(report.rows, 'change')} of state in {count(report.chains, 'chain')}"
    if report.is_intact:
        out.print(
            Text.assemble(("✔ ", "green"), f"The record is whole: {checked}, each chained to the one before.")
        )
        return
    out.print(
        Text.assemble(
            ("✘ ", "red"), f"The record is damaged: {count(len(report.findings), 'finding')} in {checked}."
        )
    )
    out.print()
    grid = table("entity", "row", "what is wrong", wide="what is wrong")
    for finding in report.findings:
        row = "-" if finding.seq is None else str(finding.seq)
        grid.add_row(safe(finding.entity_id or "-"), row, safe(finding.problem))
    print_table(out, grid)
