"""``maingate clean``: remove what past runs left behind, and nothing that is evidence."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

from maingate.cli.output import console, print_json
from maingate.cli.text import count, safe, size
from maingate.errors import UsageError

if TYPE_CHECKING:
    from maingate.services.ended_run_cleanup import Leftovers

KEPT_LOGS: Final = 1000


def clean(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the leftovers; remove nothing.")] = False,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="D",
            help="Keep the refs and recovery plans of runs that ended within this time, such as 7d.",
        ),
    ] = None,
    keep_logs: Annotated[
        int, typer.Option("--keep-logs", min=0, metavar="N", help="Keep the newest N gate logs.")
    ] = KEPT_LOGS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Remove the leftovers of ended runs: cached worktrees, refs, old gate logs and recovery plans.

    Patches, their diffs and the record stay.
    """
    from maingate.bootstrap import Maingate

    older = _duration(older_than)
    with Maingate.open(create=False) as maingate:
        found = maingate.cleanup.clean(older_than=older, keep_logs=keep_logs, dry_run=dry_run)
    if as_json:
        print_json(found.as_json(dry_run=dry_run))
    else:
        _print(found, dry_run=dry_run)


def _duration(text: str | None) -> timedelta:
    from pydantic_core import PydanticCustomError

    from maingate.settings.durations import parse_duration

    if text is None:
        return timedelta()
    try:
        return parse_duration(text)
    except PydanticCustomError as error:
        raise UsageError(f"--older-than: {error.message()}") from error


def _print(found: "Leftovers", *, dry_run: bool) -> None:
    out = console()
    parts = [
        count(len(found.worktrees), "worktree"),
        count(len(found.refs), "ref"),
        count(len(found.logs), "gate log"),
        *([count(len(found.recoveries), "recovery", "recoveries")] if found.recoveries else []),
    ]
    if not (found.paths or found.refs):
        out.print("Nothing to clean.")
        return
    out.print(f"{'Would remove' if dry_run else 'Removed'} {', '.join(parts)}: {size(found.freed)}.")
    if dry_run:
        on_disk = map(str, (*found.logs, *found.recoveries))
        for line in (*map(str, found.worktrees), *found.refs, *on_disk):
            out.print(f"  {safe(line)}", soft_wrap=True)
