"""Line numbers of hunks: their consistency, and their correction.

git searches a hunk at its *new* line number, in the file as changed so far. So the new number must follow
from the old one and from the lines that the hunks before add and delete.
"""

from collections.abc import Sequence
from dataclasses import replace

from maingate.patches.model import Hunk, HunkDoubt


def old_span(hunk: Hunk) -> tuple[int, int]:
    """Return the lines of the old file that a hunk covers, as a half-open range from 0.

    Raises:
        ValueError: It was not placed yet.
    """
    if hunk.old_start is None:
        raise ValueError("the hunk was not placed yet")
    start = hunk.old_start - (hunk.old_count > 0)
    return start, start + hunk.old_count


def settle(hunks: Sequence[Hunk]) -> tuple[tuple[Hunk, ...], bool]:
    """Return hunks with the doubts that the base must resolve, since a hunk's numbers depend on earlier ones.

    Args:
        hunks: All hunks of a file, as read.

    Returns:
        The hunks, and whether line numbers contradict each other though all counts are correct.
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
    """Return placed hunks, in order, without doubts, with new line numbers that follow from the old."""
    out: list[Hunk] = []
    shift = 0
    for hunk in hunks:
        start, _ = old_span(hunk)
        new_start = start + shift + (hunk.new_count > 0)
        out.append(replace(hunk, new_start=new_start, doubt=HunkDoubt.NONE))
        shift += hunk.new_count - hunk.old_count
    return tuple(out)
