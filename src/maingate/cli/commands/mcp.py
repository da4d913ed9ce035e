"""``maingate mcp``: serve one repository to agents by the Model Context Protocol."""

from pathlib import Path
from typing import Annotated

import typer

from maingate.cli.decision_options import operator_name
from maingate.errors import UsageError
from maingate.wording import extra_adds


def mcp(
    allow_write: Annotated[
        bool, typer.Option("--allow-write", help="Offer the tools that change something, too.")
    ] = False,
) -> None:
    """Serve this repository to an agent: its tools read runs, patches, logs and events.

    The protocol is spoken on standard input and output until the input ends; docs/MCP.md describes
    how to register it.
    """
    try:
        from maingate.mcp.server import serve
    except ImportError as error:
        raise UsageError(f"`maingate mcp` needs more packages ({error}); {extra_adds('mcp')}") from error
    serve(Path.cwd(), operator=operator_name(), may_write=allow_write)
