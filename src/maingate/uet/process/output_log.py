"""The bounded log of a command: the first and the last bytes of its output.

The head goes to the file at once, so that a running gate can be watched; output beyond head and tail
together is kept in a ring of the tail's size and written when the log is closed, below a line that tells how
much is missing. A gate that prints gigabytes costs the disk and the memory of the bounds, no more.
"""

import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

EXCERPT_BYTES: Final = 4096
"""Bytes of the end of the output that a command's result has."""


class OutputLog:
    """A log file that keeps head and tail of what is written to it.

    Args:
        path: The file; its folder is made when it is missing, an older file is replaced.
        head: How many bytes of the beginning are kept.
        tail: How many bytes of the end are kept.

    Raises:
        OSError: The file cannot be made. A write that fails later (a full disk) does not raise: the output is
            counted and the excerpt kept all the same, and ``trouble`` says what was lost.
    """

    def __init__(self, path: Path, *, head: int, tail: int) -> None:
        self._head, self._tail = head, tail
        self._ring = bytearray()
        self._next = 0
        self._last = b""
        self.total = 0
        self.trouble = ""
        path.parent.mkdir(exist_ok=True)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, data: memoryview) -> None:
        """Write the next bytes of the output."""
        room = max(0, self._head + self._tail - self.total)
        self.total += len(data)
        self._last = (self._last + bytes(data[-EXCERPT_BYTES:]))[-EXCERPT_BYTES:]
        if room:
            self._append(data[:room])
        if self.total > self._head:
            self._keep(data)

    def close(self) -> None:
        """Write the tail and close the file. Doing it again changes nothing."""
        if self._fd < 0:
            return
        omitted = self.total - self._head - self._tail
        if omitted > 0:
            self._rewind()
            self._append(memoryview(b"\n[maingate: %d bytes of output left out here]\n" % omitted))
            self._append(memoryview(self._ring)[self._next :])
            self._append(memoryview(self._ring)[: self._next])
        os.close(self._fd)
        self._fd = -1
        self._ring = bytearray()

    def excerpt(self) -> str:
        """Return the last bytes as text that every database takes: whole characters, no NUL."""
        cut = self._last
        if self.total > len(cut):
            cut = cut.lstrip(bytes(range(0x80, 0xC0)))
        return cut.decode("utf-8", errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")

    def _keep(self, data: memoryview) -> None:
        """Write all that lies beyond the head into the ring."""
        beyond = data[max(0, len(data) - (self.total - self._head)) :]
        beyond = beyond[max(0, len(beyond) - self._tail) :]
        while beyond:
            if len(self._ring) < self._tail:
                taken = beyond[: self._tail - len(self._ring)]
                self._ring += taken
            else:
                taken = beyond[: self._tail - self._next]
                self._ring[self._next : self._next + len(taken)] = taken
                self._next = (self._next + len(taken)) % self._tail
            beyond = beyond[len(taken) :]

    def _append(self, data: memoryview) -> None:
        try:
            while data and not self.trouble:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            self.trouble = f"the log is not complete: {error.strerror}"

    def _rewind(self) -> None:
        try:
            os.ftruncate(self._fd, self._head)
            os.lseek(self._fd, self._head, os.SEEK_SET)
        except OSError as error:
            self.trouble = self.trouble or f"the log is not complete: {error.strerror}"
