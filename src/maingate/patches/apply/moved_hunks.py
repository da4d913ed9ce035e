"""Check that a moved hunk has only one possible place.

Git uses the nearest place at which all lines of a hunk occur. If they occur at several, that is a guess: a
method of another class gets the change. So a moved hunk is accepted only if it has one place, given the
places of the hunks before and after it.
"""

from collections.abc import Mapping, Sequence

from maingate.patches.model import Hunk, lines_of


def with_other_places(base: bytes, hunks: Sequence[Hunk], moved: Mapping[int, int]) -> list[int]:
    """Return the moved hunks (from 1) whose lines occur at several places between their neighbours.

    Args:
        base: The file that they are applied to.
        hunks: All of a change.
        moved: The places of hunks that are not at their stated line: the first line (from 0) in the new file.
    """
    lines = lines_of(base)
    starts, ends = _spans(hunks, moved)
    found = []
    for number in sorted(moved):
        hunk = hunks[number - 1]
        first = ends[number - 2] if number > 1 else 0
        last = starts[number] if number < len(hunks) else len(lines)
        if hunk.trailing and _is_repeated(lines[first:last], hunk.old_lines()):  # else it ends the file
            found.append(number)
    return found


def _spans(hunks: Sequence[Hunk], moved: Mapping[int, int]) -> tuple[list[int], list[int]]:
    """Return where each hunk begins and ends in the base."""
    starts, ends, longer = [], [], 0
    for number, hunk in enumerate(hunks, 1):
        starts.append(moved.get(number, (hunk.new_start or 1) - 1) - longer)
        ends.append(starts[-1] + len(hunk.old_lines()))
        longer += len(hunk.new_lines()) - len(hunk.old_lines())
    return starts, ends


def _is_repeated(lines: Sequence[bytes], block: Sequence[bytes]) -> bool:
    length = len(block)
    places = (
        at
        for at in range(len(lines) - length + 1)
        if lines[at] == block[0] and lines[at : at + length] == block
    )
    return next(places, None) is not None and next(places, None) is not None
