"""Parts of a text outside of its diff: words of a tool, code fences, the head of `git show`."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from maingate.patches.repair_record import Repair, RepairKind
from maingate.patches.text.lines import DiffError, is_blank, is_fence, is_signature
from maingate.patches.text.mail import Letter
from maingate.patches.text.section import Section

_TITLE: Final = re.compile(rb"diff -|Index: |={5,}|retrieving revision |RCS file: ")
"""Lines that programs other than git write above the part of a file."""
_MESSAGE: Final = (
    "a message of `diff` about a file or folder, whose change is missing; make the diff with"
    " `git diff --binary` or `LC_ALL=C diff -ruN --text`"
)


_RECURSIVE: Final = re.compile(rb"diff (?:-\S+ )*(?:-[A-Za-z0-9]*r[A-Za-z0-9]*|--recursive) ")


def refuse_messages_of_diff(lines: Sequence[bytes], sections: Sequence[Section]) -> None:
    """Raise if `diff -r` says in some language that it left something out.

    Such a diff has nothing but its parts and these messages, so a line directly behind a part is one of them:
    ``Only in``, ``Binary files differ``, ``File a is a directory while file b is a regular file``.

    Raises:
        DiffError: There is such a line.
    """
    if not any(_RECURSIVE.match(lines[section.at - 1]) for section in sections if section.at):
        return
    for section in sections:
        at = section.end
        if at < len(lines) and not _is_expected(lines, at):
            raise DiffError(_MESSAGE, at)


def _is_expected(lines: Sequence[bytes], at: int) -> bool:
    line = lines[at]
    is_surrounding = is_fence(line) or is_signature(lines, at) or line.startswith((b"From ", b"--- "))
    return is_blank(line) or is_surrounding or _TITLE.match(line) is not None


def left_out(letter: Letter, sections: Sequence[Section]) -> list[Repair]:
    """Return the repair that lines outside of the diff are left out; none for a mail around one diff.

    Args:
        letter: The separated text. In a mail, the text above the first file belongs to it.
        sections: The parts of the diff that were found in it.
    """
    lines = letter.lines
    count = sum(
        not is_blank(lines[at]) and _TITLE.match(lines[at]) is None
        for start, end in _gaps(lines, sections, is_mail=letter.header is not None)
        for at in range(start, end)
    )
    if not count:
        return []
    said = f"{count} lines that are no part of the diff were left out"
    return [Repair(kind=RepairKind.PROSE, said=said, was=count, now=0)]


def _gaps(lines: Sequence[bytes], sections: Sequence[Section], *, is_mail: bool) -> Iterator[tuple[int, int]]:
    at = sections[0].at if is_mail else 0
    for section in sections:
        yield at, section.at
        at = section.end
    yield at, next((place for place in range(at, len(lines)) if is_signature(lines, place)), len(lines))
