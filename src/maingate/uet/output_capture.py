"""A file that takes the patch which a tool prints on standard output."""

from pathlib import Path

from maingate.uet.capture import LEAKS, Captured, too_big


class OutputCopy:
    """A file that takes what a tool prints on standard output, up to a limit.

    Args:
        diff: Where it goes; an older file is replaced.
        limit: How many bytes of it at most.

    Raises:
        OSError: The file cannot be made.
    """

    def __init__(self, diff: Path, limit: int) -> None:
        self._limit, self._size, self._trouble = limit, 0, ""
        self._is_too_big = False
        diff.parent.mkdir(exist_ok=True)
        diff.unlink(missing_ok=True)
        self._file = diff.open("wb", buffering=0)

    def write(self, data: bytes) -> None:
        """Write the next bytes; those beyond the limit are dropped. Never raises."""
        part = data[: self._limit - self._size]
        self._is_too_big |= len(part) < len(data)
        try:
            while part and not self._trouble:
                count = self._file.write(part) or 0
                self._size += count
                part = part[count:]
        except OSError as error:
            self._trouble = f"the patch could not be written: {error.strerror}"

    def close(self, *, has_secret: bool = False) -> Captured:
        """Close the file and return what is in it."""
        self._file.close()
        said = (self._trouble, too_big(self._limit) * self._is_too_big, LEAKS * has_secret)
        return Captured(bytes=self._size, problem="; ".join(filter(None, said)))
