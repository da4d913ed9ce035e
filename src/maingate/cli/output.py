"""Output of commands: consoles, JSON, the look of states, and errors as one paragraph.

Consoles made here do not interpret markup.
"""

import json
import os
import sys
import textwrap
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, Final

from maingate.cli.text import escaped, safe
from maingate.events import iso_millis
from maingate.wording import bounded

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH: Final = 160
"""Columns assumed without a terminal; tables shrink to their content."""
STATE_STYLES: Final[dict[str, str]] = {
    "succeeded": "green",
    "completed": "green",
    "committed": "green",
    "verified": "green",
    "PASSED": "green",
    "running": "cyan",
    "executing": "cyan",
    "validating": "cyan",
    "applied": "cyan",
    "RUNNING": "cyan",
    "retrying": "yellow",
    "stuck": "yellow",
    "skipped": "yellow",
    "lost": "yellow",
    "blocked": "yellow",
    "dropped": "yellow",
    "apply_failed": "yellow",
    "rolled_back": "yellow",
    "BLOCKED": "yellow",
    "canceled": "yellow",
    "cancelled": "yellow",
    "failed": "red",
    "quarantined": "red",
    "FAILED": "red",
}
"""Colours of states."""
SYMBOLS: Final[dict[str, str]] = {
    "completed": "✔",
    "succeeded": "✔",
    "committed": "✔",
    "failed": "✘",
    "quarantined": "✘",
    "executing": "●",
    "validating": "◆",
    "running": "●",
    "skipped": "○",
    "cancelled": "○",
    "canceled": "○",
    "dropped": "○",
    "retrying": "↻",
    "stuck": "⚠",
    "rolled_back": "↩",
}
"""Symbols of states at the beginning of a line."""
_WRAPPER: Final = textwrap.TextWrapper(
    width=100, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
)


def console(*, stderr: bool = False) -> "Console":
    """Return a console for standard output (or error) that interprets no markup."""
    from rich.console import Console

    made = Console(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = PIPE_WIDTH
    return made


def print_json(value: Any) -> None:
    """Print one JSON document in ASCII, which any terminal and pipe accepts."""
    sys.stdout.write(json.dumps(value, indent=2, default=_as_json) + "\n")
    sys.stdout.flush()


def print_json_line(value: Any) -> None:
    """Print one JSON document on one line and flush it."""
    sys.stdout.write(json.dumps(value, separators=(",", ":"), default=_as_json) + "\n")
    sys.stdout.flush()


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso_millis(value)
    if isinstance(value, bytes):
        return escaped(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def fail(message: str, *, stream: IO[str] | None = None) -> None:
    """Print an error as one paragraph on standard error, with prose wrapped.

    Args:
        message: The error. Its line ends are kept (a plan's problems are one per line).
        stream: The stream, if not standard error.
    """
    lines = [bounded(line) for line in safe(message, keep_newlines=True).splitlines()] or [""]
    first, *others = lines
    wrapped = _WRAPPER.wrap(f"maingate: {first}")
    print("\n".join([*wrapped, *(f"  {line}" for line in others)]), file=stream or sys.stderr)
