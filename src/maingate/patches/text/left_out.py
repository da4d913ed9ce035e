"""Parts of a text outside of its diff: words of a tool, code fences, the head of `git show`."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from maingate.patches.repair_record import Repair, RepairKind
from maingate.patches.text.lines import is_blank, is_signature
from maingate.patches.text.mail import Letter
from maingate.patches.text.section import Section

_TITLE: Final = re.compile(rb"diff -|Index: |={5,}|retrieving revision |RCS file: ")
"""Lines that programs other than git write above the part of a file."""


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
