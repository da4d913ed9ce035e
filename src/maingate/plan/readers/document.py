"""Documents of keys and values as they were written: the data, and the line of each key.

YAML and JSON give the same kind of document, so that no other module needs to know which it was.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from maingate.settings.problems import Location, Mistake


@dataclass(frozen=True, kw_only=True)
class Document:
    """The content of a file.

    Args:
        data: Mappings, lists, text, numbers, truths and None.
        lines: The line, from 1, of each key and list item, by its place from the top.
        spelling: How numbers and truths were written, by place: ``3.10`` is more than the number 3.1.
        faults: The faults of the document itself, such as a key given twice.
        broken: Places that a fault removed from the data; their absence is not reported again.
    """

    data: Any
    lines: Mapping[Location, int] = field(default_factory=dict)
    spelling: Mapping[Location, str] = field(default_factory=dict)
    faults: tuple[tuple[int, Mistake], ...] = ()
    broken: frozenset[Location] = frozenset()

    def line_of(self, location: Location) -> int | None:
        """Return the line of a place, or of the nearest place around it that has one."""
        return next((self.lines[place] for place in _outwards(location) if place in self.lines), None)


class Unreadable(Exception):  # noqa: N818 - carries a fault from the readers to `read_document`, never further
    """The text is not in its format."""

    def __init__(self, line: int | None, message: str, hint: str = "") -> None:
        self.line, self.message, self.hint = line, message, hint
        super().__init__(message)


def _outwards(location: Location) -> Iterator[Location]:
    for length in range(len(location), 0, -1):
        yield location[:length]
