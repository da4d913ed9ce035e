"""``maingate breaker``: list the circuit breakers of tools, reset and trip them."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from maingate.cli.completion import record_words
from maingate.cli.decision_options import By, Why, operator_name
from maingate.cli.output import console, print_json
from maingate.cli.record_reading import AsJson, opened_for_reading, print_no_runs
from maingate.cli.tables import print_table, table
from maingate.cli.text import count, local_time, reason_line, safe
from maingate.state.circuit_breaker import BreakerState

if TYPE_CHECKING:
    from maingate.state.operator_rules import BreakerAction

app = typer.Typer(help="List the circuit breakers of tools; reset or trip one.", no_args_is_help=True)

Tool = Annotated[
    str,
    typer.Argument(
        metavar="TOOL", help="The tool's name in its plans.", autocompletion=record_words("BREAKER", "TOOL")
    ),
]


_MEANINGS: Final[dict[str, str]] = {
    BreakerState.CLOSED: "in use (circuit breaker closed)",
    BreakerState.OPEN: "paused (circuit breaker open)",
    BreakerState.HALF_OPEN: "probing (circuit breaker half open)",
}
"""States of a breaker, described by their effect on the tool."""


@app.command("list")
def list_breakers(as_json: AsJson = False) -> None:
    """List the tools that have ever failed or been tripped, with the state of their breakers."""
    maingate = opened_for_reading()
    if maingate is None:
        print_no_runs(as_json=as_json)
        return
    from maingate.queries.workforce import breakers

    with maingate:
        rows = breakers.list_breakers(maingate.context)
    if as_json:
        print_json(rows)
        return
    out = console()
    if not rows:
        out.print("No tool has failed yet.")
        return
    grid = table("tool", "state", "failures", "next try", "", wide="")
    for row in rows:
        until = "" if row["next_try_at"] is None else local_time(row["next_try_at"])
        until = f"probe: {safe(row['probe']['task'])}" if row["probe"] is not None else until
        meaning, why = _MEANINGS[row["state"]], reason_line(row["reason"])
        grid.add_row(safe(row["tool"]), meaning, str(row["failures"]), until, why)
    print_table(out, grid)


@app.command()
def reset(tool: Tool, reason: Why, operator: By = None, as_json: AsJson = False) -> None:
    """Close the circuit breaker of a tool, so that the tool is used again at once."""
    _by_hand("reset", tool, reason, operator, as_json=as_json)


@app.command()
def trip(tool: Tool, reason: Why, operator: By = None, as_json: AsJson = False) -> None:
    """Open the circuit breaker of a tool, which pauses the tool for its cooldown."""
    _by_hand("trip", tool, reason, operator, as_json=as_json)


def _by_hand(what: "BreakerAction", tool: str, reason: str, operator: str | None, *, as_json: bool) -> None:
    from maingate.bootstrap import Maingate
    from maingate.queries.workforce.breakers import breaker_json, require_known_tool

    by = operator or operator_name()
    with Maingate.open(create=False) as maingate:
        require_known_tool(maingate.context, tool)
        row = maingate.operator.override_breaker(what, tool, reason=reason, operator=by)
    if as_json:
        print_json(breaker_json(row))
        return
    pause = f"is paused for {count(row.cooldown_ms // 1000, 'second')}; then one task probes it"
    outcome = "is in use again" if what == "reset" else pause
    console().print(f"{safe(row.tool)} {outcome}.", soft_wrap=True)
