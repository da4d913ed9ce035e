"""Progress of a run: a live picture on a terminal, one line per piece of news elsewhere.

A view only watches. When the reader of a pipe has left, the view is silent and the run continues.
"""

import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from maingate.cli.output import STATE_STYLES, SYMBOLS, console
from maingate.cli.text import count, reason_line, safe
from maingate.cli.views.progress_picture import picture
from maingate.cli.views.queue import place_line
from maingate.cli.views.run_watcher import ThreadedWatcher

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from rich.console import Console, RenderableType
    from rich.live import Live

    from maingate.cli.views.activity import ReadSurroundings
    from maingate.orchestrator.progress import News, ProgressView
    from maingate.reasons import Reason

MOST_REASONS: Final = 50
"""Maximum number of reasons that are remembered as printed."""

PLACE_SECONDS: Final = 2.0
"""Seconds without news after which the place in the queue is looked at, where lines are printed."""

REFRESH_PER_SECOND: Final = 10
DRAWING_SHARE: Final = 20
"""Drawing takes at most one part in this many of the time."""

_PASSING: Final[dict[str, frozenset[str]]] = {
    "run": frozenset({"pending", "running"}),
    "workstream": frozenset({"planned", "ready", "blocked"}),
    "task": frozenset({"pending", "queued", "validating"}),
    "patch": frozenset({"created", "validated", "queued", "applied", "verified"}),
}
"""States that last only moments and get no line."""


def watcher(*, stderr: bool = False, around: "ReadSurroundings | None" = None) -> ThreadedWatcher:
    """Return the view of a run: live on a terminal, lines elsewhere.

    Args:
        stderr: Show it on standard error.
        around: Reads what the picture shows besides the progress.
    """
    out = console(stderr=stderr)
    is_live = out.is_terminal and not out.is_dumb_terminal
    if is_live:
        return ThreadedWatcher(LiveWatcher(out, around))
    return ThreadedWatcher(LineWatcher(out, around), pause=None if around is None else PLACE_SECONDS)


class LineWatcher:
    """Prints one line per piece of news, and one when the place of the run in the queue is another.

    Args:
        out: Where it prints.
        around: Reads the surroundings of the run, which have its place; None without them.
    """

    def __init__(self, out: "Console", around: "ReadSurroundings | None" = None) -> None:
        self._out, self._around = out, around
        self._run_id, self._place = "", ""
        self._is_silent = False
        self._reasons: deque[str] = deque(maxlen=MOST_REASONS)

    def started(self, view: "ProgressView") -> None:
        """Print the run's name and size."""
        now = view.progress()
        self._run_id = now.run_id
        many = f"{count(now.tasks_total, 'task')} in {count(len(now.workstreams), 'workstream')}"
        self._line(f"run {now.run_id}: {safe(now.name)}, {many}")

    def happened(self, news: "Sequence[News]") -> None:
        """Print the news that is worth a line."""
        for one in news:
            if is_worth_telling(one):
                self._line(told(one, with_reason=self._is_new(one.reason)))

    def notice(self, text: str) -> None:
        """Print the notice."""
        self._line(safe(text))

    def passed(self) -> None:
        """Print the place of the run in the queue, if it is another: a while has passed without news."""
        queue = self._around().queue if self._around is not None and self._run_id else None
        if queue is None:
            return
        place = place_line(queue, self._run_id, is_timed=False)
        if place and place != self._place:
            self._line(place_line(queue, self._run_id))
        self._place = place

    def _is_new(self, reason: "Reason | None") -> bool:
        """Return whether no line has shown a reason yet, or its end."""
        if reason is None or any(reason.message.endswith(message) for message in self._reasons):
            return False
        self._reasons.append(reason.message)
        return True

    def _line(self, text: str) -> None:
        if self._is_silent:
            return
        try:
            print(text, file=self._out.file, flush=True)
        except (OSError, ValueError):
            self._is_silent = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        """Do nothing: every line is already printed."""


class LiveWatcher:
    """Draws the run's picture repeatedly; failures and landings scroll by above it."""

    def __init__(self, out: "Console", around: "ReadSurroundings | None" = None) -> None:
        self._out, self._around = out, around
        self._view: ProgressView | None = None
        self._notice = ""
        self._live: Live | None = None
        self._drawn: RenderableType = ""
        self._draw_again_at = 0.0
        self._lock = threading.Lock()

    def started(self, view: "ProgressView") -> None:
        """Start drawing."""
        from rich.live import Live

        with self._lock:
            self._view = view
            self._live = Live(
                console=self._out,
                get_renderable=self._picture,
                refresh_per_second=REFRESH_PER_SECOND,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()

    def happened(self, news: "Sequence[News]") -> None:
        """Print failures and landings above the picture, and update the picture."""
        for one in news:
            if one.entity == "workstream" and one.state_to in {"completed", "failed", "skipped"}:
                self._say(one)

    def notice(self, text: str) -> None:
        """Show the notice in the picture."""
        self._notice = safe(text)

    def passed(self) -> None:
        """Do nothing: the picture is drawn anew all the time."""

    def _say(self, one: "News") -> None:
        from rich.text import Text

        said = Text.assemble(
            (f"{SYMBOLS.get(one.state_to, '·')} ", STATE_STYLES.get(one.state_to, "")), told(one)
        )
        said.truncate(self._out.width, overflow="ellipsis")
        with suppress(OSError, ValueError):
            self._out.print(said, no_wrap=True)

    def _picture(self) -> "RenderableType":
        """Redraw, unless drawing is so slow (thousands of workstreams) that it would slow the run."""
        began = time.monotonic()
        if self._view is not None and began >= self._draw_again_at:
            width, height = self._out.size
            around = self._around() if self._around is not None else None
            began = time.monotonic()  # reading has a share of its own
            self._drawn = picture(
                self._view.progress(), notice=self._notice, height=height, width=width, around=around
            )
            took = time.monotonic() - began
            self._draw_again_at = began + took * DRAWING_SHARE
        return self._drawn

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        """Remove the picture from the screen."""
        with self._lock:
            if self._live is not None:
                with suppress(OSError, ValueError):
                    self._live.stop()
                self._live = None


def is_worth_telling(news: "News") -> bool:
    """Return whether news is worth a line: a start, an end or a failure, but no passing state."""
    if news.entity == "patch" and news.state_to == "committed":
        return False
    return news.state_to not in _PASSING[news.entity]


def told(news: "News", *, with_reason: bool = True) -> str:
    """Return news as one line."""
    why = reason_line(news.reason) if with_reason else ""
    landed = news.entity == "workstream" and news.state_to == "completed" and news.reason is None
    state = "landed" if landed else news.state_to
    return f"{news.entity} {safe(news.name)} {state}" + (f": {why}" if why else "")
