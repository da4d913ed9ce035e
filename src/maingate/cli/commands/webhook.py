"""``maingate webhook``: list, test and mend the receivers of webhooks; make secrets for them."""

import secrets
from typing import Annotated, Any

import typer

from maingate.cli.decision_options import By, Why, operator_name
from maingate.cli.exit_codes import ExitCode
from maingate.cli.output import console, print_json
from maingate.cli.record_reading import AsJson, opened_for_reading
from maingate.cli.tables import print_table, table
from maingate.cli.text import count, local_time, safe

app = typer.Typer(help="List, test and mend the receivers of webhooks.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The receiver's name in the settings.")]

_KEY_BYTES = 32


@app.command("list")
def list_receivers(as_json: AsJson = False) -> None:
    """List the receivers with how each fares."""
    maingate = opened_for_reading()
    rows: list[dict[str, Any]] = []
    if maingate is not None:
        from maingate.queries.webhooks import list_webhooks

        with maingate:
            rows = list_webhooks(maingate.context)
    if as_json:
        print_json(rows)
        return
    out = console()
    if not rows:
        out.print(
            "No receivers; `[webhooks.NAME]` in .git/maingate/maingate.toml names one (docs/WEBHOOKS.md)."
        )
        return
    grid = table("name", "address", "state", "delivered", "behind", "", wide="")
    for row in rows:
        until = "" if row["next_try_at"] is None else f"; next attempt {local_time(row['next_try_at'])}"
        why = row["trouble"] or ("" if row["failure"] is None else f"{row['failure']}{until}")
        behind = count(row["behind"], "row")
        grid.add_row(
            safe(row["name"]), safe(row["url"]), row["state"], str(row["delivered"]), behind, safe(why)
        )
    print_table(out, grid)


@app.command("test")
def send_test(name: Name, as_json: AsJson = False) -> None:
    """Send a receiver a signed event of the type webhook_test, which is not on record."""
    from maingate.bootstrap import Maingate

    with Maingate.open() as maingate:
        failure = maingate.webhooks.test(name)
    if as_json:
        print_json({"name": name, "delivered": failure is None, "failure": failure})
    elif failure is None:
        console().print(f"{safe(name)} has taken it.", soft_wrap=True)
    else:
        console().print(f"{safe(name)} has not taken it: {safe(failure)}.", soft_wrap=True)
    raise typer.Exit(ExitCode.DONE if failure is None else ExitCode.REFUSED)


@app.command()
def retry(name: Name, as_json: AsJson = False) -> None:
    """Deliver now what a receiver is owed, also to one that rests after failures or was gone."""
    from maingate.bootstrap import Maingate

    with Maingate.open() as maingate:
        attempt = maingate.webhooks.retry(name)
    if as_json:
        print_json({"name": name, "delivered": attempt.delivered, "failure": attempt.failure})
    else:
        left = "nothing more is owed" if attempt.failure is None else safe(attempt.failure)
        console().print(
            f"{safe(name)} has taken {count(attempt.delivered, 'event')}; {left}.", soft_wrap=True
        )
    raise typer.Exit(ExitCode.DONE if attempt.failure is None else ExitCode.REFUSED)


@app.command()
def skip(
    name: Name,
    reason: Why,
    is_all: Annotated[
        bool, typer.Option("--all", help="All that it is owed, not the next one only.")
    ] = False,
    operator: By = None,
    as_json: AsJson = False,
) -> None:
    """Leave out the event that a receiver is owed next and does not take, on record."""
    from maingate.bootstrap import Maingate

    with Maingate.open(create=False) as maingate:
        number = maingate.webhooks.skip(
            name, reason=reason, operator=operator or operator_name(), is_all=is_all
        )
    if as_json:
        print_json({"name": name, "skipped": number})
        return
    console().print(f"{safe(name)} is not sent {count(number, 'event')}.", soft_wrap=True)


@app.command()
def secret() -> None:
    """Make a secret, and print it; it is not stored anywhere."""
    from maingate.webhook_signature import new_secret

    console().print(new_secret(secrets.token_bytes(_KEY_BYTES)), soft_wrap=True)
