"""Expected results of a patch, by our own reading of its text, to check git's result.

`git apply` can exit 0 having applied a part: after a byte-order mark, before a damaged binary hunk, or, when
the result is already in the object store, without having read the binary data at all. So every result is
checked.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from maingate.git.repository import Repository
from maingate.git.trees import FILE_MODE, SUBMODULE_MODE, GitEntry
from maingate.patches.model import ChangeKind, FileChange, Hunk, lines_of, patched

_SUBMODULE: Final = re.compile(rb"Subproject commit ([0-9a-f]{40})\n?")
REMOVING: Final = frozenset({ChangeKind.DELETE, ChangeKind.RENAME})
"""The kinds of changes after which the old path is empty, unless another change fills it."""

_UNMOVED: Final[Mapping[int, int]] = {}


@dataclass(frozen=True, kw_only=True)
class ChangeReading:
    """The result of one change of the text on the base.

    Args:
        change: The change.
        before: The entry of the base at its old path.
        is_readable: Whether our own reading can apply it at all.
        is_exact: Whether it fits at exactly the stated lines.
        entry: The expected entry at the new path; None after a deletion.
        content: The same as bytes; None after a deletion, and for a submodule.
    """

    change: FileChange
    before: GitEntry | None
    is_readable: bool
    is_exact: bool = False
    entry: GitEntry | None = None
    content: bytes | None = None


def read_change(
    repository: Repository, before: GitEntry | None, change: FileChange, moved: Mapping[int, int] = _UNMOVED
) -> ChangeReading:
    """Apply one change to the base's entry at its old path.

    Args:
        repository: The repository.
        before: The entry of the base at the old path.
        change: The change.
        moved: Hunks (from 1) that belong elsewhere than stated, with their first line (from 0) in the new
            file.
    """
    if before is None and change.kind is not ChangeKind.ADD:
        return ChangeReading(change=change, before=before, is_readable=False)
    base = b"" if before is None or change.kind is ChangeKind.ADD else content_of(repository, before)
    content, is_exact = patched(base, change), True
    if content is None:
        content, is_exact = _applied_at(base, change.hunks, moved), False
    if content is None or (change.kind is ChangeKind.DELETE and content):
        return ChangeReading(change=change, before=before, is_readable=False)
    if change.kind is ChangeKind.DELETE:
        return ChangeReading(change=change, before=before, is_readable=True, is_exact=is_exact)
    entry = _entry_for(content, _mode_after(before, change))
    is_blob = entry is not None and entry.is_blob
    return ChangeReading(
        change=change,
        before=before,
        is_readable=entry is not None,
        is_exact=is_exact,
        entry=entry,
        content=content if is_blob else None,
    )


def outcome(readings: Sequence[ChangeReading]) -> dict[bytes, GitEntry | None]:
    """Return the expected entry of each touched path: first all removals, then all additions, as in git."""
    found: dict[bytes, GitEntry | None] = {}
    for reading in readings:
        if reading.change.kind in REMOVING and reading.change.old_path is not None:
            found[reading.change.old_path] = None
    for reading in readings:
        if reading.change.new_path is not None:
            found[reading.change.new_path] = reading.entry
    return found


def is_merged(
    repository: Repository,
    before: GitEntry | None,
    change: FileChange,
    after: GitEntry | None,
    own_base: str | None,
) -> bool:
    """Return whether a three-way merge has the effect of the change on its own base.

    Where the file was the change's own base, the result is known to the byte. Else every run of lines
    that the change adds must occur in the merged file, in one piece.
    """
    if before is None or after is None or own_base is None or after.mode != _mode_after(before, change):
        return False
    wanted = patched(repository.read_blob(own_base), change)
    if wanted is None:
        return False
    if blob_id(wanted) == after.id:
        return True
    if own_base == before.id or change.binary is not None:
        return False
    merged = b"\n" + repository.read_blob(after.id)
    return all(
        b"\n" + run.removesuffix(b"\n") in merged for hunk in change.hunks for run in _added_runs(hunk)
    )


def is_repeated(repository: Repository, reading: ChangeReading) -> bool:
    """Return whether the old lines of a hunk occur more than once in the base; its place is then unclear."""
    if reading.before is None or not reading.change.hunks:
        return False
    base = b"\n" + content_of(repository, reading.before)
    blocks = (b"\n" + b"".join(hunk.old_lines()) for hunk in reading.change.hunks)
    return any(base.find(block, base.find(block) + 1) != -1 for block in blocks)


def is_done(repository: Repository, change: FileChange, after: GitEntry | None) -> bool:
    """Return whether the result of a change is in the base already, by its stated id or whole content.

    Args:
        repository: The repository.
        change: The change; one without a new path is done when nothing is at its old one.
        after: The entry of the base at its new path, else at its old one.
    """
    if change.kind is ChangeKind.DELETE or after is None:
        return change.kind is ChangeKind.DELETE and after is None
    if change.new_mode is not None and change.new_mode != after.mode:
        return False
    if change.new_blob is not None:
        return after.id.startswith(change.new_blob)
    if change.kind is ChangeKind.ADD:
        return patched(b"", change) == content_of(repository, after)
    is_mode_change = change.kind is ChangeKind.MODIFY and change.new_mode is not None
    return is_mode_change and not change.hunks and change.binary is None


def content_of(repository: Repository, entry: GitEntry) -> bytes:
    """Return the content of an entry in a diff: of a submodule the line that names its commit."""
    if entry.mode == SUBMODULE_MODE:
        return b"Subproject commit %s\n" % entry.id.encode()
    return repository.read_blob(entry.id)


def blob_id(content: bytes) -> str:
    """Return git's id of a content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _entry_for(content: bytes, mode: int) -> GitEntry | None:
    if mode != SUBMODULE_MODE:
        return GitEntry(mode, blob_id(content))
    named = _SUBMODULE.fullmatch(content)
    return None if named is None else GitEntry(mode, named[1].decode())


def _mode_after(before: GitEntry | None, change: FileChange) -> int:
    says_new = change.new_mode is not None and change.new_mode != change.old_mode
    if before is None or change.kind is ChangeKind.ADD:
        return FILE_MODE if change.new_mode is None else change.new_mode
    return change.new_mode if says_new and change.new_mode is not None else before.mode


def _applied_at(base: bytes, hunks: Sequence[Hunk], moved: Mapping[int, int]) -> bytes | None:
    """Apply hunks at the places that git reports; None when they do not fit there in order."""
    lines = lines_of(base)
    made: list[bytes] = []
    at = 0
    for number, hunk in enumerate(hunks, start=1):
        stated = max((hunk.new_start or 0) - 1, 0)
        kept = moved.get(number, stated) - len(made)
        old = hunk.old_lines()
        if kept < 0 or lines[at + kept : at + kept + len(old)] != old:
            return None
        made += lines[at : at + kept]
        made += hunk.new_lines()
        at += kept + len(old)
    return b"".join(made + lines[at:])


def _added_runs(hunk: Hunk) -> list[bytes]:
    marked = [line for line in hunk.lines if not line.startswith(b"\\")]
    grouped = groupby(marked, key=lambda line: line[:1])
    return [b"".join(line[1:] for line in run) for marker, run in grouped if marker == b"+"]
