"""The server of the Model Context Protocol: the tools of one repository, over standard input and output."""

from importlib.metadata import version
from inspect import getdoc
from pathlib import Path
from typing import Final

from mcp.server import MCPServer
from mcp_types import ToolAnnotations

from maingate.mcp.read_tools import ReadingTools
from maingate.mcp.write_tools import ActingTools

_INSTRUCTIONS: Final = (
    "Maingate lands patches: nothing reaches the target branch without passing its gates. "
    "Start with `status`; `why` explains any entity, `patch_show` a refused patch; `log_tail` has a gate's "
    "output. `land_dry_run` says whether finished work conflicts with its target. "
)
_READ_ONLY: Final = "Nothing can be changed here; a person may start this server with --allow-write."
_WRITING: Final = "`land`, `run_plan`, `cancel` and `queue_order` change the repository."


def create_server(start: Path, *, operator: str, may_write: bool) -> MCPServer:
    """Return the server of a repository.

    Args:
        start: A path in the repository.
        operator: The name that decisions are recorded under.
        may_write: Whether tools that change something are offered.
    """
    instructions = _INSTRUCTIONS + (_WRITING if may_write else _READ_ONLY)
    server = MCPServer(
        "maingate", instructions=instructions, version=version("maingate"), log_level="WARNING"
    )
    for tool in ReadingTools(start).all():
        server.add_tool(
            tool,
            description=getdoc(tool),
            annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
        )
    if may_write:
        for tool in ActingTools(start, operator=operator).all():
            server.add_tool(
                tool,
                description=getdoc(tool),
                annotations=ToolAnnotations(read_only_hint=False, destructive_hint=True),
            )
    return server


def serve(start: Path, *, operator: str, may_write: bool) -> None:
    """Serve until standard input ends. Nothing but the protocol is written to standard output."""
    create_server(start, operator=operator, may_write=may_write).run("stdio")
