"""Landing by an agent: `maingate land` with branches of the repository, or with a diff."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from maingate.mcp.own_commands import CommandEnd, started

Json = dict[str, Any]

Work = Annotated[
    list[str] | None,
    Field(
        max_length=1000,
        description="Branches ('agent/*' for several) or ranges A..B. Default: the branch checked out in the "
        "folder of this server.",
    ),
]
Diff = Annotated[
    str | None,
    Field(description="A unified diff, or a mail of `git format-patch`, in place of `work`."),
]
Into = Annotated[
    str | None, Field(max_length=250, description="The branch to land on. Default: the main line.")
]

_PREVIEW_SECONDS: Final = 300
_BEGUN: Final = "run run_"
_SHOWN: Final[Sequence[str]] = ("run_id", "state", "target", "items", "workstreams", "next_action")
"""The values of a report that answer an agent; `status` has the rest."""


def landed(
    folder: Path,
    work: Sequence[str] | None,
    diff: str | None,
    *,
    into: str | None,
    title: str | None,
    wait_seconds: int,
) -> Json:
    """Land work, and return its outcome: of each item, and the next step.

    Raises:
        ToolError: It was refused before anything was started.
    """
    options = [*_into(into), *([] if title is None else ["--title", title])]
    ended = _command(folder, work, diff, options, wait_seconds)
    if ended.code is None:
        return _under_way(ended)
    report = _report_of(ended)
    shown = {name: report[name] for name in _SHOWN if name in report}
    return {**shown, "is_running": False, "exit_code": ended.code}


def previewed(folder: Path, work: Sequence[str] | None, diff: str | None, *, into: str | None) -> Json:
    """Return the preview of a landing, with its conflicts.

    Raises:
        ToolError: The request is refused, or it takes too long.
    """
    ended = _command(folder, work, diff, [*_into(into), "--dry-run"], _PREVIEW_SECONDS)
    if ended.code is None:
        raise ToolError(f"the trial did not end within {_PREVIEW_SECONDS} s: name less work")
    return {**_report_of(ended), "exit_code": ended.code}


def _into(into: str | None) -> list[str]:
    return [] if into is None else ["--into", into]


def _command(
    folder: Path,
    work: Sequence[str] | None,
    diff: str | None,
    options: Sequence[str],
    seconds: float,
) -> CommandEnd:
    if diff is not None and work:
        raise ToolError("give `work` or `diff`, not both")
    named = ["-"] if diff is not None else list(work or ())
    words = ["land", "--json", *options, "--", *named]
    given = b"" if diff is None else diff.encode(errors="surrogateescape")
    return started(folder, *words, given=given).ended_within(seconds)


def _report_of(ended: CommandEnd) -> Json:
    """Return the object that a command printed.

    Raises:
        ToolError: It printed none, because it was refused or failed.
    """
    try:
        report = json.loads(ended.output)
    except ValueError as error:
        said = ended.messages.strip() or f"`maingate land` ended with exit code {ended.code}"
        raise ToolError(said) from error
    return dict(report)


def _under_way(ended: CommandEnd) -> Json:
    """Return the answer about work that is still under way."""
    lines = (line for line in ended.messages.splitlines() if line.startswith(_BEGUN))
    run_id = next((line.removeprefix("run ").partition(":")[0] for line in lines), None)
    action: Mapping[str, Any] = {
        "code": "wait",
        "about": run_id,
        "command": None if run_id is None else f"maingate status {run_id}",
    }
    return {"run_id": run_id, "is_running": True, "exit_code": None, "next_action": action}
