"""A watcher of a run, on a thread of its own: a screen or pipe that takes nothing holds up no run.

A terminal whose output is stopped (Ctrl-S), or a pipe whose reader sleeps, blocks each write to it. The run
goes on meanwhile; all that was to be shown is shown, in order, when the reader reads again.
"""

import threading
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from maingate.orchestrator.progress import News, ProgressView


class RunWatcher(Protocol):
    """A listener that uses the screen within its ``with`` block."""

    def started(self, view: "ProgressView") -> None:
        """Handle the start of the run."""
        ...

    def happened(self, news: "Sequence[News]") -> None:
        """Handle committed changes."""
        ...

    def notice(self, text: str) -> None:
        """Handle a notice about the run as a whole."""
        ...

    def passed(self) -> None:
        """Handle that a while has passed without any of these."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None: ...


class ThreadedWatcher:
    """Passes everything to another watcher, on a thread of its own.

    Args:
        inner: The watcher that writes.
        pause: The seconds after which it is told that there was nothing; None for never.
    """

    def __init__(self, inner: RunWatcher, *, pause: float | None = None) -> None:
        self.inner, self._pause = inner, pause
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="progress", daemon=True)
        self._failure: BaseException | None = None

    def started(self, view: "ProgressView") -> None:
        """Pass it on."""
        self._calls.put(partial(self.inner.started, view))

    def happened(self, news: "Sequence[News]") -> None:
        """Pass it on."""
        self._calls.put(partial(self.inner.happened, news))

    def notice(self, text: str) -> None:
        """Pass it on."""
        self._calls.put(partial(self.inner.notice, text))

    def passed(self) -> None:
        """Do nothing: this watcher knows by itself."""

    def __enter__(self) -> Self:
        """Begin to pass on."""
        self.inner.__enter__()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        """Wait until everything has been shown.

        Raises:
            BaseException: The failure of the other watcher, if the block raises none itself.
        """
        self._calls.put(None)
        self._thread.join()
        self.inner.__exit__(kind, error, trace)
        if self._failure is not None and error is None:
            raise self._failure

    def _work(self) -> None:
        """Make the calls until there are no more, or one fails."""
        while (call := self._next()) is not None:
            try:
                call()
            except BaseException as failure:  # noqa: BLE001 - raised by the thread of the block, when that has ended
                self._failure = failure
                return

    def _next(self) -> "Callable[[], None] | None":
        """Wait for the next call; return one that says that there was none for a while."""
        try:
            return self._calls.get(timeout=self._pause)
        except Empty:
            return self.inner.passed
