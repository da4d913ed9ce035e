"""Reading commands: opened without creating anything, with ``--json``, and with nothing to show yet."""

from typing import TYPE_CHECKING, Annotated

import typer

from maingate.cli.output import console, print_json
from maingate.errors import NoStateError

if TYPE_CHECKING:
    from maingate.bootstrap import Maingate

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def opened_for_reading() -> "Maingate | None":
    """Open Maingate for reading; return None if it has not run in this repository."""
    from maingate.bootstrap import Maingate

    try:
        return Maingate.open(create=False)
    except NoStateError:
        return None


def print_no_runs(*, as_json: bool) -> None:
    """Print an empty list, for a repository without runs."""
    if as_json:
        print_json([])
    else:
        console().print("No runs yet. `maingate land BRANCH` or `maingate run PLAN` starts one.")
