"""Placement of hunks in the base: the place of their old side, and context from the base."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from maingate.patches.model import NO_NEWLINE, ChangeKind, FileChange, Hunk, HunkDoubt, lines_of
from maingate.patches.repair_record import Repair, RepairKind
from maingate.patches.text.hunk_numbers import old_span, renumbered
from maingate.patches.text.lines import DiffError
from maingate.patches.text.quoting import show_path
from maingate.reasons import ReasonCode

_CONTEXT: Final = 3
_MOST_SEARCH: Final = 20_000_000_000
"""Bytes to search at most for hunks without line numbers: some seconds."""


@dataclass(frozen=True, kw_only=True)
class _Base:
    """A file's content, for searches of whole lines."""

    text: bytes
    """The content behind a newline, so that each line has one before it."""
    lines: list[bytes]

    @classmethod
    def of(cls, content: bytes) -> "_Base":
        return cls(text=b"\n" + content, lines=lines_of(content))

    def has(self, block: list[bytes], line: int) -> bool:
        return 0 <= line <= len(self.lines) and self.lines[line : line + len(block)] == block

    def places(self, block: list[bytes]) -> list[int]:
        """Return the first lines, from 0, where a block occurs; at most two, since two are ambiguous."""
        wanted = b"\n" + b"".join(block)
        if not wanted.endswith(b"\n"):
            return [len(self.lines) - len(block)] if self.text.endswith(wanted) else []
        first = self.text.find(wanted)
        second = self.text.find(wanted, first + 1) if first >= 0 else -1
        return [self.text.count(b"\n", 0, at) for at in (first, second) if at >= 0]


def placed(change: FileChange, content: bytes, repairs: list[Repair]) -> FileChange:
    """Return a change with every hunk placed in the base, with context and correct numbers.

    Args:
        change: A change with doubtful hunks.
        content: The file in the base.
        repairs: Receives the repairs: hunks that belong elsewhere than stated, or that were given context.

    Raises:
        DiffError: A hunk is not there, or could belong to several places.
    """
    base = _Base.of(content)
    unplaced = sum(hunk.old_start is None for hunk in change.hunks)
    if unplaced * len(content) > _MOST_SEARCH:
        raise DiffError(
            f"{show_path(change.path)}: too many hunks without line numbers for a file of its size"
        )
    hunks: list[Hunk] = []
    for number, hunk in enumerate(change.hunks, 1):
        line = _place(base, hunk, f"{show_path(change.path)}: hunk {number}")
        start = line + (hunk.old_count > 0)
        if start != hunk.old_start:
            repairs.append(_belongs(change, number, hunk.old_start, start))
        hunks.append(replace(hunk, old_start=start))
    hunks.sort(key=old_span)
    for before, after in pairwise(hunks):
        if old_span(before)[1] > old_span(after)[0] or old_span(before) == old_span(after):
            raise DiffError(f"{show_path(change.path)}: two hunks change the same lines")
    if change.kind is not ChangeKind.DELETE:
        wide = with_context(hunks, base.lines)
        repairs += widened(change, hunks, wide)
        hunks = wide
    return replace(change, hunks=renumbered(hunks))


def _place(base: _Base, hunk: Hunk, name: str) -> int:
    """Return the line, from 0, where a hunk's old side begins in the base."""
    block = hunk.old_lines()
    is_proof = bool(block) or not base.lines or hunk.doubt is HunkDoubt.COUNTS
    if hunk.old_start is not None and is_proof and base.has(block, old_span(hunk)[0]):
        return old_span(hunk)[0]
    if not block:
        if not base.lines:
            return 0
        raise DiffError(f"{name} has no context that says where its lines belong")
    places = base.places(block)
    if len(places) == 1:
        return places[0]
    if places:
        raise DiffError(
            f"{name} could belong to several places of the file; give it a line number or more context"
        )
    if hunk.doubt is HunkDoubt.COUNTS:
        raise DiffError(f"{name} has wrong line counts, and its lines are not in the file")
    raise DiffError(f"{name} is not in the file", code=ReasonCode.CONFLICT)


def _belongs(change: FileChange, number: int, stated: int | None, line: int) -> Repair:
    said = f"belongs to line {line}"
    return Repair(kind=RepairKind.PLACE, said=said, file=change.path, hunk=number, was=stated, now=line)


def widened(change: FileChange, before: Sequence[Hunk], after: Sequence[Hunk]) -> list[Repair]:
    """Return the repair that the base gave hunks context, if it did."""
    was, now = (
        sum(line.startswith(b" ") for hunk in hunks for line in hunk.lines) for hunks in (before, after)
    )
    if was == now:
        return []
    said = "its hunks were given context from the file"
    return [Repair(kind=RepairKind.CONTEXT, said=said, file=change.path, was=was, now=now)]


def with_context(hunks: Sequence[Hunk], lines: list[bytes]) -> list[Hunk]:
    """Return hunks with as much context from the base as git gives; hunks whose context meets become one."""
    out: list[Hunk] = []
    for hunk in hunks:
        if out and old_span(hunk)[0] - old_span(out[-1])[1] <= 2 * _CONTEXT:
            out[-1] = _joined(out[-1], hunk, lines)
        else:
            out.append(hunk)
    return [_widened(hunk, lines) for hunk in out]


def _joined(before: Hunk, after: Hunk, lines: list[bytes]) -> Hunk:
    (start, end), (resumed, _) = old_span(before), old_span(after)
    return _spanning(
        before,
        start,
        (*before.lines, *_as_context(lines[end:resumed]), *after.lines),
        [before, after],
        resumed - end,
    )


def _widened(hunk: Hunk, lines: list[bytes]) -> Hunk:
    start, end = old_span(hunk)
    head = lines[max(0, start - max(0, _CONTEXT - hunk.leading)) : start]
    tail = lines[end : end + max(0, _CONTEXT - hunk.trailing)]
    body = (*_as_context(head), *hunk.lines, *_as_context(tail))
    return _spanning(hunk, start - len(head), body, [hunk], len(head) + len(tail))


def _spanning(hunk: Hunk, start: int, body: tuple[bytes, ...], parts: list[Hunk], context: int) -> Hunk:
    old_count = sum(part.old_count for part in parts) + context
    new_count = sum(part.new_count for part in parts) + context
    return replace(
        hunk, old_start=start + (old_count > 0), old_count=old_count, new_count=new_count, lines=body
    )


def _as_context(lines: list[bytes]) -> Iterator[bytes]:
    for line in lines:
        if line.endswith(b"\n"):
            yield b" " + line
        else:
            yield from (b" " + line + b"\n", NO_NEWLINE)
