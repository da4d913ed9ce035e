"""Asking the base what a text leaves open, so that nothing is guessed.

A hunk whose length was recounted, or whose line numbers are missing or wrong, is accepted only where its old
side - context and deleted lines - stands in the base: at the stated line, or else exactly once. It then gets
context from the base, so that git checks the same place again.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

from headgate.reasons import Reason, ReasonCode
from headgate.uet.diff_text import DiffError
from headgate.uet.intake import Intake
from headgate.uet.path_quoting import show_path
from headgate.uet.placing import old_span, renumbered
from headgate.uet.section_meaning import is_blob
from headgate.uet.unified_diff import (
    NO_NEWLINE,
    REGULAR,
    ChangeKind,
    Doubt,
    FileChange,
    Hunk,
    HunkDoubt,
    lines_of,
    patched,
)

ReadBlob = Callable[[bytes], bytes | None]

_CONTEXT: Final = 3
_MOST_SEARCH: Final = 20_000_000_000
"""Bytes to search at most for hunks without line numbers: some seconds."""


def locate(intake: Intake, read_blob: ReadBlob) -> Intake | Reason:
    """Decide what only the base can decide.

    Args:
        intake: A patch as it was taken in.
        read_blob: Returns a file's content in the base, or None when there is none.

    Returns:
        The same object when nothing is open (then nothing is read); else the patch with every hunk placed, or
        why it is refused: ``conflict`` when a file or place is not there, ``format_invalid`` when it is
        ambiguous.
    """
    if not intake.needs_base:
        return intake
    repairs: list[str] = []
    try:
        files = tuple(_located(intake.files, read_blob, repairs))
    except DiffError as error:
        return Reason(code=error.code, message=str(error))
    return replace(intake, files=files, repairs=(*intake.repairs, *repairs))


@dataclass(kw_only=True)
class _Endings:
    """Whose the CRLF line endings are that a whole text has: what the files that can tell say."""

    kept: list[bytes] = field(default_factory=list)
    stripped: list[bytes] = field(default_factory=list)

    def of_new_file(self, path: bytes) -> bool:
        """Tell whether a new file keeps them; without any evidence they are the transport's."""
        if self.kept and self.stripped:
            raise DiffError(
                f"{show_path(path)}: cannot tell whose its CRLF line endings are: existing files differ"
            )
        return bool(self.kept)


def _located(changes: Sequence[FileChange], read_blob: ReadBlob, repairs: list[str]) -> Iterator[FileChange]:
    endings = _Endings()
    settled = {
        index: _settle_existing(change, read_blob, endings, repairs)
        for index, change in enumerate(changes)
        if change.needs_base and change.old_path is not None
    }
    for index, change in enumerate(changes):
        change = settled.get(index, change)  # noqa: PLW2901 - the settled form of the same change
        yield _settle_new(change, endings, repairs) if change.needs_base else change


def _settle_existing(
    change: FileChange, read_blob: ReadBlob, endings: _Endings, repairs: list[str]
) -> FileChange:
    path = change.old_path or b""
    base = read_blob(path)
    if not change.doubts - {Doubt.CONTEXT} and not any(hunk.is_doubtful for hunk in change.hunks):
        return _with_confirmed_context(change, base)
    if Doubt.EXISTENCE in change.doubts:
        if base is None:
            repairs.append(f"{show_path(path)}: it does not exist, so the patch makes it")
            return _as_new(change)
        change = replace(change, doubts=change.doubts - {Doubt.EXISTENCE})
    if base is None:
        raise DiffError(f"{show_path(path)} is not in the base", code=ReasonCode.CONFLICT)
    if Doubt.LINE_ENDINGS in change.doubts:
        change = _settle_endings(change, base, endings, repairs)
    if any(hunk.is_doubtful for hunk in change.hunks):
        change = _placed(change, base, repairs)
    return _check_open_end(_with_confirmed_context(change, base), base)


def _as_new(change: FileChange) -> FileChange:
    hunk = replace(change.hunks[0], old_start=0, new_start=1, doubt=HunkDoubt.NONE)
    doubts = change.doubts - {Doubt.EXISTENCE}
    return replace(change, kind=ChangeKind.ADD, old_path=None, new_mode=REGULAR, hunks=(hunk,), doubts=doubts)


def _settle_new(change: FileChange, endings: _Endings, repairs: list[str]) -> FileChange:
    if Doubt.LINE_ENDINGS not in change.doubts:
        return change
    if endings.of_new_file(change.path):
        return replace(change, doubts=change.doubts - {Doubt.LINE_ENDINGS})
    return _without_carriage_returns(change, repairs)


