"""Output of commands: escaped text, tables, JSON, and errors as one paragraph.

Patches, file names, messages and gate output are untrusted. All of it goes through
:func:`safe` before it reaches a terminal: control characters, escape sequences and text-direction marks are
shown as escapes instead of taking effect. Consoles made here do not interpret markup.
"""

import json
import os
import re
import sys
import textwrap
import unicodedata
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, Final

from maingate.events import iso_millis
from maingate.queries.page import EVERY
from maingate.wording import bounded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console
    from rich.table import Table

    from maingate.reasons import Reason

STACKED: Final = 60
"""Below this many columns, each row of a table that does not fit is printed as lines."""
LEAST_ROOM: Final = 24
"""Minimum columns for readable text in a table."""
PIPE_WIDTH: Final = 160
"""Columns assumed without a terminal; tables shrink to their content."""

_INDENT: Final = "    "
_COMMAND: Final = re.compile("`[^`]+`")
_GLUE: Final = "\ue000"
"""Replacement for a space at which no line breaks; :func:`safe` escapes this character."""

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
}
"""Symbols of states at the beginning of a line."""

_WRAPPER: Final = textwrap.TextWrapper(
    width=100, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
)
_FIRST_BYTE: Final = 0xDC80
"""Python's surrogate for the byte 0x80 of a name that is not UTF-8."""
_HIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def safe(text: str | bytes, *, keep_newlines: bool = False) -> str:
    r"""Escape untrusted text so that it is safe to print.

    Args:
        text: Text or bytes; bytes are read as UTF-8, and invalid bytes become ``\xNN``.
        keep_newlines: Keep line ends and tabs, for text of several lines.

    Returns:
        The text with control and invisible characters as escapes. A single line is shortened: long words
        lose their middle, and the whole is at most a few lines of a terminal.
    """
    whole = escaped(text, keep_newlines=keep_newlines)
    return whole if keep_newlines else bounded(whole)


def escaped(text: str | bytes, *, keep_newlines: bool = False) -> str:
    """Escape untrusted text without shortening it."""
    shown = text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else text
    if shown.isascii() and shown.isprintable():
        return shown
    let_through = "\n\t" if keep_newlines else ""
    return "".join(c if c in let_through or _is_harmless(c) else _escape(c) for c in shown)


def _is_harmless(character: str) -> bool:
    return unicodedata.category(character) not in _HIDDEN_CATEGORIES


def _escape(character: str) -> str:
    named = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
    code = ord(character)
    if _FIRST_BYTE <= code <= _FIRST_BYTE + 0x7F:
        code -= _FIRST_BYTE - 0x80
    return named.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:x}}}")  # noqa: PLR2004


