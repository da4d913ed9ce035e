"""``maingate token``: create, list and revoke the tokens of the HTTP interface."""

from typing import Annotated

import typer

from maingate.cli.completion import record_words
from maingate.cli.decision_options import By, operator_name
from maingate.cli.output import console, print_json
from maingate.cli.record_reading import AsJson, opened_for_reading, print_no_runs
from maingate.cli.tables import print_table, table
from maingate.cli.text import local_time, safe
from maingate.roles import Role

app = typer.Typer(help="Create, list and revoke tokens of the HTTP interface.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The person or program; its decisions are recorded so.")
    ],
    role: Annotated[
        Role,
        typer.Option(
            "--role",
            "-r",
            metavar="ROLE",
            help="viewer reads, submitter submits runs too, operator decides by hand too, admin does all.",
        ),
    ] = Role.VIEWER,
    operator: By = None,
    as_json: AsJson = False,
) -> None:
    """Create a token and print it. It is printed this once: only a hash of it is stored."""
    from maingate.bootstrap import Maingate

    with Maingate.open() as maingate:
        made = maingate.tokens.create(name, role, operator=operator or operator_name())
    if as_json:
        print_json({"id": made.id, "name": made.name, "role": str(made.role), "token": made.text})
        return
    console(stderr=True).print(
        f"{safe(made.name)} has the role {made.role}. The token is shown this once:", soft_wrap=True
    )
    console().print(made.text, soft_wrap=True)


@app.command("list")
def list_tokens(as_json: AsJson = False) -> None:
    """List all tokens with their roles, their last use and their open sessions."""
    maingate = opened_for_reading()
    if maingate is None:
        print_no_runs(as_json=as_json)
        return
    with maingate:
        rows = maingate.tokens.all()
    if as_json:
        print_json(rows)
        return
    out = console()
    if not rows:
        out.print("No tokens yet; `maingate token create NAME` creates one.")
        return
    grid = table("name", "role", "created", "last used", "sessions", "", wide="name")
    for row in rows:
        used = "never" if row["last_used_at"] is None else local_time(row["last_used_at"])
        gone = "" if row["revoked_at"] is None else f"revoked {local_time(row['revoked_at'])}"
        sessions = str(row["sessions"] or "")
        grid.add_row(safe(row["name"]), row["role"], local_time(row["created_at"]), used, sessions, gone)
    print_table(out, grid)


@app.command()
def revoke(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="The token's name or id.", autocompletion=record_words("TOKEN")),
    ],
    operator: By = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a token: a server refuses it, and the sessions begun with it, from the next request on."""
    from maingate.bootstrap import Maingate

    with Maingate.open(create=False) as maingate:
        maingate.tokens.revoke(name, operator=operator or operator_name())
    if as_json:
        print_json({"name": name, "revoked": True})
        return
    console().print(f"{safe(name)} is revoked.", soft_wrap=True)
