"""The parts of a refused patch that the base has already: it landed in part, or was made on another state."""

from collections.abc import Callable, Iterator, Sequence

from maingate.patches.model import ChangeKind, FileChange, Hunk
from maingate.patches.text.quoting import show_path
from maingate.wording import listed

ContentAt = Callable[[bytes], bytes | None]
"""Returns the content of a file of the base; None where it has none."""

_SHOWN = 5
"""Hunks and files that are named."""


def parts_there(changes: Sequence[FileChange], content_at: ContentAt) -> str | None:
    """Return a sentence about the parts of a patch that the base has; None when it has none or all.

    A hunk is there when its new lines are in the file and its old ones are not.

    Args:
        changes: The changes of the patch.
        content_at: Returns the content of a file of the base.
    """
    there: list[str] = []
    is_all = True
    for change in changes:
        path = show_path(change.path)
        found = list(_hunks_there(change, content_at))
        if _is_whole(change, found, content_at):
            there.append(path)
            continue
        is_all = False
        if found:
            numbers = listed([str(number) for number in found], _SHOWN)
            there.append(f"hunk{'s' if len(found) > 1 else ''} {numbers} of {len(change.hunks)} of {path}")
    if not there or is_all:
        return None
    return f"a part of it is there already: {listed(there, _SHOWN)}"


def _is_whole(change: FileChange, found: Sequence[int], content_at: ContentAt) -> bool:
    """Return whether all of a change is there."""
    if change.kind is ChangeKind.DELETE:
        return content_at(change.path) is None
    if change.kind is ChangeKind.ADD and change.binary is None:
        return content_at(change.path) == b"".join(line for hunk in change.hunks for line in hunk.new_lines())
    return bool(found) and len(found) == len(change.hunks)


def _hunks_there(change: FileChange, content_at: ContentAt) -> Iterator[int]:
    """Yield the numbers of the hunks, from 1, that are there."""
    if change.kind in {ChangeKind.ADD, ChangeKind.DELETE}:
        return
    content = content_at(change.path)
    if content is None:
        return
    text = b"\n" + content
    for number, hunk in enumerate(change.hunks, 1):
        if _is_there(hunk, text):
            yield number


def _is_there(hunk: Hunk, text: bytes) -> bool:
    """Return whether a file has the new lines of a hunk, and not its old ones.

    Args:
        hunk: The hunk.
        text: The file behind a newline, so that each of its lines has one before it.
    """
    old, new = (b"\n" + b"".join(side) for side in (hunk.old_lines(), hunk.new_lines()))
    if not hunk.old_count and hunk.insertions:  # no context: its lines would have to be unlike any others
        return len(hunk.new_lines()) > 1 and _has(text, new)
    return len(new) > 1 and _has(text, new) and not _has(text, old)


def _has(text: bytes, block: bytes) -> bool:
    return block in text if block.endswith(b"\n") else text.endswith(block)
