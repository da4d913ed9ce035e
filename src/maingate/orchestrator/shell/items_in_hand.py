"""The items that a process works on, noted for the next one: an item may end its process each time.

An item can end the whole process (out of memory, a crash of a library), and would at each resume. So a line
is written when an effect begins and another when it has ended, in a file beside the logs. The items of a
process that was killed count as lost once more; the count of an item that succeeds begins again at zero.
The lines need not survive the machine, only the process, so nothing waits for the disk.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from maingate.errors import OutsideFaultError

_BEGUN, _DONE, _LEFT, _LIFE = "+", "-", "~", "="


class InHand:
    """Notes the items that this process works on.

    Args:
        path: The file of the run; made when the first effect begins.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lost = _losses(path)
        self._file: int | None = None

    def losses(self, keys: Iterable[str]) -> int:
        """Return how often one of these was lost with its process, at most, since it last succeeded."""
        return max((self._lost.get(key, 0) for key in keys), default=0)

    @contextmanager
    def holding(self, keys: Sequence[str]) -> Iterator[None]:
        """Note items as being worked on; their losses are forgotten when the work succeeds."""
        self._write(_BEGUN, keys)
        mark = _LEFT
        try:
            yield
            mark = _DONE
        finally:
            self._write(mark, keys)
        for key in keys:
            self._lost.pop(key, None)

    def close(self, *, is_over: bool) -> None:
        """Close the file, and remove it when the run has ended."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if is_over:
            self._path.unlink(missing_ok=True)

    def _write(self, mark: str, keys: Sequence[str]) -> None:
        text = "".join(f"{mark}{key}\n" for key in keys)
        try:
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
                text = f"{_LIFE}\n{text}"
            os.write(self._file, text.encode())
        except OSError as error:
            raise OutsideFaultError(f"{self._path} cannot be written: {error}") from error


def _losses(path: Path) -> dict[str, int]:
    """Return how often each item was lost with a process since it last succeeded."""
    lost: dict[str, int] = {}
    held: set[str] = set()
    try:
        lines = path.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return lost
    except OSError as error:
        raise OutsideFaultError(f"{path} cannot be read: {error}") from error
    for line in [*lines, _LIFE]:
        mark, key = line[:1], line[1:]
        if mark == _LIFE:
            lost |= {each: lost.get(each, 0) + 1 for each in held}
            held = set()
        elif mark == _BEGUN:
            held.add(key)
        else:
            held.discard(key)
            if mark == _DONE:
                lost.pop(key, None)
    return lost
