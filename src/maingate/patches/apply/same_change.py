"""Comparison of a commit with a patch by the files, so that the form of the diff does not matter."""

from collections.abc import Sequence

from maingate.git.repository import Repository
from maingate.git.trees import GitEntry
from maingate.patches.apply.expected import REMOVING, content_of
from maingate.patches.model import ChangeKind, FileChange, Hunk, lines_of


def did(repository: Repository, before: str, after: str, changes: Sequence[FileChange]) -> bool:
    """Return whether each of the changes leads from one tree to the other, at whatever lines.

    Args:
        repository: The repository.
        before: The tree that a commit was made on.
        after: The commit's own tree; other paths are ignored.
        changes: The changes of the patch.
    """
    placed = {change.new_path for change in changes}
    gone = {change.old_path for change in changes if change.kind in REMOVING} - placed
    return all(path is None or repository.entry_at(after, path) is None for path in gone) and all(
        _did(repository, before, after, change) for change in changes
    )


def _did(repository: Repository, before: str, after: str, change: FileChange) -> bool:
    was = None if change.old_path is None else repository.entry_at(before, change.old_path)
    now = None if change.new_path is None else repository.entry_at(after, change.new_path)
    if (was is None) != (change.old_path is None) or (now is None) != (change.new_path is None):
        return False
    if now is not None and change.new_mode not in {None, change.old_mode, now.mode}:
        return False
    if _is_named(was, change.old_blob) and _is_named(now, change.new_blob):
        return True
    return _leads_to(_content(repository, was), _content(repository, now), change)


def _is_named(entry: GitEntry | None, blob: str | None) -> bool:
    return entry is None if blob is None else entry is not None and entry.id.startswith(blob)


def _content(repository: Repository, entry: GitEntry | None) -> bytes | None:
    if entry is None:
        return b""
    return None if entry.is_tree else content_of(repository, entry)


def _leads_to(before: bytes | None, after: bytes | None, change: FileChange) -> bool:
    if before is None or after is None:
        return False
    if change.binary is not None:
        return change.binary.forward.content(before) == after
    if not change.hunks and change.kind is not ChangeKind.DELETE:
        return before == after
    return _lead_to(lines_of(before), lines_of(after), change.hunks)


def _lead_to(before: Sequence[bytes], after: Sequence[bytes], hunks: Sequence[Hunk]) -> bool:
    """Return whether two files are equal between the hunks and differ at each hunk as it states."""
    here = there = 0
    for hunk in hunks:
        old, new = hunk.old_lines(), hunk.new_lines()
        while before[here : here + len(old)] != old or after[there : there + len(new)] != new:
            if here >= len(before) or there >= len(after) or before[here] != after[there]:
                return False
            here, there = here + 1, there + 1
        here, there = here + len(old), there + len(new)
    return before[here:] == after[there:]
