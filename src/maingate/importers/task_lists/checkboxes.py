"""Read the outermost checkboxes of a Markdown file, each with the text under it.

A list within an item, with checkboxes or not, is a part of the item's text. Checkboxes in code blocks and
HTML comments are ignored.
"""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from maingate.importers.json_files import SourceFile

_BOX: Final = re.compile(r"(?P<marker>[-*+]|\d{1,9}[.)])\s+\[(?P<tick>[ xX])\](?:\s+(?P<text>.*))?")
_NEARLY: Final = re.compile(r"(?:[-*+]|\d{1,9}[.)])\s+\[(?P<tick>[-/~>!?*]?)\](?=\s)")
_BULLET: Final = re.compile(r"(?:[-*+]|\d{1,9}[.)])(?:\s|$)")
_FENCE: Final = re.compile(r"(?P<fence>`{3,}|~{3,})")
_HEADING: Final = re.compile(r"(?P<level>#{1,6})(?:\s+(?P<text>.*?))?(?:\s+#+)?\s*")
_NO_PARAGRAPH: Final = re.compile(r"[>|]|<!--|(?:[-*_]\s*){3,}$")
_INSIDE: Final = 2
"""Minimum indentation of a line inside an item, in columns."""
_HIGH: Final = 2
"""Headings up to this level begin a phase, as do headings that begin with "Phase"."""


@dataclass(kw_only=True)
class Checkbox:
    """A checkbox with the text under it.

    Args:
        line: Its line, from 1.
        indent: The column of its list marker.
        is_done: Whether it is ticked.
        is_numbered: Whether its list is numbered.
        list_number: The number of its list in the file.
        phase: The number of its phase in the file.
        phase_title: The heading of that phase; empty before the first.
        section: The heading above it; empty before the first.
        lines: Its text.
        open_inside: The number of open checkboxes inside it.
    """

    line: int
    indent: int
    is_done: bool
    is_numbered: bool
    list_number: int
    phase: int
    phase_title: str
    section: str
    lines: list[str] = field(default_factory=list)
    open_inside: int = 0

    @property
    def title(self) -> str:
        """Its first paragraph, in one line."""
        return " ".join(line.strip() for line in self.lines[: self._length_of_title()]).strip()

    @property
    def text(self) -> str:
        """The text after the first paragraph, not indented."""
        return textwrap.dedent("\n".join(self.lines[self._length_of_title() :])).strip()

    def _length_of_title(self) -> int:
        for number, line in enumerate(self.lines[1:], start=1):
            bare = line.strip()
            if not bare or _BULLET.match(bare) or _FENCE.match(bare) or _NO_PARAGRAPH.match(bare):
                return number
        return len(self.lines)


def checkboxes(file: SourceFile) -> list[Checkbox]:
    """Return the outermost checkboxes in order; malformed ones are noted as problems."""
    return list(_CheckboxReader(file).read())


class _CheckboxReader:
    """Reads line by line; `_box` is the item of the current indented lines."""

    def __init__(self, file: SourceFile) -> None:
        self._file = file
        self._box: Checkbox | None = None
        self._fence = ""
        self._in_comment = self._after_blank = False
        self._list = self._phase = 0
        self._phase_title = self._section = ""

    def read(self) -> Iterator[Checkbox]:
        for number, raw in enumerate(self._file.text.split("\n"), start=1):
            line = raw.rstrip("\r").expandtabs(4)
            bare = line.strip()
            if not bare:
                self._blank()
                continue
            if self._box is not None and self._indent(line) >= self._box.indent + _INSIDE:
                self._inside(line, bare, self._box)
            elif (box := self._outside(line, bare, number)) is not None:
                yield box
            self._after_blank = False

    @staticmethod
    def _indent(line: str) -> int:
        return len(line) - len(line.lstrip())

    def _blank(self) -> None:
        self._after_blank = True
        if self._box is not None:
            self._box.lines.append("")

    def _inside(self, line: str, bare: str, box: Checkbox) -> None:
        box.lines.append(line)
        if not self._in_code(bare) and (inner := _BOX.match(bare)):
            box.open_inside += inner["tick"] == " "

    def _outside(self, line: str, bare: str, number: int) -> Checkbox | None:
        """Read a line outside items; return the item that it begins."""
        if self._box is not None:
            self._fence = ""  # a code block ends where its item ends
        if self._in_code(bare) or self._is_comment(bare):
            self._leave()
        elif heading := _HEADING.fullmatch(bare):
            self._leave()
            self._head(len(heading["level"]), (heading["text"] or "").strip())
        elif box := _BOX.fullmatch(bare):
            return self._begin(box, self._indent(line), number)
        elif nearly := _NEARLY.match(bare):
            message = f"'[{nearly['tick']}]' is neither an open nor a done checkbox"
            self._file.note(number, message, "write '[ ]' or '[x]'")
        elif (
            self._box is not None
            and not self._after_blank
            and not _BULLET.match(bare)
            and not _NO_PARAGRAPH.match(bare)
        ):
            self._box.lines.append(line)  # a paragraph goes on, indented or not
        else:
            self._leave()
        return None

    def _in_code(self, bare: str) -> bool:
        """Return whether a line belongs to a code block, its fences included."""
        if self._fence:
            if bare.startswith(self._fence) and not bare.strip(self._fence[0]):
                self._fence = ""
            return True
        if fence := _FENCE.match(bare):
            self._fence = fence["fence"]
            return True
        return False

    def _is_comment(self, bare: str) -> bool:
        if self._in_comment or bare.startswith("<!--"):
            self._in_comment = "-->" not in bare
            return True
        return False

    def _leave(self) -> None:
        self._box = None
        self._list += 1

    def _head(self, level: int, text: str) -> None:
        self._section = text
        if level <= _HIGH or text.lower().startswith("phase"):
            self._phase += 1
            self._phase_title = text

    def _begin(self, found: re.Match[str], indent: int, number: int) -> Checkbox:
        is_numbered = found["marker"][0].isdecimal()
        if self._box is not None and self._box.is_numbered != is_numbered:
            self._list += 1
        self._box = Checkbox(
            line=number,
            indent=indent,
            is_done=found["tick"] != " ",
            is_numbered=is_numbered,
            list_number=self._list,
            phase=self._phase,
            phase_title=self._phase_title,
            section=self._section,
            lines=[found["text"] or ""],
        )
        return self._box
