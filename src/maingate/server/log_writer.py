"""The writer of a log, on a thread of its own: a pipe without a reader holds up no server and no run.

The lines come in their order. Those for which there is no room are counted, and a line in their place says
how many they were.
"""

import os
import select
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

MOST_LINES: Final = 10_000
"""Lines that wait to be written, at most."""

CLOSE_SECONDS: Final = 2.0
"""Seconds that the end waits for a reader of the lines that are left."""


class LogWriter:
    """Writes text to a descriptor, as a file does, and never waits for the reader.

    Args:
        fd: The descriptor.
        note: Returns the line about a number of lines that were dropped.
        most: Lines that wait to be written, at most.
    """

    def __init__(self, fd: int, *, note: Callable[[int], str], most: int = MOST_LINES) -> None:
        self._fd, self._note, self._most = fd, note, most
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._lock = threading.RLock()  # a signal may interrupt a thread that writes, and write itself
        self._dropped = 0
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Write a line as soon as that can be done, or count it where too many wait; return its length."""
        with self._lock:
            if self._is_closed:
                _write(self._fd, text)
            elif self._lines.qsize() >= self._most:
                self._dropped += 1
            else:
                self._put_note()
                self._lines.put(text)
        return len(text)

    def flush(self) -> None:
        """Do nothing: each line is written as soon as it can be."""

    def close(self) -> None:
        """Wait a little until all lines are written; later ones are then written at once."""
        with self._lock:
            self._put_note()
            self._lines.put(None)
        self._thread.join(CLOSE_SECONDS)
        self._is_closed = not self._thread.is_alive()

    def _put_note(self) -> None:
        """Add the note about lines that were dropped, in their place."""
        count, self._dropped = self._dropped, 0
        if count:
            self._lines.put(self._note(count))

    def _work(self) -> None:
        """Write the lines until there are no more; those that cannot be written are counted, too."""
        lost = 0
        while (text := self._lines.get()) is not None:
            try:
                _write(self._fd, self._note(lost) + text if lost else text)
            except OSError:  # the reader is gone, or a disk is full
                lost += 1
            else:
                lost = 0


def _write(fd: int, text: str) -> None:
    """Write a text whole, also to a descriptor that another process has set not to block."""
    rest = text.encode(errors="backslashreplace")
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            select.select([], [fd], [])
