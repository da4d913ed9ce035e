"""The live picture of a run: a bar, a line per moving workstream, and the running gates."""

from collections import Counter
from typing import TYPE_CHECKING, Final

from maingate.cli.output import STATE_STYLES, SYMBOLS
from maingate.cli.text import duration, safe
from maingate.cli.views.activity import surroundings_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType
    from rich.table import Table

    from maingate.orchestrator.progress import GateProgress, Progress, WorkstreamProgress
    from maingate.queries.runs.activity import Surroundings

MOST_WORKSTREAM_LINES: Final = 16
MOST_GATE_LINES: Final = 6
MOST_AROUND_LINES: Final = 14
BAR_WIDTH: Final = 28
NARROW: Final = 70
"""Columns below which the bar is left out."""
FEW_ENDED: Final = 5
"""Ended tasks from which on the remaining time is estimated."""


def picture(
    now: "Progress",
    *,
    notice: str = "",
    height: int = 40,
    width: int = 80,
    around: "Surroundings | None" = None,
) -> "RenderableType":
    """Return the picture of a run: a bar, counts, a line per moving workstream, what runs and what waits.

    Args:
        now: The moment to draw.
        notice: A line about the run as such.
        height: Rows of the screen; the picture keeps to them.
        width: Columns of the screen.
        around: The jobs of workers, waits and open matters, if they are known; else only the gates are shown.
    """
    from rich.console import Group
    from rich.text import Text

    below = min(MOST_AROUND_LINES, max(0, height - 8)) if around is not None else MOST_GATE_LINES
    rows = max(3, min(MOST_WORKSTREAM_LINES, height - below - 6))
    parts: list[RenderableType] = [_bar(now, width)]
    if around is not None:
        parts.append(_counts(now, around))
    parts.append(_workstreams(now.workstreams, most=rows))
    if around is not None:
        parts += surroundings_lines(around, rows=below, run_id=now.run_id)
    elif now.gates:
        parts.append(_gates(now.gates))
    if notice:
        parts.append(Text(notice, style="yellow"))
    return Group(*parts)


def _counts(now: "Progress", around: "Surroundings") -> "RenderableType":
    """Return the line of counts: landed, failed and open workstreams, retries, and the expected time."""
    from rich.text import Text

    states = Counter(_state_word(one.state) for one in now.workstreams)
    counted = [(states["landed"], "landed", "green"), (states["failed"], "failed", "red")]
    counted += [(states["validating"], "landing", "cyan"), (around.retries, "retried", "yellow")]
    parts = [(f"{number} {word}", style) for number, word, style in counted if number]
    if (left := seconds_left(now)) is not None:
        parts.append((f"about {duration(left)} left", "dim"))
    line = Text("  ").join(Text(words, style=style) for words, style in parts)
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def seconds_left(now: "Progress") -> float | None:
    """Return the seconds until the last task ends at the pace so far; None while too few have ended."""
    if now.tasks_ended < FEW_ENDED or now.tasks_ended >= now.tasks_total:
        return None
    return now.seconds / now.tasks_ended * (now.tasks_total - now.tasks_ended)


def _bar(now: "Progress", width: int) -> "RenderableType":
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(4):
        grid.add_column(no_wrap=True, overflow="ellipsis")
    title = Text(safe(now.name), style="bold")
    title.truncate(32, overflow="ellipsis")
    bar = ProgressBar(
        total=max(1, now.tasks_total), completed=now.tasks_ended, width=BAR_WIDTH, complete_style="cyan"
    )
    cells: list[RenderableType] = [
        title,
        bar,
        f"{now.tasks_ended}/{now.tasks_total} tasks",
        duration(now.seconds),
    ]
    grid.add_row(*(cell for cell in cells if width >= NARROW or cell is not bar))
    return grid


def _workstreams(streams: "Sequence[WorkstreamProgress]", *, most: int) -> "Table":
    from rich.table import Table

    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(4):
        grid.add_column(no_wrap=True, overflow="ellipsis")
    shown = list(streams) if len(streams) <= most else _most_active(streams, most - 1)
    for one in shown:
        grid.add_row(*_workstream_cells(one))
    if len(shown) < len(streams):
        names = {one.name for one in shown}
        others = Counter(_state_word(one.state) for one in streams if one.name not in names)
        grid.add_row(
            "", "others", "", ", ".join(f"{number} {state}" for state, number in others.most_common())
        )
    return grid


def _most_active(streams: "Sequence[WorkstreamProgress]", most: int) -> "list[WorkstreamProgress]":
    """Return some moving workstreams: the next few to land, then those with patches under way."""
    landing = [one for one in streams if one.state == "validating"]
    executing = [one for one in streams if one.state == "executing"]
    first = landing[: most // 3]
    return [*first, *executing, *landing[len(first) :]][:most]


def _workstream_cells(one: "WorkstreamProgress") -> "tuple[RenderableType, ...]":
    from rich.text import Text

    style = STATE_STYLES.get(one.state, "dim")
    state = _state_word(one.state)
    return (
        Text(SYMBOLS.get(one.state, "·"), style=style),
        Text(safe(one.name)),
        Text(f"{one.tasks_ended}/{one.tasks_total}", style="dim"),
        Text.assemble(
            (state, style), (f"  {safe(one.note)}" if one.note and one.note != state else "", "dim")
        ),
    )


def _state_word(state: str) -> str:
    return "landed" if state == "completed" else str(state)


def _gates(gates: "Sequence[GateProgress]") -> "Table":
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    for gate in gates[:MOST_GATE_LINES]:
        grid.add_row(
            Text("  ▸ gate"),
            Text(safe(gate.name)),
            Text(safe(gate.subject)),
            Text(duration(gate.seconds), "dim"),
        )
    if len(gates) > MOST_GATE_LINES:
        grid.add_row("", "…", f"{len(gates) - MOST_GATE_LINES} more", "")
    return grid
