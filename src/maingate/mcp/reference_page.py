"""The table of arguments in docs/MCP.md, from the tools themselves.

``python -m maingate.mcp.reference_page < docs/MCP.md`` prints the page with its table made anew.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mcp.server.mcpserver.tools import Tool

from maingate.mcp.arguments import is_required, properties_of, taken_by
from maingate.mcp.server import tools_of

BEGIN: Final = "<!-- arguments: begin -->"
END: Final = "<!-- arguments: end -->"


def renewed(page: str) -> str:
    """Return the page with its table made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}{END}{after}"


def table() -> str:
    """Return the arguments of all tools as a table, ending with a newline."""
    tools = tools_of(Path(), operator="", may_write=True)
    rows = [row for tool in tools for row in _rows(tool)]
    return "\n".join(["| tool | argument | takes | meaning |", "|---|---|---|---|", *rows, ""])


def _rows(tool: Tool) -> Iterator[str]:
    described = properties_of(tool)
    if not described:
        yield f"| `{tool.name}` | none | | |"
    for name, schema in described.items():
        default = schema.get("default")
        shown = str(default).lower() if isinstance(default, bool) else default
        if is_required(tool, name):
            meaning = f"{schema['description']} Required."
        elif default in (None, ""):
            meaning = schema["description"]
        else:
            meaning = f"{schema['description']} Default: {shown}."
        yield f"| `{tool.name}` | `{name}` | {taken_by(schema)} | {meaning} |"


if __name__ == "__main__":
    sys.stdout.write(renewed(sys.stdin.read()))
