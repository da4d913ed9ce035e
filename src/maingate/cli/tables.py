"""Tables and lists of commands: shrunk to the terminal, and nothing in them is cropped."""

import re
import textwrap
from typing import TYPE_CHECKING, Any, Final

from maingate.queries.limited_list import EVERY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table

STACKED: Final = 60
"""Below this many columns, each row of a table that does not fit is printed as lines."""
LEAST_ROOM: Final = 24
"""Minimum columns for readable text in a table."""
_INDENT: Final = "    "
_COMMAND: Final = re.compile("`[^`]+`")
_GLUE: Final = "\ue000"
"""Replacement for a space at which no line breaks; :func:`safe` escapes this character."""


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
    out.print(Padding(Text(text, overflow="fold"), (0, 0, 0, len(_INDENT)), expand=False))


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
