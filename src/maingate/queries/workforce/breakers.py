"""Circuit breakers of tools, in the public JSON form."""

import difflib
from datetime import timedelta
from typing import Any

from maingate.db.dao import breakers, runs
from maingate.db.dao.breakers import BreakerRow
from maingate.errors import UnknownEntityError
from maingate.repository_context import RepositoryContext
from maingate.tools.presets import PRESETS


def list_breakers(context: RepositoryContext) -> list[dict[str, Any]]:
    """Return the breakers of the tools that have ever failed or been tripped."""
    with context.database.read() as conn:
        return [breaker_json(row) for row in breakers.all_of(conn)]


def breaker_of(context: RepositoryContext, tool: str) -> BreakerRow:
    """Return the breaker of a tool.

    Raises:
        UnknownEntityError: It has none.
    """
    with context.database.read() as conn:
        row = breakers.of_tool(conn, tool)
    if row is None:
        raise UnknownEntityError(tool)
    return row


def breaker_json(row: BreakerRow) -> dict[str, Any]:
    """Return the public JSON form of a breaker."""
    next_try = None if row.opened_at is None else row.opened_at + timedelta(milliseconds=row.cooldown_ms)
    return {
        "id": row.id,
        "tool": row.tool,
        "state": str(row.state),
        "failures": row.failures,
        "threshold": row.threshold,
        "cooldown_seconds": row.cooldown_ms / 1000,
        "opened_at": row.opened_at,
        "next_try_at": next_try,
        "probe": None if row.probe_task is None else {"task": row.probe_task, "attempt": row.probe_attempt},
        "reason": None if row.reason is None else row.reason.as_json(),
    }


def require_known_tool(context: RepositoryContext, tool: str) -> None:
    """Raise for a tool that no run has ever used and that is no preset: the name is mistyped.

    Raises:
        UnknownEntityError: The tool is unknown.
    """
    with context.database.read() as conn:
        known = {str(preset) for preset in PRESETS} | {row.tool for row in breakers.all_of(conn)}
        if tool in known:
            return
        known |= runs.tools(conn)
    if tool in known:
        return
    near = difflib.get_close_matches(tool, sorted(known), n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "`maingate tools list` lists presets"
    raise UnknownEntityError(
        tool, f"unknown tool {tool!r}: no run here uses it and no preset has that name; {hint}"
    )
