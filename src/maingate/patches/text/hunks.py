"""Reading of hunks whose counts may be wrong.

``git apply`` trusts the counts: if they are too low it drops the rest of the hunk silently. So each hunk is
read to the actual end of its lines. Correct counts are kept; wrong ones are repaired only if the text shows
its own end, and the base must confirm the result (``patches.apply.doubt_resolution``).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from maingate.patches.model import NO_NEWLINE, Hunk, HunkDoubt
from maingate.patches.repair_record import Repair, RepairKind
from maingate.patches.text.lines import (
    DiffError,
    begins_file,
    chomp,
    is_blank,
    is_fence,
    is_marker,
    is_signature,
    skip_blank,
)

_HEADER: Final = re.compile(rb"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@(.*)")
_BARE: Final = re.compile(rb"@@(?![-+@])(?:(?![ \t][-+]).)*")
_VERSION: Final = re.compile(rb"\d+\.\d+")
_NUMBERS: Final = re.compile(rb"\d,\d")
_SPACE, _PLUS, _MINUS, _BACKSLASH = b" +-\\"
_PLAIN: Final = frozenset({_SPACE, _PLUS, _MINUS})


@dataclass(frozen=True, kw_only=True)
class ReadHunk:
    """A hunk as it was read.

    Args:
        hunk: The hunk, with true counts.
        end: The line behind it.
        repairs: The repairs that were made.
        is_open: Whether the text ends within its last line.
    """

    hunk: Hunk
    end: int
    repairs: tuple[Repair, ...]
    is_open: bool


def read_hunk(lines: Sequence[bytes], at: int) -> ReadHunk:
    """Read the hunk whose ``@@`` line is at a place.

    Args:
        lines: The whole text.
        at: The line that begins with ``@@``.

    Raises:
        DiffError: The header is damaged, or the hunk is cut or contradicts itself.
    """
    header = chomp(lines[at])
    found = _HEADER.fullmatch(header)
    if found is None:
        return _read_bare(lines, at, header)
    old_start, new_start = int(found[1]), int(found[3])
    old = int(found[2]) if found[2] is not None else 1
    new = int(found[4]) if found[4] is not None else 1
    end, repairs = _end_by_counts(lines, at + 1, old, new), list[Repair]()
    if end is None or _goes_on(lines, end):
        end = _end_by_shape(lines, at + 1)
        real_old, real_new = _recount(lines, at + 1, end)
        if (real_old, real_new) != (old, new):
            _refuse_cut(lines, at, end, is_short=real_old < old or real_new < new)
            repairs.append(_recounted(f"{old},{new}", f"{real_old},{real_new}"))
            old, new = real_old, real_new
    hunk = Hunk(
        old_start=old_start,
        old_count=old,
        new_start=new_start,
        new_count=new,
        section=found[5],
        lines=_body(lines, at, end),
        doubt=HunkDoubt.COUNTS if repairs else HunkDoubt.NONE,
    )
    repairs += _rewritten(lines[at + 1 : end])
    return ReadHunk(hunk=hunk, end=end, repairs=tuple(repairs), is_open=_is_open(lines, end))


def end_of_counted_hunk(lines: Sequence[bytes], at: int) -> int | None:
    """Return the line behind a hunk that is as long as its header says; None for any other text."""
    found = _HEADER.fullmatch(chomp(lines[at]))
    if found is None:
        return None
    old, new = (1 if count is None else int(count) for count in (found[2], found[4]))
    return _end_by_counts(lines, at + 1, old, new)


def _recounted(was: str, now: str) -> Repair:
    return Repair(kind=RepairKind.COUNTS, said=f"has counts {was}: corrected to {now}", was=was, now=now)


def _rewritten(lines: Sequence[bytes]) -> list[Repair]:
    """Return the lines of the hunk's body that differ from the text."""
    repairs = []
    if blank := sum(map(is_blank, lines)):
        said = f"has {blank} empty lines: taken as empty lines of context"
        repairs.append(Repair(kind=RepairKind.BLANK_LINES, said=said, was=blank, now=blank))
    for line in lines:
        if line[0] == _BACKSLASH and chomp(line) != NO_NEWLINE[:-1]:
            was, now = chomp(line).decode(errors="backslashreplace"), NO_NEWLINE[:-1].decode()
            said = f"has {was!r}: taken as the marker for a missing newline"
            repairs.append(Repair(kind=RepairKind.NO_NEWLINE_MARKER, said=said, was=was, now=now))
    return repairs


def _read_bare(lines: Sequence[bytes], at: int, header: bytes) -> ReadHunk:
    if _BARE.fullmatch(header) is None or _NUMBERS.search(header):
        raise DiffError("a hunk header is damaged", at)
    end = _end_by_shape(lines, at + 1)
    old, new = _recount(lines, at + 1, end)
    hunk = Hunk(
        old_start=None,
        old_count=old,
        new_start=None,
        new_count=new,
        section=b"",
        lines=_body(lines, at, end),
        doubt=HunkDoubt.PLACE,
    )
    repairs = tuple(_rewritten(lines[at + 1 : end]))
    return ReadHunk(hunk=hunk, end=end, repairs=repairs, is_open=_is_open(lines, end))


