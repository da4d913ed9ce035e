"""Repairs: the changes that were made to a patch so that it could be read or applied, all on record.

A correct patch that applies at its stated place has none. The usual steps of `git am` with a mail (the
subject's tags and the signature are cut, text between message and diff is skipped) are no repairs.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from maingate.patches.text.quoting import show_path

Value = str | int | None


class RepairKind(StrEnum):
    """The kinds of repairs; clients may rely on their spelling."""

    TRANSFER_ENCODING = "transfer_encoding"
    """The mail was decoded: from its transfer encoding."""
    MAIL_PARTS = "mail_parts"
    """The patch was taken out of the parts of a mail, or is that of an attached one."""
    SCISSORS = "scissors"
    """The message has a scissors line: the text above it was kept, or left out as the task says."""
    CHARSET = "charset"
    """The message was in another encoding than UTF-8: from that."""
    DATE = "date"
    """The date is one that git cannot keep: from it, to the date that the commit has."""
    COLOURS = "colours"
    """The codes of a terminal's colours were taken out: their number."""
    PROSE = "prose"
    """Lines around the diff were left out: their number."""
    PREFIX = "prefix"
    """A file's name had another prefix than `a/` or `b/`, or a backup's ending: from the name in the text."""
    PARTS = "parts"
    """Several parts about one file were merged: their number."""
    FILE_MODE = "file_mode"
    """A new file's mode was missing: to the assumed mode."""
    LINE_NUMBERS = "line_numbers"
    """The line numbers of a file's hunks contradicted each other."""
    COUNTS = "counts"
    """A hunk has other counts of lines than its header says: from, to."""
    BLANK_LINES = "blank_lines"
    """Empty lines in a hunk were read as empty lines of context: their number."""
    NO_NEWLINE_MARKER = "no_newline_marker"
    """A marker for a missing newline had other words."""
    IDLE_HUNKS = "idle_hunks"
    """Hunks without changes were left out: their number."""
    FINAL_NEWLINE = "final_newline"
    """The text ended without a newline."""
    LINE_ENDS = "line_ends"
    """The line ends were made those of the file, or the transport's were taken off: from, to."""
    EXISTENCE = "existence"
    """The file does not exist, so the patch makes it."""
    PLACE = "place"
    """A hunk without (right) numbers was placed by its lines: from the stated line, to the line."""
    CONTEXT = "context"
    """Hunks got lines of context from the file: from their number, to their number."""
    OFFSET = "offset"
    """A hunk was applied at another line of the new file than stated: from, to."""
    THREE_WAY = "three_way"
    """A file was merged: from the blob that the patch was made on, to the blob in the tree."""
    MOVED = "moved"
    """A file was changed at the path that it was moved to since: from the path in the text, to that."""
    RESULT = "result"
    """A file's new content differs from the id on the `index` line: from that id, to the actual one."""


@dataclass(frozen=True, kw_only=True)
class Repair:
    """One repair.

    Args:
        kind: Its kind.
        said: The rest of a sentence that begins with the file and the hunk.
        file: The file, by its path after the patch; None for the whole text.
        hunk: The hunk's number in the file, from 1; None for all of it.
        was: The value before; None where there is none.
        now: The value after.
    """

    kind: RepairKind
    said: str
    file: bytes | None = None
    hunk: int | None = None
    was: Value = None
    now: Value = None

    def __str__(self) -> str:
        """Return the sentence for people."""
        file = "" if self.file is None else f"{show_path(self.file)}: "
        hunk = "" if self.hunk is None else f"hunk {self.hunk} "
        return f"{file}{hunk}{self.said}"

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "kind": str(self.kind),
            "file": None if self.file is None else show_path(self.file),
            "hunk": self.hunk,
            "from": self.was,
            "to": self.now,
            "message": str(self),
        }
