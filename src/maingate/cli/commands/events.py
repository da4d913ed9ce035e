"""``maingate events``: the history of all entities, or of one."""

import shlex
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from maingate.cli.commands.status import opened_for_reading, print_no_runs
from maingate.cli.output import (
    STATE_STYLES,
    console,
    local_time,
    print_json,
    print_json_line,
    print_more,
    print_table,
    reason_line,
    safe,
    short_time,
    table,
)
from maingate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.text import Text

    from maingate.bootstrap import Maingate
    from maingate.db.engine import Database
    from maingate.events import Event

PAGE: Final = 1000
FOLLOW_SECONDS: Final = 0.5
LISTED: Final = 200
SHOWN_BEFORE_FOLLOWING: Final = 10
SEVERITY_STYLES: Final = {"warning": "yellow", "error": "red", "critical": "bold red"}

_KINDS: Final = {"patch_ledger": "patch", "test_gate": "gate", "uet_worker": "slot"}
"""Short names of machines."""

_TRANSITION_OF: Final = {
    "run": "run_state_transition",
    "workstream": "workstream_state_transition",
    "task": "task_state_transition",
    "patch": "patch_ledger_state_transition",
    "gate": "test_gate_state_transition",
    "worker": "worker_state_transition",
}
"""Short names of the most common event types."""


_OTHER_TYPES: Final = (
    "error",
    "manual_override",
    "on_rollback",
    "on_rollback_failed",
    "patch_approved",
    "resumed",
    "rollback",
    "rollback_refused",
    "stuck",
    "warning",
)
"""Event types that are no change of state."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which events are asked for.

    Args:
        database: Where they are.
        entity: Only those about this entity.
        type: Only those of this type.
        since: Only those from this moment on.
    """

    database: "Database"
    entity: str | None = None
    type: str | None = None
    since: datetime | None = None

    def newest(self, limit: int) -> "list[Event]":
        """Read the newest ones, oldest of them first; a limit of 0 reads all."""
        if limit == 0:
            return list(self.after(0))
        return self._page(limit=limit, newest=True)[::-1]

    def last(self) -> int:
        """Tell the place of the newest event of all."""
        from maingate.db.dao import events as record

        with self.database.read() as conn:
            return max((event.seq or 0 for event in record.query(conn, limit=1, newest=True)), default=0)

    def after(self, seq: int) -> "Iterator[Event]":
        """Read those after a place in the order of events, in order, page by page."""
        while page := self._page(after_seq=seq, limit=PAGE):
            yield from page
            seq = max(event.seq or 0 for event in page)
            if len(page) < PAGE:
                return

    def _page(self, **how: Any) -> "list[Event]":
        from maingate.db.dao import events as record

        with self.database.read() as conn:
            return record.query(conn, entity=self.entity, type=self.type, since=self.since, **how)


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
    kind = None if type_ is None else _checked(type_)
    maingate = Maingate.open(create=False) if follow else opened_for_reading()
    if maingate is None:
        print_no_runs(as_json=as_json)
        return
    with maingate:
        if aggregate:
            _print_counts(maingate, moment, as_json=as_json)
            return
        chosen = Choice(
            database=maingate.database,
            entity=None if entity is None else _entity_id(maingate.database, entity),
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
        names = {} if as_json else _names(maingate.database, found)
        older = None if as_json or entity is None else _older_run(maingate.database, found)
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


def _checked(type_: str) -> str:
    """Return the full name of an event type.

    Raises:
        UsageError: The type is unknown.
    """
    from maingate.events import TRANSITION_SUFFIX
    from maingate.state.machines import MACHINES

    full = {*_OTHER_TYPES, *(f"{machine}{TRANSITION_SUFFIX}" for machine in MACHINES)}
    chosen = _TRANSITION_OF.get(type_, type_)
    if chosen not in full:
        known = ", ".join([*_TRANSITION_OF, *sorted(full)])
        raise UsageError(f"unknown event type {safe(type_)!r}: choose one of {known}")
    return chosen


def _entity_id(database: "Database", text: str) -> str:
    from maingate.db.dao import lookup

    with database.read() as conn:
        return lookup.find_in_newest(conn, text).id


def _older_run(database: "Database", shown: "Sequence[Event]") -> str | None:
    """Return the run of the events if it is not the newest one; else None."""
    from maingate.db.dao import runs

    with database.read() as conn:
        newest = runs.newest(conn)
    of_runs = {event.run_id for event in shown if event.run_id}
    return of_runs.pop() if newest and len(of_runs) == 1 and newest.id not in of_runs else None


def _print_counts(maingate: "Maingate", since: datetime | None, *, as_json: bool) -> None:
    from maingate.db.dao import events as record

    with maingate.database.read() as conn:
        counts = record.aggregate(conn, since=since)
    if as_json:
        print_json([asdict(one) for one in counts])
        return
    out = console()
    grid = table("times", "what", "change", "by", "last")
    for one in counts:
        change = f"{one.from_state or '·'} → {one.to_state}" if one.to_state else ""
        kind = _KINDS.get(one.entity_type or "", one.entity_type) or one.event_type
        grid.add_row(str(one.count), safe(kind), change, safe(one.trigger or ""), local_time(one.last))
    print_table(out, grid)


def _follow(chosen: Choice, *, limit: int, as_json: bool) -> None:
    """Print existing and then new events until Ctrl-C, which ends with exit code 0."""
    shown = chosen.newest(limit) if limit else []
    last = max((event.seq or 0 for event in shown), default=chosen.last())
    try:
        while True:
            _print_following(chosen.database, shown, as_json=as_json)
            time.sleep(FOLLOW_SECONDS)
            shown = list(chosen.after(last))
            last = max((event.seq or 0 for event in shown), default=last)
    except KeyboardInterrupt:
        return


def _print_following(database: "Database", shown: "Sequence[Event]", *, as_json: bool) -> None:
    names = {} if as_json else _names(database, shown)
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


def _names(database: "Database", shown: "Sequence[Event]") -> dict[str, str]:
    """Return the names of the workstreams and tasks that events are about, by id."""
    from maingate.db.dao import tasks, workstreams

    with database.read() as conn:
        of_tasks = tasks.get_many(conn, {event.task_id for event in shown if event.task_id})
        streams = {event.workstream_id for event in shown if event.workstream_id}
        of_streams = workstreams.get_many(conn, streams | {task.workstream_id for task in of_tasks.values()})
    names = {str(id_): stream.name for id_, stream in of_streams.items()}
    return names | {str(id_): f"{names[task.workstream_id]}/{task.name}" for id_, task in of_tasks.items()}


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
