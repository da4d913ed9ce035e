"""A patch as values: files that change, their hunks and binary data.

See docs/SPECIFICATION.md §2.2 and git-diff(1).

Names and contents are bytes: neither need be text in any encoding. An old side always means the
tree the patch was made on, also when one patch renames ``a`` to ``b`` and ``b`` to ``a``.
"""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final

from maingate.patches.text.binary import BinaryHunk, BinaryPatch
from maingate.patches.text.quoting import quote_path, show_path

__all__ = [
    "NO_NEWLINE",
    "BinaryHunk",
    "BinaryPatch",
    "ChangeKind",
    "Doubt",
    "FileChange",
    "Hunk",
    "HunkDoubt",
    "lines_of",
    "patched",
    "quote_path",
    "show_path",
]

NO_NEWLINE: Final = b"\\ No newline at end of file\n"
"""The marker git writes below a line that ends its file without a newline."""

REGULAR: Final = 0o100644
EXECUTABLE: Final = 0o100755
SYMLINK: Final = 0o120000
SUBMODULE: Final = 0o160000
KNOWN_MODES: Final = frozenset({REGULAR, EXECUTABLE, SYMLINK, SUBMODULE})

_CONTEXT, _ADDED, _DELETED = b" +-"


class ChangeKind(StrEnum):
    """The kinds of changes of a file. A pure change of mode is MODIFY without hunks."""

    ADD = "add"
    DELETE = "delete"
    MODIFY = "modify"
    RENAME = "rename"
    COPY = "copy"


class HunkDoubt(StrEnum):
    """Doubts about a hunk that the base must resolve before it may be used."""

    NONE = "none"
    COUNTS = "counts"
    """Its length was recounted: the old side must be there."""
    PLACE = "place"
    """Its line numbers are missing or contradictory: the place of the old side in the base decides."""


class Doubt(StrEnum):
    """Doubts about a whole file of a patch that the base must resolve."""

    LINE_ENDINGS = "line_endings"
    """The whole text has CRLF line endings: the transport's or the file's own?"""
    OPEN_END = "open_end"
    """The text ends within a line: is the line whole?"""
    EXISTENCE = "existence"
    """The old side is empty: a new file or an empty one?"""
    CONTEXT = "context"
    """Hunks without context: do they fit at their lines, so that the base can give them some?"""


@dataclass(frozen=True, kw_only=True)
class Hunk:
    r"""One run of changed lines with its context.

    Args:
        old_start: First line in the old file, from 1 (the line before, when ``old_count`` is 0); None while
            neither text nor base stated it.
        old_count: Lines of the old file it covers.
        new_start: As ``old_start``, in the new file.
        new_count: Lines of the new file it covers.
        section: The text behind the second ``@@``, with its leading space.
        lines: The body with markers and newlines; ``\ No newline at end of file`` is a line of its own.
        doubt: The doubt that the base must resolve first.
    """

    old_start: int | None
    old_count: int
    new_start: int | None
    new_count: int
    section: bytes
    lines: tuple[bytes, ...]
    doubt: HunkDoubt = HunkDoubt.NONE

    @property
    def is_doubtful(self) -> bool:
        """Return whether the base must confirm it before it may be used."""
        return self.doubt is not HunkDoubt.NONE

    def old_lines(self) -> list[bytes]:
        """Return context and deletions as they are in the old file."""
        return _side(self.lines, _ADDED)

    def new_lines(self) -> list[bytes]:
        """Return context and additions as they are in the new file."""
        return _side(self.lines, _DELETED)

    @cached_property
    def insertions(self) -> int:
        """Lines added."""
        return sum(line[0] == _ADDED for line in self.lines)

    @cached_property
    def deletions(self) -> int:
        """Lines deleted."""
        return sum(line[0] == _DELETED for line in self.lines)

    @property
    def leading(self) -> int:
        """Context lines before the first change."""
        return _context(self.lines)

    @property
    def trailing(self) -> int:
        """Context lines after the last change."""
        return _context(reversed(self.lines))


