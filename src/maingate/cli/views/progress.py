"""Watching a run: a live picture on a terminal, one line per piece of news elsewhere.

A view only watches. When nobody can be shown anything any more (the pipe's reader left), it falls silent and
the run goes on.
"""

import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol, Self

from maingate.cli.output import STATE_STYLES, SYMBOLS, console, count, reason_line, safe
from maingate.cli.views.progress_picture import picture

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from rich.console import Console, RenderableType
    from rich.live import Live

    from maingate.orchestrator.progress import News, ProgressView

MOST_REASONS: Final = 50
"""How many reasons are remembered as told already."""

REFRESH_PER_SECOND: Final = 10
DRAWING_SHARE: Final = 20
"""Drawing may take one part in this many of the time."""

_PASSING: Final[dict[str, frozenset[str]]] = {
    "run": frozenset({"pending", "running"}),
    "workstream": frozenset({"planned", "ready", "blocked"}),
    "task": frozenset({"pending", "queued", "validating"}),
    "patch": frozenset({"created", "validated", "queued", "applied", "verified"}),
}
"""States that are on the way to another within moments; they are no line of their own."""


class RunWatcher(Protocol):
    """A listener that takes up the screen between ``with`` and its end."""

    def started(self, view: "ProgressView") -> None:
        """Hear that the run begins."""
        ...

    def happened(self, news: "Sequence[News]") -> None:
        """Hear what was committed."""
        ...

    def notice(self, text: str) -> None:
        """Hear something about the run as such."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None: ...


def watcher(*, stderr: bool = False) -> RunWatcher:
    """Choose how to show a run: live on a terminal, as lines elsewhere."""
    out = console(stderr=stderr)
    return LiveWatcher(out) if out.is_terminal and not out.is_dumb_terminal else LineWatcher(out)


class LineWatcher:
    """Prints one line per piece of news."""

    def __init__(self, out: "Console") -> None:
        self._out = out
        self._is_silent = False
        self._reasons: deque[str] = deque(maxlen=MOST_REASONS)

    def started(self, view: "ProgressView") -> None:
        """Say what runs and how much there is."""
        now = view.progress()
        many = f"{count(now.tasks_total, 'task')} in {count(len(now.workstreams), 'workstream')}"
        self._line(f"run {now.run_id}: {safe(now.name)}, {many}")

    def happened(self, news: "Sequence[News]") -> None:
        """Print what is worth a line."""
        for one in news:
            if is_worth_telling(one):
                self._line(told(self._without_repetition(one)))

    def notice(self, text: str) -> None:
        """Print it."""
        self._line(safe(text))

    def _without_repetition(self, one: "News") -> "News":
        """Leave a reason out that was told of the patch and comes again for its task and workstream."""
        if one.reason is None:
            return one
        if any(one.reason.message.endswith(message) for message in self._reasons):
            return replace(one, reason=None)
        self._reasons.append(one.reason.message)
        return one

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
        """Leave nothing behind; every line is out already."""


class LiveWatcher:
    """Draws the run's picture over and over; what ended badly scrolls by above it."""

    def __init__(self, out: "Console") -> None:
        self._out = out
        self._view: ProgressView | None = None
        self._notice = ""
        self._live: Live | None = None
        self._drawn: RenderableType = ""
        self._draw_again_at = 0.0
        self._lock = threading.Lock()

    def started(self, view: "ProgressView") -> None:
        """Begin to draw."""
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
        """Let what ended badly or was landed scroll by; the picture shows the rest."""
        for one in news:
            if one.entity == "workstream" and one.state_to in {"completed", "failed", "skipped"}:
                self._say(one)

    def notice(self, text: str) -> None:
        """Keep it in the picture."""
        self._notice = safe(text)

    def _say(self, one: "News") -> None:
        from rich.text import Text

        said = Text.assemble(
            (f"{SYMBOLS.get(one.state_to, '·')} ", STATE_STYLES.get(one.state_to, "")), told(one)
        )
        said.truncate(self._out.width, overflow="ellipsis")
        with suppress(OSError, ValueError):
            self._out.print(said, no_wrap=True)

    def _picture(self) -> "RenderableType":
        """Draw anew, unless drawing is so slow (thousands of workstreams) that it would slow the run down."""
        began = time.monotonic()
        if self._view is not None and began >= self._draw_again_at:
            self._drawn = picture(self._view.progress(), notice=self._notice, height=self._out.height)
            took = time.monotonic() - began
            self._draw_again_at = began + took * DRAWING_SHARE
        return self._drawn

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        """Take the picture off the screen."""
        with self._lock:
            if self._live is not None:
                with suppress(OSError, ValueError):
                    self._live.stop()
                self._live = None


def is_worth_telling(news: "News") -> bool:
    """Tell whether news is worth a line: an end, a beginning, or a trouble; not a state on the way."""
    if news.entity == "patch" and news.state_to == "committed":
        return False
    return news.state_to not in _PASSING[news.entity]


def told(news: "News") -> str:
    """Put news into one line."""
    why = reason_line(news.reason)
    landed = news.entity == "workstream" and news.state_to == "completed"
    state = "landed" if landed else news.state_to
    return f"{news.entity} {safe(news.name)} {state}" + (f": {why}" if why else "")
