"""The entry point: answers ``--version`` without loading anything, hands everything else to the commands."""

import io
import sys
from importlib.metadata import version


def main() -> None:
    """Run the command line and leave with its exit code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        print(f"headgate {version('headgate')}")
        return
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that knows no ✔ is no error
    from headgate.cli.commands import app

    app(prog_name="headgate")
