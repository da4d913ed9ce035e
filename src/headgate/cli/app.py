"""The entry point: answers ``--version`` without loading anything, hands everything else to the commands."""

import gc
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
    gc.set_threshold(50_000, 20, 50)  # most of what is made at start stays, and looking it over again costs
    from headgate.cli.commands import app

    app(prog_name="headgate")
