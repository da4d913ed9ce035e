"""Checks of whether a change may belong to another place or state than it fits."""

from typing import Final

from maingate.git.merge_place import merged_otherwise
from maingate.git.repository import Repository
from maingate.patches.apply.expected import ChangeReading, is_repeated
from maingate.patches.apply.preimages import Preimages
from maingate.patches.model import FileChange

_EMPTY_BLOB: Final = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


def can_merge(history: Preimages, reading: ChangeReading) -> bool:
    """Return whether a three-way merge can place this change better."""
    is_content = bool(reading.change.hunks) or reading.change.binary is not None
    return is_content and _is_of_another_state(reading) and history.agreeing(reading.change) is not None


def may_merge_otherwise(repository: Repository, tree: str, reading: ChangeReading) -> bool:
    """Return whether a merge may give another result for a change that fits a file it was not made on.

    The lines of a hunk may repeat there, or the file may be one that git does not merge by its lines.
    """
    if not _is_of_another_state(reading):
        return False
    return is_repeated(repository, reading) or bool(merged_otherwise(repository, tree, [reading.change.path]))


def _is_of_another_state(reading: ChangeReading) -> bool:
    before, stated = reading.before, reading.change.old_blob
    return before is not None and stated is not None and not before.id.startswith(stated)


def is_blind(repository: Repository, tree: str, change: FileChange) -> bool:
    """Return whether a hunk has no context and its change is not known to be made on this file."""
    if change.old_path is None or all(hunk.leading or hunk.trailing for hunk in change.hunks):
        return False
    before = repository.entry_at(tree, change.old_path)
    if before is None or before.id == _EMPTY_BLOB:
        return False
    return change.old_blob is None or not before.id.startswith(change.old_blob)


def only_adds(change: FileChange) -> bool:
    """Return whether a hunk only adds lines, without context to place it."""
    return any(not hunk.old_lines() and hunk.new_lines() for hunk in change.hunks)
