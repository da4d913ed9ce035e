"""Options of commands by which a person decides something: a name, a reason, and the run of other names."""

import getpass
import os
from typing import Annotated

import typer

from maingate.cli.completion import RUNS

By = Annotated[
    str | None,
    typer.Option("--operator", metavar="NAME", help="Your name, recorded. [default: your login]"),
]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="The reason, recorded.")]
Run = Annotated[
    str | None,
    typer.Option("--run", metavar="RUN", help="The run to look up names in.", autocompletion=RUNS),
]


def operator_name() -> str:
    """Return the operator's name: ``MAINGATE_OPERATOR``, or the login name."""
    return os.environ.get("MAINGATE_OPERATOR") or getpass.getuser()
