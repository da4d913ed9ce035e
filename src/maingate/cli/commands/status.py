"""``maingate status``: show a run."""

import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from maingate.cli.completion import RUNS
from maingate.cli.output import console, print_json
from maingate.cli.record_reading import AsJson
from maingate.cli.remote_runs import (
    Repo,
    Server,
    TokenFile,
    client_of,
    is_under_way,
    page_of,
    report_of,
    require_server,
)
from maingate.cli.text import safe
from maingate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from maingate.bootstrap import Maingate
    from maingate.queries.inbox.values import InboxItem

WATCH_SECONDS: Final = 1.0


def status(  # noqa: PLR0917 - the options of a command line
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="A run id or the beginning of one. [default: the newest run]",
            autocompletion=RUNS,
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show its live progress until it stops.")] = False,
    every_task: Annotated[bool, typer.Option("--all", "-a", help="List every task and its patch.")] = False,
    as_json: AsJson = False,
    server: Server = None,
    repo: Repo = None,
    token_file: TokenFile = None,
) -> None:
    """Show a run: landed work, refused work with its reasons, and work under way.

    Above it are the first matters that need you; `maingate inbox` lists all of them.
    """
    from maingate.bootstrap import Maingate
    from maingate.queries.inbox.open_matters import inbox
    from maingate.queries.names import find_run

    if watch and as_json:
        raise UsageError("--watch and --json cannot be combined; try `maingate events --follow --json`")
    if server is not None:
        with client_of(server, token_file) as client:
            report = report_of(client, run, repo=repo)
            if watch:
                _watch(lambda: (report_of(client, report["run_id"]), ()), every_task=every_task)
                return
        page = page_of(server, report["run_id"])
        _print(report, (), every_task=every_task, as_json=as_json, page=page)
        return
    require_server(repo=repo, token_file=token_file)
    with Maingate.open(create=False) as maingate:
        run_id = find_run(maingate.context, run)
        if watch:
            from maingate.cli.run_follower import watch as watch_run

            watch_run(maingate, run_id)
        report = maingate.report(run_id)
        _warn_of_copy(maingate, report)
        needs = [] if as_json else inbox(maingate.context)
    _print(report, needs, every_task=every_task, as_json=as_json)


def _print(
    report: dict[str, Any],
    needs: "Sequence[InboxItem]",
    *,
    every_task: bool,
    as_json: bool,
    page: str | None = None,
) -> None:
    """Print the report of a run, below what needs a person."""
    if as_json:
        print_json(report)
        return
    from maingate.cli.views.hints import print_hints
    from maingate.cli.views.inbox import print_needs
    from maingate.cli.views.report import print_report

    out = console()
    print_needs(out, needs)
    print_report(out, report, every_task=every_task)
    if not every_task:
        print_hints(out, report, page=page)


def _warn_of_copy(maingate: "Maingate", report: dict[str, Any]) -> None:
    """Print on standard error if a run belongs to the repository that this one is a copy of."""
    home = maingate.context.identity.copied_from
    if home is not None and report["repository"] == home:
        console(stderr=True).print(
            f"this run belongs to the repository at {safe(home)}, of which this one is a copy; "
            "follow and continue it there",
            soft_wrap=True,
        )


def _watch(read: "Callable[[], tuple[dict[str, Any], Sequence[InboxItem]]]", *, every_task: bool) -> None:
    """Print the report repeatedly until the run has ended, or no process works on it and none is to."""
    from maingate.cli.views.inbox import print_needs
    from maingate.cli.views.report import print_report

    out = console()
    while True:
        report, needs = read()
        if out.is_terminal:
            out.clear()
        print_needs(out, needs)
        print_report(out, report, every_task=every_task)
        if not is_under_way(report):
            return
        time.sleep(WATCH_SECONDS)
