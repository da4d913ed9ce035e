"""Reading of one file's part of a diff: extended headers, ``---``/``+++``, hunks, binary data.

Every line of a part must be understood. The line behind it must begin another part or be clearly prose.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from maingate.patches.model import Doubt
from maingate.patches.text.binary import read_binary
from maingate.patches.text.headers import NULL, name_of
from maingate.patches.text.hunks import read_hunk
from maingate.patches.text.lines import (
    DiffError,
    begins_file,
    begins_traditional,
    chomp,
    is_blank,
    is_fence,
    is_signature,
    skip_blank,
)
from maingate.patches.text.section import Section

_EXTENDED: Final = re.compile(
    rb"(old mode|new mode|deleted file mode|new file mode|copy from|copy to|rename from|rename to"
    rb"|similarity index|dissimilarity index|index) (.*)"
)
_TITLE: Final = b"diff --git "


def read_section(lines: Sequence[bytes], at: int, *, binary_limit: int) -> Section:
    """Read the part that begins with a ``diff --git`` or a ``---`` line.

    Args:
        lines: The whole text.
        at: Its first line.
        binary_limit: Most bytes that one binary hunk may inflate to.

    Raises:
        DiffError: A line of it is damaged, cut or cannot be understood.
    """
    first = lines[at]
    is_git = first.startswith(_TITLE)
    section = Section(at=at, title=chomp(first)[len(_TITLE) :] if is_git else None, end=at)
    if first.endswith(b"\r\n"):
        section.doubts.add(Doubt.LINE_ENDINGS)
    if is_git:
        _read_extended(section, lines)
    if section.end < len(lines) and begins_traditional(lines, section.end):
        _read_names(section, lines)
        _read_hunks(section, lines)
    elif section.end < len(lines) and chomp(lines[section.end]) == b"GIT binary patch":
        section.binary, section.end = read_binary(lines, section.end + 1, limit=binary_limit)
    _check_end(section, lines)
    section.is_last = skip_blank(lines, section.end) >= len(lines)
    return section


def _read_extended(section: Section, lines: Sequence[bytes]) -> None:
    at = section.at + 1
    while at < len(lines) and (found := _EXTENDED.fullmatch(chomp(lines[at]))):
        if found[1] in section.fields:
            raise DiffError(f"`{found[1].decode()}` stands twice in one header", at)
        section.fields[found[1]] = found[2]
        at += 1
    section.end = at


def _read_names(section: Section, lines: Sequence[bytes]) -> None:
    at = section.end
    old, new = name_of(chomp(lines[at])[4:]), name_of(chomp(lines[at + 1])[4:])
    if old is None or new is None:
        raise DiffError("the name on a `---` or `+++` line is damaged", at)
    section.old_name, section.new_name = old[0], new[0]
    section.end = at + 2
    if section.is_git or section.end >= len(lines):
        return
    header = lines[section.end]
    if old[1] and header.startswith((b"@@ -0,0 ", b"@@ -1,0 ")):
        section.old_name = NULL
    elif new[1] and (b" +0,0 @@" in header or b" +1,0 @@" in header):
        section.new_name = NULL


def _read_hunks(section: Section, lines: Sequence[bytes]) -> None:
    at = section.end
    while at < len(lines) and lines[at].startswith(b"@@"):
        read = read_hunk(lines, at)
        number = len(section.hunks) + 1
        section.repairs += [replace(repair, hunk=number) for repair in read.repairs]
        if read.is_open:
            section.doubts.add(Doubt.OPEN_END)
        section.hunks.append(read.hunk)
        section.end = read.end
        at = skip_blank(lines, read.end)
    if not section.hunks:
        raise DiffError("a `---`/`+++` header has no hunks: the text was truncated", section.at)


def _check_end(section: Section, lines: Sequence[bytes]) -> None:
    at = section.end
    if at >= len(lines) or is_blank(lines[at]) or begins_file(lines, at):
        return
    if not section.hunks and not (
        is_signature(lines, at) or is_fence(lines[at]) or lines[at].startswith(b"From ")
    ):
        raise DiffError("a line in a file's header cannot be understood", at)
    while at < len(lines) and not (is_blank(lines[at]) or begins_file(lines, at)):
        if is_fence(lines[at]) or is_signature(lines, at):
            return
        if lines[at][:1] in b"+-":
            raise DiffError("lines with + or - go on behind a hunk and text that is no part of it", at)
        at += 1
