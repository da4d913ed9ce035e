"""``maingate events``: the history of all entities or of one, queries and reports about it."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from maingate.cli.completion import fixed_words, record_words
from maingate.cli.output import console, print_json, print_json_line
from maingate.cli.record_reading import opened_for_reading, print_no_runs
from maingate.cli.tables import print_table, table
from maingate.cli.text import local_time, safe
from maingate.cli.views.events import (
    cells_of,
    print_answer,
    print_events,
)
from maingate.errors import UsageError
from maingate.events import KIND_WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from maingate.bootstrap import Maingate
    from maingate.events import Event
    from maingate.monitoring.event_query_language import EventSearch
    from maingate.queries.events.answers import Answer
    from maingate.repository_context import RepositoryContext

FOLLOW_SECONDS: Final = 0.5
LISTED: Final = 200
SHOWN_BEFORE_FOLLOWING: Final = 10
REPORT: Final = "report"
"""The first word of `events report NAME`."""


def events(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUERY",
            help="Filters and groups, such as `type:gate since:7d by:gate`, or `report NAME`; see EVENTS.md.",
        ),
    ] = None,
    *,
    entity: Annotated[
        str | None,
        typer.Option(
            "--entity",
            "-e",
            metavar="ID",
            help="Only of this run, workstream, task, patch or gate.",
            autocompletion=record_words("RUN", "WORKSTREAM", "TASK", "ANY_GATE_ID"),
        ),
    ] = None,
    type_: Annotated[
        str | None,
        typer.Option(
            "--type",
            "-t",
            metavar="T",
            help="Only of this type, such as task or patch.",
            autocompletion=fixed_words("maingate.monitoring.event_query_language", "SHORT_TYPES"),
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="D", help="Only since then: 10m, 2h, or a date and time."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print new events until Ctrl-C.")] = False,
    aggregate: Annotated[bool, typer.Option("--aggregate", help="Count events by type and state.")] = False,
    report: Annotated[
        str | None,
        typer.Option(
            "--report",
            metavar="NAME",
            help="Print a report: slow, flaky, costly, blamed, waits or lead-time.",
            autocompletion=fixed_words("maingate.queries.events.reports", "REPORTS"),
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", "-n", min=0, metavar="N", help=f"Only the newest N; 0 for all. [default: {LISTED}]"
        ),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_lines: Annotated[bool, typer.Option("--jsonl", help="Print one JSON object per line.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON array; with --follow one JSON object per line.")
    ] = False,
) -> None:
    """List events, oldest first: changes of state, decisions by hand, warnings and errors."""
    from maingate.bootstrap import Maingate

    form = _form(as_json=as_json, as_lines=as_lines, as_csv=as_csv)
    query, report = _query_and_report(words or [], report)
    search = _search(query, entity, type_, since)
    if aggregate and (follow or report or replace(search, since=None) != _nothing()):
        raise UsageError("--aggregate counts all events: it can be combined with --since only")
    if follow and (report or not search.is_list or form == "csv"):
        raise UsageError("--follow lists events: it cannot be combined with a report, by:, show: or --csv")
    maingate = Maingate.open(create=False) if follow else opened_for_reading()
    if maingate is None:
        if form in ("", "json"):
            print_no_runs(as_json=as_json)
        return
    with maingate:
        if aggregate:
            _print_counts(maingate, search.since, as_json=as_json)
            return
        from maingate.queries.events.search import resolved

        search = resolved(maingate.context, search)
        if follow:
            shown = SHOWN_BEFORE_FOLLOWING if limit is None else limit
            _follow(maingate.context, search, limit=shown, as_json=form != "")
        elif report or not search.is_list:
            _print_answer(maingate.context, search, report, limit, form)
        else:
            _print_list(maingate.context, search, limit, form, is_about_one=entity is not None)


def _form(*, as_json: bool, as_lines: bool, as_csv: bool) -> str:
    """Return the form of the output: ``json``, ``jsonl``, ``csv``, or empty for people."""
    forms = [name for name, is_set in (("json", as_json), ("jsonl", as_lines), ("csv", as_csv)) if is_set]
    if len(forms) > 1:
        raise UsageError(f"--{forms[0]} and --{forms[1]} exclude each other: choose one")
    return forms[0] if forms else ""


def _query_and_report(words: "Sequence[str]", report: str | None) -> tuple[str, str | None]:
    if not words or words[0] != REPORT:
        return " ".join(words), report
    if report is not None or len(words) == 1:
        from maingate.queries.events.reports import REPORTS

        raise UsageError(f"name one report: {', '.join(REPORTS)}")
    return " ".join(words[2:]), words[1]


def _nothing() -> "EventSearch":
    from maingate.monitoring.event_query_language import EventSearch

    return EventSearch()


def _search(query: str, entity: str | None, type_: str | None, since: str | None) -> "EventSearch":
    """Return the query with what the options add to it.

    Raises:
        UsageError: The query has problems, or both state the same.
    """
    from maingate.monitoring.event_query_language import parse
    from maingate.queries.events.history import type_named

    now = datetime.now(UTC)
    search = parse(query, now=now) if query else _nothing()
    wanted = dict(search.wanted)
    wanted |= {} if entity is None else {"entity": (entity,)}
    wanted |= {} if type_ is None else {"type": (type_named(type_),)}
    options = {"entity": entity, "type": type_}
    stated = [name for name, value in options.items() if value is not None and name in search.wanted]
    stated += ["since"] if since is not None and search.since is not None else []
    if stated:
        raise UsageError(f"{stated[0]} is stated twice: in the query and as --{stated[0]}")
    moment = search.since if since is None else parse_moment(since, now=now)
    return replace(search, wanted=wanted, since=moment)


def parse_moment(text: str, *, now: datetime) -> datetime:
    """Parse ``--since``: a duration before now, or a date and time (local unless it has a zone).

    Raises:
        UsageError: The text is neither.
    """
    from maingate.monitoring.event_query_language import parse_moment as parsed

    try:
        return parsed(text, now)
    except ValueError as error:
        raise UsageError(f"--since {error}") from None


def _print_counts(maingate: "Maingate", since: datetime | None, *, as_json: bool) -> None:
    from maingate.queries.events.history import count_events

    counts = count_events(maingate.context, since=since)
    if as_json:
        print_json(counts)
        return
    out = console()
    grid = table("times", "what", "change", "by", "last")
    for one in counts:
        change = f"{one['from_state'] or '·'} → {one['to_state']}" if one["to_state"] else ""
        kind = KIND_WORDS.get(one["entity_type"] or "", one["entity_type"]) or one["event_type"]
        times, trigger, last = str(one["count"]), safe(one["trigger"] or ""), local_time(one["last"])
        grid.add_row(times, safe(kind), change, trigger, last)
    print_table(out, grid)


def _print_answer(
    context: "RepositoryContext", search: "EventSearch", name: str | None, limit: int | None, form: str
) -> None:
    from maingate.queries.events.answers import answer
    from maingate.queries.events.reports import report

    search = search if limit is None else replace(search, top=limit or None)
    found: Answer = report(context, name, search) if name else answer(context, search)
    if form == "csv":
        from maingate.queries.events.text import csv_text

        print(csv_text(found.columns, found.rows), end="")
    elif form == "json":
        print_json(found.as_json())
    elif form == "jsonl":
        for row in found.as_json()["rows"]:
            print_json_line(row)
    else:
        print_answer(found)


def _print_list(
    context: "RepositoryContext", search: "EventSearch", limit: int | None, form: str, *, is_about_one: bool
) -> None:
    from maingate.queries.events.answers import count
    from maingate.queries.events.history import names_of, older_run_of
    from maingate.queries.events.search import newest

    found = newest(context, search, limit)
    if form == "csv":
        from maingate.queries.events.text import csv_of_events

        print(csv_of_events(found), end="")
    elif form == "json":
        print_json([event.as_json() for event in found])
    elif form == "jsonl":
        for event in found:
            print_json_line(event.as_json())
    else:
        most = search.top or LISTED if limit is None else limit
        more = count(context, search) - most if most and len(found) == most else 0
        if is_about_one and (older := older_run_of(context, found)) is not None:
            console().print(f"from an older run: {older}", style="yellow", soft_wrap=True)
        print_events(found, names_of(context, found), more)


def _follow(context: "RepositoryContext", search: "EventSearch", *, limit: int, as_json: bool) -> None:
    """Print existing and then new events until Ctrl-C, which ends with exit code 0."""
    from maingate.queries.events.search import follow, last_place, newest

    last = last_place(context)
    shown = [event for event in newest(context, search, limit) if (event.seq or 0) <= last] if limit else []
    try:
        _print_following(context, shown, as_json=as_json)
        for found in follow(context, search, last, wait=_wait):
            _print_following(context, found, as_json=as_json)
    except KeyboardInterrupt:
        return


def _wait() -> bool:
    time.sleep(FOLLOW_SECONDS)
    return True


def _print_following(context: "RepositoryContext", shown: "Sequence[Event]", *, as_json: bool) -> None:
    from maingate.queries.events.history import names_of

    names: Mapping[str, str] = {} if as_json else names_of(context, shown)
    for event in shown:
        if as_json:
            print_json_line(event.as_json())
        else:
            print("  ".join(str(cell) for cell in cells_of(event, names) if cell), flush=True)
