"""View of the inbox: the first items above the report of a run, or all of them with their times."""

from typing import TYPE_CHECKING, Final

from maingate.cli.tables import print_indented
from maingate.cli.text import local_time, safe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from maingate.queries.inbox.values import InboxItem

FIRST: Final = 3
"""Items above the report of a run; the rest is counted."""

_STYLES: Final = {"critical": "bold red", "error": "red", "warning": "yellow"}


def print_needs(out: "Console", items: "Sequence[InboxItem]") -> None:
    """Print the first items and the command that lists all of them; nothing if there are none."""
    if not items:
        return
    out.print(f"Needs you: {len(items)}", style=_style(items[0]))
    for item in items[:FIRST]:
        _print_matter(out, item)
    more = len(items) - FIRST
    out.print(f"  … {more} more: maingate inbox\n" if more > 0 else "", style="dim")


def print_inbox(out: "Console", items: "Sequence[InboxItem]") -> None:
    """Print every item: its kind and time, its sentence, and the command that ends it."""
    if not items:
        out.print("nothing needs you")
    for item in items:
        since = "" if item.since is None else f"  since {local_time(item.since)}"
        out.print(f"{item.code}  {safe(item.about.name)}{since}", style=_style(item), soft_wrap=True)
        _print_matter(out, item)


def _print_matter(out: "Console", item: "InboxItem") -> None:
    """Print the sentence of an item, and its command on a line of its own."""
    print_indented(out, safe(item.why))
    out.print(f"    {safe(item.command)}", soft_wrap=True)


def _style(item: "InboxItem") -> str:
    return _STYLES.get(str(item.severity), "")
