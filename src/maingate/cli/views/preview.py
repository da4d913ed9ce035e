"""The preview of a run: its tasks in the order of landing, with their gates."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from maingate.cli.output import console, print_json
from maingate.cli.tables import print_table, table
from maingate.cli.text import safe
from maingate.cli.views.trial import print_trial
from maingate.wording import listed

PREVIEWED: Final = 100
"""Maximum lines of a preview; further tasks are counted."""

GATES: Final = 5
"""Maximum gates on a line."""


def _preview_rows(streams: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str, str, str]]:
    for position, stream in enumerate(streams, start=1):
        after = f"   after {listed(stream['needs'])}" if stream["needs"] else ""
        yield f"{position}.", safe(stream["name"]), after, ""
        for task in stream["tasks"]:
            yield "", f"  {safe(task['name'])}", safe(task["from"]), listed(task["gates"], GATES) or "-"
        yield "", "  the merged result", "", listed(stream["gates"], GATES) or "-"


def print_preview(shown: dict[str, Any], *, as_json: bool) -> None:
    """Print the preview of a run."""
    if as_json:
        print_json(shown)
        return
    out = console()
    branch = shown["target"]["ref"].removeprefix("refs/heads/")
    at = shown["target"]["commit"][:10]
    out.print(f"{safe(shown['name'])}: would land on {safe(branch)} at {at}, in this order:")
    out.print()
    grid = table("", "task", "from", "gates", wide="gates")
    rows = list(_preview_rows(shown["workstreams"]))
    for row in rows[:PREVIEWED]:
        grid.add_row(*row)
    print_table(out, grid)
    if len(rows) > PREVIEWED:
        out.print(f"… {len(rows) - PREVIEWED} more lines; --json lists everything", style="dim")
    out.print()
    if "trial" in shown:
        print_trial(out, shown["trial"])
        out.print()
    out.print("Nothing was created. Run it without --dry-run to start.")
