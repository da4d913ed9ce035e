"""A file of keys and values as it was written: the data, and on which line each key stands.

YAML and JSON give the same document, so nothing further up knows which it was.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from maingate.settings.problems import Finding, Location


@dataclass(frozen=True, kw_only=True)
class Document:
    """What a file says.

    Args:
        data: Mappings, lists, text, numbers, truths and None.
        lines: The line, from 1, of each key and list item, by its place from the top.
        spelling: How numbers and truths were written, by place: ``3.10`` is more than the number 3.1.
        faults: What is wrong with it as a document, such as a key given twice.
        broken: Places that a fault took out of the data; that they are missing is no news.
    """

    data: Any
    lines: Mapping[Location, int] = field(default_factory=dict)
    spelling: Mapping[Location, str] = field(default_factory=dict)
    faults: tuple[tuple[int, Finding], ...] = ()
    broken: frozenset[Location] = frozenset()

    def line_of(self, location: Location) -> int | None:
        """Return the line of a place, or of the nearest thing around it that has one."""
        return next((self.lines[place] for place in _outwards(location) if place in self.lines), None)


class Unreadable(Exception):  # noqa: N818 - carries a fault from the readers to `read_document`, never further
    """The text is not what its format demands."""

    def __init__(self, line: int | None, message: str, hint: str = "") -> None:
        self.line, self.message, self.hint = line, message, hint
        super().__init__(message)


def _outwards(location: Location) -> Iterator[Location]:
    for length in range(len(location), 0, -1):
        yield location[:length]
