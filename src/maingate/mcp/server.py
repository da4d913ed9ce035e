"""The server of the Model Context Protocol: the tools of one repository, over standard input and output."""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from inspect import getdoc
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mcp.server import MCPServer
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult, InputRequiredResult, ToolAnnotations

from maingate.mcp.arguments import require_valid
from maingate.mcp.read_tools import ReadingTools
from maingate.mcp.write_tools import ActingTools

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context

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
    return ToolServer(
        "maingate",
        tools=tools_of(start, operator=operator, may_write=may_write),
        instructions=instructions,
        version=version("maingate"),
        log_level="WARNING",
    )


class ToolServer(MCPServer):
    """A server that checks the arguments of a call before the tool has it.

    The library ignores an argument that a tool does not have, so that `land` with a misspelt one would land
    something else; and it answers a wrong one in the words of its own checks.

    Args:
        name: The name of the server.
        tools: Its tools.
        options: See `MCPServer`.
    """

    def __init__(self, name: str, *, tools: Sequence[Tool], **options: Any) -> None:
        super().__init__(name, tools=list(tools), **options)
        self._by_name = {tool.name: tool for tool in tools}

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: "Context[Any, Any] | None" = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool.

        Raises:
            ToolError: There is no such tool, its arguments are wrong, or it refuses the call.
        """
        if (tool := self._by_name.get(name)) is not None:
            require_valid(tool, arguments)
        return await super().call_tool(name, arguments, context)


def tools_of(start: Path, *, operator: str, may_write: bool) -> list[Tool]:
    """Return the tools of a repository; see `create_server`."""
    reads = ToolAnnotations(read_only_hint=True, open_world_hint=False)
    acts = ToolAnnotations(read_only_hint=False, destructive_hint=True)
    found = [_tool(each, reads) for each in ReadingTools(start).all()]
    acting = ActingTools(start, operator=operator).all() if may_write else []
    return [*found, *(_tool(each, acts) for each in acting)]


def _tool(function: Callable[..., Any], annotations: ToolAnnotations) -> Tool:
    tool = Tool.from_function(function, description=getdoc(function), annotations=annotations)
    tool.parameters["additionalProperties"] = False
    return tool


def serve(start: Path, *, operator: str, may_write: bool) -> None:
    """Serve until standard input ends. Nothing but the protocol is written to standard output."""
    create_server(start, operator=operator, may_write=may_write).run("stdio")
