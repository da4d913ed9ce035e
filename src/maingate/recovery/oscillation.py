"""Seeing that a tool goes round in circles: the same lines flipped back and forth, attempt after attempt.

Pure. What counts is what a patch does to lines, not where: two attempts with the same added and removed
lines in the same files are one answer, however git numbers its hunks (docs/SPECIFICATION.md §2.6).
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

WINDOW: Final = 5
"""How many attempts are looked at, the newest included."""

_WHERE: Final = (b" ", b"@@", b"index ")

THRESHOLD: Final = 3
"""How often one answer may not be among them."""


def answer_of(diff: bytes) -> str:
    """Digest what a diff does to which lines: all of it but what only says where they are."""
    return sha256(b"\n".join(line for line in diff.splitlines() if not line.startswith(_WHERE))).hexdigest()


def goes_round(earlier: Sequence[bytes], newest: bytes) -> bool:
    """Tell whether a tool has given one answer too often.

    Args:
        earlier: The diffs of the task's attempts before, oldest first.
        newest: The diff of the newest.
    """
    answer = answer_of(newest)
    window = [answer_of(diff) for diff in earlier[1 - WINDOW :]]
    return window.count(answer) + 1 >= THRESHOLD