def _end_by_counts(lines: Sequence[bytes], at: int, old: int, new: int) -> int | None:
    """Return the line behind as many lines as were counted, or None when the counts do not match."""
    total = len(lines)
    while (old > 0 or new > 0) and at < total:
        line = lines[at]
        first = line[0]
        if first == _SPACE:
            old -= 1
            new -= 1
        elif first == _PLUS:
            new -= 1
        elif first == _MINUS:
            old -= 1
        elif is_blank(line):
            old -= 1
            new -= 1
        elif not is_marker(line):
            return None
        at += 1
    if old or new or _took_signature(lines, at):
        return None
    return at + 1 if at < total and is_marker(lines[at]) else at


def _took_signature(lines: Sequence[bytes], end: int) -> bool:
    return end < len(lines) and chomp(lines[end - 1]) == b"-- " and _VERSION.match(lines[end]) is not None


def _goes_on(lines: Sequence[bytes], end: int) -> bool:
    """Return whether the text behind a hunk that is complete by its counts looks like more of it.

    Raises:
        DiffError: Changed lines follow behind a blank one: more of the hunk, or a list in prose.
    """
    at = skip_blank(lines, end)
    if at == len(lines) or lines[at][0] not in b" +-\\" or begins_file(lines, at) or is_signature(lines, at):
        return False
    if at == end:
        return True
    if any(line[0] in b"+-" for line in lines[at : _end_by_shape(lines, at)]):
        raise DiffError("lines with + or - go on behind a hunk that is complete by its header's counts", at)
    return False


def _end_by_shape(lines: Sequence[bytes], start: int) -> int:
    """Return the line behind the last one that can belong to the hunk; blank lines at the end do not."""
    at = end = start
    while at < len(lines):
        line = lines[at]
        if is_blank(line):
            at = skip_blank(lines, at)
            continue
        if line[0] not in b" +-\\":
            break
        if line[0] == _MINUS and (begins_file(lines, at) or is_signature(lines, at)):
            break
        at += 1
        end = at
    return end


def _recount(lines: Sequence[bytes], at: int, end: int) -> tuple[int, int]:
    old = new = 0
    for line in lines[at:end]:
        first = line[0]
        old += first not in (_PLUS, _BACKSLASH)
        new += first not in (_MINUS, _BACKSLASH)
    return old, new


def _refuse_cut(lines: Sequence[bytes], at: int, end: int, *, is_short: bool) -> None:
    if not is_short:
        return
    behind = skip_blank(lines, end)
    if behind == len(lines):
        raise DiffError("the text ends before the hunk does: it was truncated", at)
    shows_end = (
        begins_file(lines, behind)
        or is_signature(lines, behind)
        or is_fence(lines[behind])
        or lines[behind].startswith((b"@@", b"From "))
    )
    if not shows_end or _resumes(lines, behind):
        raise DiffError("a hunk has fewer lines than its header counts", at)


def _resumes(lines: Sequence[bytes], at: int) -> bool:
    """Return whether changed lines continue behind a fence or signature that seems to end a short hunk."""
    if not (is_fence(lines[at]) or is_signature(lines, at)):
        return False
    for place in range(at + 1, len(lines)):
        if begins_file(lines, place) or lines[place].startswith((b"From ", b"@@")):
            return False
        if lines[place][0] in b"+-" and not is_signature(lines, place):
            return True
    return False


def _body(lines: Sequence[bytes], at: int, end: int) -> tuple[bytes, ...]:
    if end == at + 1:
        raise DiffError("a hunk has no lines: the text was truncated", at)
    body = tuple(lines[at + 1 : end])
    firsts = {line[0] for line in body}
    has_marker = _BACKSLASH in firsts
    if not firsts <= _PLAIN or not body[-1].endswith(b"\n"):
        body = tuple(_normal(line, at) for line in body)
    if has_marker:
        _check_markers(body, at)
    return body


def _normal(line: bytes, at: int) -> bytes:
    if line[0] == _BACKSLASH:
        if not line.endswith(b"\n") and chomp(line) != NO_NEWLINE[:-1]:
            raise DiffError("the text ends within a marker for a missing newline: it was truncated", at)
        if not is_marker(line):
            raise DiffError(
                "a line in a hunk begins with a backslash, but is no marker for a missing newline", at
            )
        return NO_NEWLINE
    if not line.endswith(b"\n"):
        line += b"\n"
    return b" " + line if line[0] in b"\r\n" else line


def _check_markers(body: Sequence[bytes], at: int) -> None:
    """Refuse a line without newline that is followed by others on its side: git would join them."""
    is_old_over = is_new_over = False
    before = _BACKSLASH
    for line in body:
        first = line[0]
        if first == _BACKSLASH:
            if before == _BACKSLASH:
                raise DiffError("a marker for a missing newline has no line before it", at)
            is_old_over |= before != _PLUS
            is_new_over |= before != _MINUS
        elif (is_old_over and first != _PLUS) or (is_new_over and first != _MINUS):
            raise DiffError("lines go on after a marker for a missing newline", at)
        before = first


def _is_open(lines: Sequence[bytes], end: int) -> bool:
    last = lines[end - 1]
    return not last.endswith(b"\n") and last[0] != _BACKSLASH