def _side(lines: Sequence[bytes], other: int) -> list[bytes]:
    out: list[bytes] = []
    is_ours = True
    for line in lines:
        if line[0] == _CONTEXT or line[0] in b"+-":
            is_ours = line[0] != other
            if is_ours:
                out.append(line[1:])
        elif is_ours:
            out[-1] = out[-1].removesuffix(b"\n")
    return out


def _context(lines: Iterable[bytes]) -> int:
    count = 0
    for line in lines:
        if line[0] in b"+-":
            break
        count += line[0] == _CONTEXT
    return count


@dataclass(frozen=True, kw_only=True)
class FileChange:
    """The change of one file.

    Args:
        kind: The kind of change.
        old_path: Its path in the base, without prefix; None when it is added.
        new_path: Its path in the result; None when it is deleted.
        old_mode: One of git's four file modes; None when the text does not state it.
        new_mode: The same; None on a file that stays means: as in the base.
        old_blob: Object id from the index line, perhaps abbreviated; None when not stated or all zeros.
        new_blob: The same for the result.
        hunks: Its changes, by position.
        binary: Its change when it is binary.
        similarity: Percent, as stated in the text.
        dissimilarity: Percent, as stated in the text.
        doubts: Doubts that only the base can resolve.
        is_loose: Whether hunks have no context, and the base does not confirm their lines.
    """

    kind: ChangeKind
    old_path: bytes | None
    new_path: bytes | None
    old_mode: int | None = None
    new_mode: int | None = None
    old_blob: str | None = None
    new_blob: str | None = None
    hunks: tuple[Hunk, ...] = ()
    binary: BinaryPatch | None = None
    similarity: int | None = None
    dissimilarity: int | None = None
    doubts: frozenset[Doubt] = frozenset()
    is_loose: bool = False

    @property
    def path(self) -> bytes:
        """The path of the file after the change, or before its deletion."""
        return self.new_path if self.new_path is not None else self.old_path or b""

    @property
    def paths(self) -> tuple[bytes, ...]:
        """The paths that the change names, each once."""
        return tuple(dict.fromkeys(path for path in (self.old_path, self.new_path) if path is not None))

    @property
    def insertions(self) -> int:
        """Lines added; none for binary data."""
        return sum(hunk.insertions for hunk in self.hunks)

    @property
    def deletions(self) -> int:
        """Lines deleted; none for binary data."""
        return sum(hunk.deletions for hunk in self.hunks)

    @property
    def has_effect(self) -> bool:
        """Return whether it changes anything."""
        is_other_mode = self.old_mode != self.new_mode
        has_content = bool(self.insertions or self.deletions or self.binary)
        return has_content or is_other_mode or self.kind is not ChangeKind.MODIFY

    @property
    def needs_base(self) -> bool:
        """Return whether the base must be asked before this change may be used."""
        return bool(self.doubts) or any(hunk.is_doubtful for hunk in self.hunks)


def lines_of(content: bytes) -> list[bytes]:
    r"""Split content behind each ``\n`` and nowhere else."""
    return io.BytesIO(content).readlines()


def patched(base: bytes, change: FileChange) -> bytes | None:
    """Apply one change to a file's content, exactly where its hunks say and nowhere else.

    Args:
        base: The content at ``old_path``; empty for ADD.
        change: A change without doubts.

    Returns:
        The new content, empty for DELETE; None when it does not fit exactly, or when a deletion leaves
        content.
    """
    if change.binary is not None:
        result = change.binary.forward.content(base)
    elif change.hunks:
        result = _patched_lines(base, change.hunks)
    else:
        result = base
    return None if change.kind is ChangeKind.DELETE and result else result


def _patched_lines(base: bytes, hunks: Sequence[Hunk]) -> bytes | None:
    old = lines_of(base)
    out: list[bytes] = []
    done = 0
    for hunk in hunks:
        if hunk.old_start is None:
            return None
        start = hunk.old_start if hunk.old_count == 0 else hunk.old_start - 1
        end = start + hunk.old_count
        if start < done or end > len(old) or old[start:end] != hunk.old_lines():
            return None
        out += old[done:start]
        out += hunk.new_lines()
        done = end
    out += old[done:]
    if any(not line.endswith(b"\n") for line in out[:-1]):
        return None
    return b"".join(out)
