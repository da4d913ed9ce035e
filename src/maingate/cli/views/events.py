"""The view of events, and of the tables that answer queries about them."""

import shlex
from typing import TYPE_CHECKING, Final

from maingate.cli.output import STATE_STYLES, console
from maingate.cli.tables import print_more, print_table, table
from maingate.cli.text import reason_line, safe, short_time
from maingate.events import KIND_WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.text import Text

    from maingate.events import Event
    from maingate.queries.events.answers import Answer

SEVERITY_STYLES: Final = {"warning": "yellow", "error": "red", "critical": "bold red"}

_TIMES: Final = frozenset({"p50", "p95", "longest", "total", "seconds"})
"""The columns in seconds."""


def print_events(shown: "Sequence[Event]", names: "Mapping[str, str]", more: int) -> None:
    """Print events as a table.

    Args:
        shown: The events.
        names: The names of workstreams and tasks by id.
        more: The number of events that match and are not shown.
    """
    out = console()
    if not shown:
        out.print("No events match.")
        return
    grid = table("when", "what", "change", "by", "why", wide="why")
    for event in shown:
        grid.add_row(*cells_of(event, names))
    print_table(out, grid)
    print_more(out, more, limit="--limit (0 for all)")


def cells_of(event: "Event", names: "Mapping[str, str]") -> "tuple[str, str, Text, str, str]":
    """Return the cells of an event: time, name, change, cause and reason."""
    from rich.text import Text

    if event.to_state is not None:
        change = Text(f"{event.from_state or '·'} → ")
        change.append(event.to_state, STATE_STYLES.get(event.to_state, ""))
    else:
        change = Text(safe(event.event_type), SEVERITY_STYLES.get(event.severity, ""))
    who = f" ({safe(event.operator)})" if event.operator else ""
    return (
        short_time(event.timestamp),
        _what(event, names),
        change,
        f"{safe(event.trigger or '')}{who}".strip(),
        _why(event),
    )


def _why(event: "Event") -> str:
    """Return why an event happened, with the command that ran or the time since when something is stuck."""
    facts = event.metadata
    said = [reason_line(event.reason)]
    if command := facts.get("command"):
        said.append(safe(command if isinstance(command, str) else shlex.join(map(str, command))))
    if event.event_type == "stuck" and "since" in facts:
        said.append(f"no progress since {safe(str(facts['since']))}")
    return ": ".join(part for part in said if part)


def _what(event: "Event", names: "Mapping[str, str]") -> str:
    """Return the name of an event's entity in the plan, or the last letters of its id."""
    kind = KIND_WORDS.get(event.entity_type or "", event.entity_type or "")
    name = names.get(event.task_id or "") or names.get(event.workstream_id or "")
    return f"{kind} {safe(name or (event.entity_id or '')[-6:])}".strip()


def print_answer(answer: "Answer") -> None:
    """Print a table that answers a query."""
    out = console()
    if not answer.rows:
        out.print("No events match.")
        return
    grid = table(*answer.columns, wide="waits" if "waits" in answer.columns else None)
    for row in answer.rows:
        grid.add_row(*(_shown(name, value) for name, value in zip(answer.columns, row, strict=True)))
    print_table(out, grid)
    print_more(out, answer.left_off, limit="top:N")


def _shown(name: str, value: object) -> str:
    if value is None:
        return "·"
    if name in _TIMES and isinstance(value, int | float):
        return _seconds(float(value))
    if name == "what":
        return KIND_WORDS.get(str(value)) or safe(str(value))
    if name == "day" and isinstance(value, str):
        return safe(value.partition("T")[0])
    if name == "share" and isinstance(value, float):
        return f"{value:.1%}"
    return f"{value:.2f}" if isinstance(value, float) else safe(str(value))


def _seconds(value: float) -> str:
    """Return a duration with two or three digits that matter."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}s"
