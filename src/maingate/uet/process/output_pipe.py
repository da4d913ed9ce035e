"""A pipe that a command writes its output into, read without waiting and cleared of secrets."""

import contextlib
import fcntl
import os
from typing import Final

from maingate.uet.capture import Captured
from maingate.uet.output_capture import OutputCopy
from maingate.uet.process.output_log import OutputLog
from maingate.uet.process.redaction import Redactor

_BUFFER_BYTES: Final = 256 * 1024
_PIPE_BYTES: Final = 1024 * 1024


class OutputPipe:
    """A pipe for standard output or errors, and where its content goes.

    Args:
        secrets: Values that are blotted out of it.
        log: The log that takes all of it.
        copy: Takes it as well, apart from the log; None for nothing.
    """

    def __init__(self, secrets: tuple[str, ...], log: OutputLog, copy: OutputCopy | None = None) -> None:
        self.source, self.end = os.pipe2(os.O_CLOEXEC) if hasattr(os, "pipe2") else os.pipe()
        self._log, self._copy = log, copy
        self._redactor = Redactor(secrets) if secrets else None
        self._buffer = bytearray(_BUFFER_BYTES)
        self._read_bytes = 0

    def open_for_reading(self) -> None:
        """Prepare the reading end: reads return at once, and a chatty command is not held up."""
        os.set_blocking(self.source, False)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with contextlib.suppress(OSError):  # a refusal costs only speed
                fcntl.fcntl(self.source, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def read(self) -> int | None:
        """Read some output and write it down.

        Returns:
            How many bytes; 0 at its end, None when there are none yet.
        """
        try:
            count = os.readv(self.source, [self._buffer])
        except BlockingIOError:
            return None
        if count:
            self._read_bytes += count
            self._take(memoryview(self._buffer)[:count])
        return count

    def drain(self) -> None:
        """Read what is still in the pipe; never more than it holds, whatever keeps writing into it."""
        budget = self._read_bytes + 2 * _PIPE_BYTES
        while self._read_bytes < budget and self.read():
            pass

    def finish(self) -> Captured | None:
        """Close the pipe, write down what the redactor still holds, and return what was copied."""
        os.close(self.source)
        if self._redactor is not None:
            rest = self._redactor.flush()
            self._log.write(memoryview(rest))
            if self._copy is not None:
                self._copy.write(rest)
        has_secret = self._redactor is not None and self._redactor.has_found
        return None if self._copy is None else self._copy.close(has_secret=has_secret)

    def _take(self, data: memoryview) -> None:
        if self._redactor is not None:
            data = memoryview(self._redactor.feed(bytes(data)))
        self._log.write(data)
        if self._copy is not None:
            self._copy.write(bytes(data))
