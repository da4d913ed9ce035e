"""What was done to a patch so that it could be read or applied: nothing is changed without being on record.

A patch in good order that applies where it says has none. What `git am` does with any mail (the subject's
tags and the signature are cut, what stands between message and diff is skipped) is no repair.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from maingate.patches.text.quoting import show_path

Value = str | int | None


class RepairKind(StrEnum):
    """The stable names of the public face; clients may rely on their spelling."""

    TRANSFER_ENCODING = "transfer_encoding"
    """The mail was decoded: from its transfer encoding."""
    CHARSET = "charset"
    """The message was in another encoding than UTF-8: from that."""
    PROSE = "prose"
    """Lines around the diff were left out: how many."""
    PREFIX = "prefix"
    """A file's name had another prefix than `a/` or `b/`, or a backup's ending: from the name as it stood."""
    PARTS = "parts"
    """Several parts about one file were merged: how many."""
    FILE_MODE = "file_mode"
    """A new file's mode was missing: to what it was taken as."""
    LINE_NUMBERS = "line_numbers"
    """The line numbers of a file's hunks contradicted each other."""
    COUNTS = "counts"
    """A hunk has other counts of lines than its header says: from, to."""
    BLANK_LINES = "blank_lines"
    """Empty lines in a hunk stand for empty lines of context: how many."""
    NO_NEWLINE_MARKER = "no_newline_marker"
    """A marker for a missing newline was in other words."""
    IDLE_HUNKS = "idle_hunks"
    """Hunks that change nothing were left out: how many."""
    FINAL_NEWLINE = "final_newline"
    """The text ended without a newline."""
    LINE_ENDS = "line_ends"
    """The line ends of the whole text were the transport's: from CRLF to LF."""
    EXISTENCE = "existence"
    """The file does not exist, so the patch makes it."""
    PLACE = "place"
    """A hunk without (right) numbers was placed by its lines: from the stated line, to the line."""
    CONTEXT = "context"
    """Hunks got lines of context from the file: from how many, to how many."""
    OFFSET = "offset"
    """A hunk was applied at another line of the new file than stated: from, to."""
    THREE_WAY = "three_way"
    """A file was merged: from the blob that the patch was made on, to the one that was there."""
    RESULT = "result"
    """A file's new content is not what the `index` line names: from that id, to the one that it has."""


@dataclass(frozen=True, kw_only=True)
class Repair:
    """One thing that was done.

    Args:
        kind: What kind of thing.
        said: The rest of a sentence that begins with the file and the hunk.
        file: The file, as the patch leaves it; None for the whole text.
        hunk: The hunk's number in the file, from 1; None for all of it.
        was: What it was; None where there is nothing to name.
        now: What was made of it.
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
        """Return the form that is stored and printed."""
        return {
            "kind": str(self.kind),
            "file": None if self.file is None else show_path(self.file),
            "hunk": self.hunk,
            "from": self.was,
            "to": self.now,
            "message": str(self),
        }
