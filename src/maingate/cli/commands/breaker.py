"""``maingate breaker``: list the circuit breakers of tools, reset and trip them."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from maingate.cli.commands.run import operator_name
from maingate.cli.commands.status import AsJson, opened_for_reading, print_no_runs
from maingate.cli.output import console, count, local_time, print_json, print_table, reason_line, safe, table
from maingate.errors import UnknownEntityError, UsageError
from maingate.state.circuit_breaker import BreakerState

if TYPE_CHECKING:
    from maingate.db.connection import Connection
    from maingate.db.dao.breakers import BreakerRow

app = typer.Typer(help="List the circuit breakers of tools; reset or trip one.", no_args_is_help=True)

Tool = Annotated[str, typer.Argument(metavar="TOOL", help="The tool's name in its plans.")]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="The reason, recorded.")]
By = Annotated[
    str | None,
    typer.Option("--operator", metavar="NAME", help="Your name, recorded. [default: your login]"),
]


_MEANINGS: Final = {
    BreakerState.CLOSED: "in use (circuit breaker closed)",
    BreakerState.OPEN: "paused (circuit breaker open)",
    BreakerState.HALF_OPEN: "probing (circuit breaker half open)",
}
"""States of a breaker, described by their effect on the tool."""


@app.command("list")
def list_breakers(as_json: AsJson = False) -> None:
    """List the tools that have ever failed or been tripped, with the state of their breakers."""
    from maingate.db.dao import breakers

    maingate = opened_for_reading()
    if maingate is None:
        print_no_runs(as_json=as_json)
        return
    with maingate, maingate.database.read() as conn:
        rows = breakers.all_of(conn)
    if as_json:
        print_json([breaker_json(row) for row in rows])
        return
    out = console()
    if not rows:
        out.print("No tool has failed yet.")
        return
    grid = table("tool", "state", "failures", "next try", "", wide="")
    for row in rows:
        until = "" if row.opened_at is None else local_time(row.opened_at + _cooldown(row))
        until = f"probe: {safe(row.probe_task)}" if row.probe_task is not None else until
        grid.add_row(safe(row.tool), _MEANINGS[row.state], str(row.failures), until, reason_line(row.reason))
    print_table(out, grid)


@app.command()
def reset(tool: Tool, reason: Why, operator: By = None, as_json: AsJson = False) -> None:
    """Close the circuit breaker of a tool, so that the tool is used again at once."""
    _by_hand("reset", tool, reason, operator, as_json=as_json)


@app.command()
def trip(tool: Tool, reason: Why, operator: By = None, as_json: AsJson = False) -> None:
    """Open the circuit breaker of a tool, which pauses the tool for its cooldown."""
    _by_hand("trip", tool, reason, operator, as_json=as_json)


def breaker_json(row: "BreakerRow") -> dict[str, Any]:
    """Return the public JSON form of a breaker."""
    return {
        "id": row.id,
        "tool": row.tool,
        "state": str(row.state),
        "failures": row.failures,
        "threshold": row.threshold,
        "cooldown_seconds": row.cooldown_ms / 1000,
        "opened_at": row.opened_at,
        "next_try_at": None if row.opened_at is None else row.opened_at + _cooldown(row),
        "probe": None if row.probe_task is None else {"task": row.probe_task, "attempt": row.probe_attempt},
        "reason": None if row.reason is None else row.reason.as_json(),
    }


def _require_known_tool(conn: "Connection", tool: str) -> None:
    """Raise for a tool that no run has ever used and that is no preset: the name is mistyped.

    Raises:
        UnknownEntityError: The tool is unknown.
    """
    import difflib

    from maingate.db.dao import breakers, runs
    from maingate.tools.presets import PRESETS

    known = {str(preset) for preset in PRESETS} | {row.tool for row in breakers.all_of(conn)}
    if tool in known:
        return
    known |= runs.tools(conn)
    if tool not in known:
        near = difflib.get_close_matches(tool, sorted(known), n=3)
        hint = (
            f"did you mean {' or '.join(map(safe, near))}?" if near else "`maingate tools list` lists presets"
        )
        raise UnknownEntityError(
            tool, f"unknown tool {safe(tool)!r}: no run here uses it and no preset has that name; {hint}"
        )


def _cooldown(row: "BreakerRow") -> timedelta:
    return timedelta(milliseconds=row.cooldown_ms)


def _by_hand(what: str, tool: str, reason: str, operator: str | None, *, as_json: bool) -> None:
    from maingate.bootstrap import Maingate

    if not reason.strip() or not tool.strip():
        raise UsageError("TOOL and --reason must not be empty")
    by = operator or operator_name()
    with Maingate.open(create=False) as maingate:
        with maingate.database.read() as conn:
            _require_known_tool(conn, tool)
        row = maingate.operator.override_breaker(what, tool, reason=reason, operator=by)
    if as_json:
        print_json(breaker_json(row))
        return
    pause = f"is paused for {count(row.cooldown_ms // 1000, 'second')}; then one task probes it"
    outcome = "is in use again" if what == "reset" else pause
    console().print(f"{safe(row.tool)} {outcome}.", soft_wrap=True)
