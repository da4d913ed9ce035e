"""``maingate events``: the history of all entities, or of one."""

import shlex
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from maingate.cli.commands.status import opened_for_reading, print_no_runs
from maingate.cli.output import STATE_STYLES, console, print_json, print_json_line
from maingate.cli.tables import print_more, print_table, table
from maingate.cli.text import local_time, reason_line, safe, short_time
from maingate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.text import Text

    from maingate.bootstrap import Maingate
    from maingate.events import Event
    from maingate.queries.events import EventQuery

FOLLOW_SECONDS: Final = 0.5
LISTED: Final = 200
SHOWN_BEFORE_FOLLOWING: Final = 10
SEVERITY_STYLES: Final = {"warning": "yellow", "error": "red", "critical": "bold red"}

_KINDS: Final = {"patch_ledger": "patch", "test_gate": "gate", "uet_worker": "slot"}
"""Short names of machines."""


def events(
    *,
    entity: Annotated[
        str | None,
        typer.Option(
            "--entity", "-e", metavar="ID", help="Only of this run, workstream, task, patch or gate."
        ),
    ] = None,
    type_: Annotated[
        str | None,
        typer.Option("--type", "-t", metavar="T", help="Only of this type, such as task or patch."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="D", help="Only since then: 10m, 2h, or a date and time."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print new events until Ctrl-C.")] = False,
    aggregate: Annotated[bool, typer.Option("--aggregate", help="Count events by type and state.")] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", "-n", min=0, metavar="N", help=f"Only the newest N; 0 for all. [default: {LISTED}]"
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON array; with --follow one JSON object per line.")
    ] = False,
) -> None:
    """List events, oldest first: changes of state, decisions by hand, warnings and errors."""
    from maingate.bootstrap import Maingate

    moment = None if since is None else parse_moment(since, now=datetime.now(UTC))
    if aggregate and (follow or entity is not None or type_ is not None):
        raise UsageError("--aggregate counts all events: it can be combined with --since only")
    from maingate.queries.events import EventQuery, names_of, older_run_of, type_named
    from maingate.queries.names import find_id

    kind = None if type_ is None else type_named(type_)
    maingate = Maingate.open(create=False) if follow else opened_for_reading()
    if maingate is None:
        print_no_runs(as_json=as_json)
        return
    with maingate:
        if aggregate:
            _print_counts(maingate, moment, as_json=as_json)
            return
        chosen = EventQuery(
            context=maingate.context,
            entity=None if entity is None else find_id(maingate.context, entity),
            type=kind,
            since=moment,
        )
        if follow:
            _follow(chosen, limit=SHOWN_BEFORE_FOLLOWING if limit is None else limit, as_json=as_json)
            return
        most = LISTED if limit is None else limit
        found = chosen.newest(most)
        is_cut = most and len(found) == most and not as_json
        more = len(chosen.newest(0)) - most if is_cut else 0
        names = {} if as_json else names_of(maingate.context, found)
        older = None if as_json or entity is None else older_run_of(maingate.context, found)
    if as_json:
        print_json([event.as_json() for event in found])
        return
    if older is not None:
        console().print(f"from an older run: {older}", style="yellow", soft_wrap=True)
    _print_events(found, names, more)


def parse_moment(text: str, *, now: datetime) -> datetime:
    """Parse ``--since``: a duration before now, or a date and time (local unless it has a zone).

    Raises:
        UsageError: The text is neither.
    """
    from pydantic_core import PydanticCustomError

    from maingate.settings.durations import parse_duration

    try:
        return now - parse_duration(text)
    except PydanticCustomError:
        pass
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f"--since {safe(text)!r} is neither a duration such as 10m nor a time such as 2026-01-31T12:00"
        ) from None


def _print_counts(maingate: "Maingate", since: datetime | None, *, as_json: bool) -> None:
    from maingate.queries.events import count_events

    counts = count_events(maingate.context, since=since)
    if as_json:
        print_json(counts)
        return
    out = console()
    grid = table("times", "what", "change", "by", "last")
    for one in counts:
        change = f"{one['from_state'] or '·'} → {one['to_state']}" if one["to_state"] else ""
        kind = _KINDS.get(one["entity_type"] or "", one["entity_type"]) or one["event_type"]
        times, trigger, last = str(one["count"]), safe(one["trigger"] or ""), local_time(one["last"])
        grid.add_row(times, safe(kind), change, trigger, last)
    print_table(out, grid)


def _follow(chosen: "EventQuery", *, limit: int, as_json: bool) -> None:
    """Print existing and then new events until Ctrl-C, which ends with exit code 0."""
    shown = chosen.newest(limit) if limit else []
    last = max((event.seq or 0 for event in shown), default=chosen.last())
    try:
        while True:
            _print_following(chosen, shown, as_json=as_json)
            time.sleep(FOLLOW_SECONDS)
            shown = list(chosen.after(last))
            last = max((event.seq or 0 for event in shown), default=last)
    except KeyboardInterrupt:
        return


def _print_following(chosen: "EventQuery", shown: "Sequence[Event]", *, as_json: bool) -> None:
    from maingate.queries.events import names_of

    names = {} if as_json else names_of(chosen.context, shown)
    for event in shown:
        if as_json:
            print_json_line(event.as_json())
        else:
            print("  ".join(str(cell) for cell in _cells(event, names) if cell), flush=True)


def _print_events(shown: "Sequence[Event]", names: "Mapping[str, str]", more: int) -> None:
    out = console()
    if not shown:
        out.print("No events match.")
        return
    grid = table("when", "what", "change", "by", "why", wide="why")
    for event in shown:
        grid.add_row(*_cells(event, names))
    print_table(out, grid)
    print_more(out, more, limit="--limit (0 for all)")


def _cells(event: "Event", names: "Mapping[str, str]") -> "tuple[str, str, Text, str, str]":
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
    kind = _KINDS.get(event.entity_type or "", event.entity_type or "")
    name = names.get(event.task_id or "") or names.get(event.workstream_id or "")
    return f"{kind} {safe(name or (event.entity_id or '')[-6:])}".strip()