def console(*, stderr: bool = False) -> "Console":
    """Return a console for standard output (or error) that interprets no markup."""
    from rich.console import Console

    made = Console(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = PIPE_WIDTH
    return made


def table(*columns: str, wide: str | None = None) -> "Table":
    """Return an empty table with a plain header and no lines.

    Args:
        columns: The headings.
        wide: The heading of the column whose text may wrap; the others keep to one line.
    """
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in columns:
        made.add_column(heading, overflow="fold", no_wrap=heading != wide)
    return made


def print_table(out: "Console", grid: "Table") -> None:
    """Print a table; if it does not fit, print each row as several lines, so that nothing is cropped.

    Single-line cells (commands, ids, times) then share lines, and the text of the wrapping column follows on
    indented lines. Commands are never broken.
    """
    from rich.cells import cell_len

    columns = [[column.header, *column.cells] for column in grid.columns]
    needs = [max(cell_len(str(cell)) for cell in cells) for cells in columns]
    wide = max((n for n, column in enumerate(grid.columns) if not column.no_wrap), default=None)
    whole = sum(needs) + 2 * (len(needs) - 1)
    room = out.width if wide is None else out.width - whole + needs[wide]
    commands = (
        () if wide is None else (len(one) for cell in columns[wide] for one in _COMMAND.findall(str(cell)))
    )
    least = max((LEAST_ROOM, *commands))
    if whole <= out.width:
        out.print(grid)
    elif wide is not None and out.width >= STACKED and room >= least:
        out.print(_folded(grid, wide, room))
    else:
        rows = list(zip(*columns, strict=True))
        for cells in rows if grid.show_header else rows[1:]:
            _print_stacked(out, cells, wide, is_header=cells is rows[0])


def _print_stacked(out: "Console", cells: "Sequence[Any]", wide: int | None, *, is_header: bool) -> None:
    from rich.text import Text

    lines: list[Text] = []
    for n, cell in enumerate(cells):
        if n == wide or not str(cell).strip():
            continue
        text = cell if isinstance(cell, Text) else Text(str(cell))
        if lines and lines[-1].cell_len + 2 + text.cell_len <= out.width:
            lines[-1].append("  ").append_text(text)
        else:
            lines.append(Text(_INDENT if lines else "").append_text(text))
    for line in lines:
        if is_header:
            line.stylize("bold")
        out.print(line, soft_wrap=True)
    if wide is not None and is_header and str(cells[wide]):
        out.print(Text(f"{_INDENT}{cells[wide]}", style="bold"), soft_wrap=True)
    elif wide is not None and str(cells[wide]):
        print_indented(out, str(cells[wide]))


def _folded(grid: "Table", wide: int, width: int) -> "Table":
    """Return a table whose commands in the wrapping column are not broken."""
    made = table(*(str(column.header) for column in grid.columns))
    made.show_header, made.columns[wide].no_wrap = grid.show_header, False
    for cells in zip(*(column.cells for column in grid.columns), strict=True):
        text = cells[wide]
        is_command = isinstance(text, str) and _COMMAND.search(text) is not None
        folded = [_lines(str(text), width)] if is_command else [text]
        made.add_row(*cells[:wide], *folded, *cells[wide + 1 :])
    return made


def _lines(text: str, width: int) -> str:
    """Wrap text; commands in backticks stay on one line, so that they can be copied."""
    glued = _COMMAND.sub(lambda command: command[0].replace(" ", _GLUE), text)
    wrapped = textwrap.wrap(glued, width=width, break_on_hyphens=False, break_long_words=False)
    return "\n".join(wrapped).replace(_GLUE, " ")


def print_indented(out: "Console", text: str) -> None:
    """Print text that may wrap, indented."""
    from rich.padding import Padding
    from rich.text import Text

    if _COMMAND.search(text):
        for line in _lines(text, max(out.width - len(_INDENT), LEAST_ROOM)).splitlines():
            out.print(f"{_INDENT}{line}", soft_wrap=True)
        return
    out.print(Padding(Text(text, overflow="fold"), (0, 0, 0, len(_INDENT))))


def print_commands(out: "Console", hints: "Sequence[tuple[str, str]]") -> None:
    """Print commands, never cropped, each with its description beside or below it."""
    longest = max(len(command) for command, _ in hints)
    fits = 2 + longest + 2 + max(len(tells) for _, tells in hints) <= out.width
    for command, tells in hints:
        out.print(f"  {command:<{longest}}  {tells}" if fits else f"  {command}", soft_wrap=True)
        if not fits:
            print_indented(out, tells)


def most_of(limit: int | None, *, shown: int, as_json: bool) -> int:
    """Return how many rows to read: the given limit, else all for JSON and some for people."""
    if limit is not None:
        return limit
    return EVERY if as_json else shown


def print_more(out: "Console", more: int, *, limit: str = "--limit") -> None:
    """Print how many rows a list left out and which option lists them; nothing if none."""
    if more > 0:
        out.print(f"… {more} more, {limit}", style="dim")


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


def local_time(at: datetime) -> str:
    """Return a moment in local time, such as ``2026-01-31 13:00:00``."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def short_time(at: datetime) -> str:
    """Return a moment in local time without the year, such as ``01-31 13:00:00``."""
    return f"{at.astimezone():%m-%d %H:%M:%S}"


def duration(seconds: float) -> str:
    """Return a duration for people: ``4.2s``, ``1m05s``, ``2h03m``."""
    if seconds < 59.95:  # noqa: PLR2004
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{rest:02d}s"


def size(number: int) -> str:
    """Return a number of bytes in powers of 1024: ``512 B``, ``1.4 MiB``."""
    if number < 1024:  # noqa: PLR2004
        return f"{number} B"
    amount = float(number)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        amount /= 1024
        if amount < 999.95 or unit == "TiB":  # noqa: PLR2004
            break
    return f"{amount:.1f} {unit}"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: ``1 patch``, ``2 patches``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def reason_line(reason: "Reason | Mapping[str, Any] | None") -> str:
    """Return a reason as ``code: message``, safe to print; empty without a reason.

    A decision by hand has a message and no code; missing parts are left out.
    """
    if reason is None:
        return ""
    value = reason if not hasattr(reason, "as_json") else reason.as_json()
    return ": ".join(safe(str(value[part])) for part in ("code", "message") if value.get(part))


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