# Line endings


def _settle_endings(change: FileChange, base: bytes, endings: _Endings, repairs: list[str]) -> FileChange:
    keeps = _keeps_endings(change, base)
    (endings.kept if keeps else endings.stripped).append(change.path)
    if keeps:
        return replace(change, doubts=change.doubts - {Doubt.LINE_ENDINGS})
    return _without_carriage_returns(change, repairs)


def _keeps_endings(change: FileChange, base: bytes) -> bool:
    """Tell whether the old sides stand in the base with their CR; without any, the base's own lines tell."""
    blocks = [b"".join(hunk.old_lines()) for hunk in change.hunks]
    if any(blocks):
        return all(block in base for block in blocks)
    return b"\r\n" in base and base.count(b"\r\n") == base.count(b"\n")


def _without_carriage_returns(change: FileChange, repairs: list[str]) -> FileChange:
    repairs.append(f"{show_path(change.path)}: CRLF line endings of the whole text were made LF")
    hunks = tuple(
        replace(
            hunk,
            section=hunk.section.removesuffix(b"\r"),
            lines=tuple(line[:-2] + b"\n" if line.endswith(b"\r\n") else line for line in hunk.lines),
        )
        for hunk in change.hunks
    )
    return replace(change, hunks=hunks, doubts=change.doubts - {Doubt.LINE_ENDINGS})


# Places


@dataclass(frozen=True, kw_only=True)
class _Base:
    """A file's content, to look for whole lines in."""

    text: bytes
    """The content behind a newline, so that each line has one before it."""
    lines: list[bytes]

    @classmethod
    def of(cls, content: bytes) -> "_Base":
        return cls(text=b"\n" + content, lines=lines_of(content))

    def has(self, block: list[bytes], line: int) -> bool:
        return 0 <= line <= len(self.lines) and self.lines[line : line + len(block)] == block

    def places(self, block: list[bytes]) -> list[int]:
        """Return the first lines, from 0, where a block stands; two at most, for two are one too many."""
        wanted = b"\n" + b"".join(block)
        if not wanted.endswith(b"\n"):
            return [len(self.lines) - len(block)] if self.text.endswith(wanted) else []
        first = self.text.find(wanted)
        second = self.text.find(wanted, first + 1) if first >= 0 else -1
        return [self.text.count(b"\n", 0, at) for at in (first, second) if at >= 0]


def _placed(change: FileChange, content: bytes, repairs: list[str]) -> FileChange:
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
            repairs.append(f"{show_path(change.path)}: hunk {number} belongs to line {start}")
        hunks.append(replace(hunk, old_start=start))
    hunks.sort(key=old_span)
    for before, after in pairwise(hunks):
        if old_span(before)[1] > old_span(after)[0] or old_span(before) == old_span(after):
            raise DiffError(f"{show_path(change.path)}: two hunks change the same lines")
    if change.kind is not ChangeKind.DELETE:
        hunks = _with_context(hunks, base.lines)
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


def _with_context(hunks: Sequence[Hunk], lines: list[bytes]) -> list[Hunk]:
    """Give hunks as much context as git would, from the base, and make those one whose context would meet."""
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


def _with_confirmed_context(change: FileChange, content: bytes | None) -> FileChange:
    """Give hunks without context some, if they fit at the very lines they state; else leave it to git."""
    if Doubt.CONTEXT not in change.doubts:
        return change
    settled = replace(change, doubts=change.doubts - {Doubt.CONTEXT})
    if content is None or patched(content, settled) is None:
        return replace(settled, is_loose=True)
    return replace(settled, hunks=renumbered(_with_context(change.hunks, lines_of(content))))


def _as_context(lines: list[bytes]) -> Iterator[bytes]:
    for line in lines:
        if line.endswith(b"\n"):
            yield b" " + line
        else:
            yield from (b" " + line + b"\n", NO_NEWLINE)


def _check_open_end(change: FileChange, base: bytes) -> FileChange:
    """Prove by the object id of the result that a text which ends within a line is whole."""
    if Doubt.OPEN_END not in change.doubts:
        return change
    settled = replace(change, doubts=change.doubts - {Doubt.OPEN_END})
    result = patched(base, settled)
    if result is None or change.new_blob is None or not is_blob(result, change.new_blob):
        raise DiffError(
            f"{show_path(change.path)}: the text ends within a line, and gives not what its `index` line"
            " says; it was truncated (if it is whole, end it with a newline)"
        )
    return settled
