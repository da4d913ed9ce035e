"""``maingate checkout repair``: update checkouts that did not follow their branch."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maingate.cli.exit_codes import ExitCode
from maingate.cli.output import console, print_json
from maingate.cli.text import safe

if TYPE_CHECKING:
    from maingate.landing.checkouts.checkout_repair import CheckoutRepair
    from maingate.landing.move_values import Behind

app = typer.Typer(help="Repair the checkouts of the repository.", no_args_is_help=True)


@app.callback()
def checkout() -> None:
    """Repair the checkouts of the repository."""


@app.command("repair")
def repair(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Update checkouts that did not follow their branch after a landing or a rollback.

    Files without edits are updated to what landed. Edits are kept and listed, with the commands that carry
    them over. Lock files of dead Maingate processes are removed; lock files of other programs are listed.
    Running it again is harmless. `run`, `resume` and `rollback` do the same by themselves.

    Exit codes: 0 every checkout is up to date, 4 a checkout could not be updated or is locked.
    """
    from maingate.git.repository import Repository
    from maingate.landing.checkouts.checkout_repair import repair as put_right
    from maingate.settings import load_settings

    with Repository.open(Path.cwd()) as repository:
        settings = load_settings(repository.root, os.environ)
        done = put_right(repository, timeout=settings.checkout_timeout)
    if as_json:
        print_json(_as_json(done))
    else:
        _print(done)
    if not done.is_in_order:
        raise typer.Exit(ExitCode.OUTSIDE_FAULT)


def _as_json(done: "CheckoutRepair") -> dict[str, Any]:
    return {
        "brought_along": [each.as_json() for each in done.brought],
        "behind": [each.as_json() for each in done.left],
        "locks_removed": list(done.removed),
        "locks": list(done.locks),
    }


def _print(done: "CheckoutRepair") -> None:
    out = console()
    for each in done.brought:
        out.print(f"updated {safe(each.top)} to {_branch(each)} at {each.new[:10]}", soft_wrap=True)
    for path in done.removed:
        out.print(f"removed {safe(path)}, a lock file of a dead Maingate process", soft_wrap=True)
    for left in done.left:
        out.print(safe(str(left)), soft_wrap=True)
    for said in done.locks:
        out.print(safe(said), soft_wrap=True)
    if done.is_in_order and not done.brought and not done.removed:
        out.print("Every checkout is up to date with its branch.")


def _branch(each: "Behind") -> str:
    return safe(each.ref.removeprefix("refs/heads/"))
