"""``maingate audit verify``: verify the record."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from maingate.cli.exit_codes import ExitCode
from maingate.cli.output import console, print_json
from maingate.cli.record_reading import AsJson
from maingate.cli.tables import print_table, table
from maingate.cli.text import count, safe

if TYPE_CHECKING:
    from maingate.queries.audit import AuditReport

_SHOWN: Final = 30

app = typer.Typer(help="Verify the record of runs and landings.", no_args_is_help=True)


@app.callback()
def audit() -> None:
    """Verify the record of runs and landings."""


@app.command()
def verify(
    against: Annotated[
        str | None,
        typer.Option(
            metavar="REF", help="Compare the record with this branch or commit only, not with every target."
        ),
    ] = None,
    others: Annotated[
        bool,
        typer.Option("--others", help="Accept landings from other records, such as a colleague's clone."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Verify the record: its hash chains, transitions.jsonl, and the commits on the branches.

    Exit codes: 0 the record is intact, 1 it is damaged.
    """
    from maingate.bootstrap import Maingate
    from maingate.queries.audit import audit_record

    with Maingate.open(create=False) as maingate:
        report = audit_record(maingate.context, against=against, others=others)
    if as_json:
        print_json(report.as_json())
    else:
        _print(report)
    raise typer.Exit(ExitCode.DONE if report.is_intact else ExitCode.REFUSED)


def _print(report: "AuditReport") -> None:
    from rich.text import Text

    out = console()
    checked = (
        f"{count(report.rows, 'change')} of state in {count(report.chains, 'chain')}, "
        f"{count(report.facts, 'piece')} of evidence, {count(report.anchors, 'landing')} on branches"
    )
    if report.is_intact:
        out.print(Text.assemble(("✔ ", "green"), f"The record is intact: {checked}."))
    for note in report.notes:
        out.print(safe(note), markup=False)
    if report.is_intact:
        return
    out.print(
        Text.assemble(
            ("✘ ", "red"), f"The record is damaged: {count(len(report.findings), 'finding')} in {checked}."
        )
    )
    out.print()
    grid = table("entity", "row", "problem", wide="problem")
    for finding in report.findings[:_SHOWN]:
        row = "-" if finding.seq is None else str(finding.seq)
        grid.add_row(safe(finding.entity_id or "-"), row, safe(finding.problem))
    print_table(out, grid)
    if len(report.findings) > _SHOWN:
        out.print(f"and {count(len(report.findings) - _SHOWN, 'more finding')}: --json lists all")
