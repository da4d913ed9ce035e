"""Where hunks stand: whether their line numbers agree, and what they should say.

Git looks for a hunk where its *new* line number says, in the file as changed so far. So the new number must
follow from the old one and from what the hunks before add and delete.
"""

from collections.abc import Sequence
from dataclasses import replace

from maingate.patches.model import Hunk, HunkDoubt


def old_span(hunk: Hunk) -> tuple[int, int]:
    """Return the lines of the old file it covers as a half-open range from 0.

    Raises:
        ValueError: It was not placed yet.
    """
    if hunk.old_start is None:
        raise ValueError("the hunk was not placed yet")
    start = hunk.old_start - (hunk.old_count > 0)
    return start, start + hunk.old_count


def settle(hunks: Sequence[Hunk]) -> tuple[tuple[Hunk, ...], bool]:
    """Mark what the base must confirm, because one hunk's numbers depend on those before it.

    Args:
        hunks: All hunks of a file, as read.

    Returns:
        The hunks, and whether line numbers contradict each other though all counts are right.
    """
    if any(hunk.is_doubtful for hunk in hunks):
        return tuple(_doubted(hunk, HunkDoubt.COUNTS) for hunk in hunks), False
    if _agree(hunks):
        return tuple(hunks), False
    return tuple(_doubted(hunk, HunkDoubt.PLACE) for hunk in hunks), True


def _doubted(hunk: Hunk, doubt: HunkDoubt) -> Hunk:
    return hunk if hunk.is_doubtful else replace(hunk, doubt=doubt)


def _agree(hunks: Sequence[Hunk]) -> bool:
    done = shift = 0
    for hunk in hunks:
        start, end = old_span(hunk)
        if start < done or hunk.new_start != start + shift + (hunk.new_count > 0):
            return False
        done, shift = end, shift + hunk.new_count - hunk.old_count
    return True


def renumbered(hunks: Sequence[Hunk]) -> tuple[Hunk, ...]:
    """Give placed hunks, in order, the new line numbers that follow from the old ones, and trust them."""
    out: list[Hunk] = []
    shift = 0
    for hunk in hunks:
        start, _ = old_span(hunk)
        new_start = start + shift + (hunk.new_count > 0)
        out.append(replace(hunk, new_start=new_start, doubt=HunkDoubt.NONE))
        shift += hunk.new_count - hunk.old_count
    return tuple(out)
