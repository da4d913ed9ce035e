"""Detection of a tool that oscillates: it changes the same lines back and forth in its attempts. Pure.

Positions do not count: two attempts with the same added and removed lines in the same files are the same
answer, however git numbers their hunks (docs/SPECIFICATION.md §2.6).
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

WINDOW: Final = 5
"""Number of latest attempts that are compared, the newest included."""

_WHERE: Final = (b" ", b"@@", b"index ")

THRESHOLD: Final = 3
"""Number of equal answers among them that means an oscillation."""


def digest_of_diff(diff: bytes) -> str:
    """Return a digest of a diff without its line numbers."""
    return sha256(b"\n".join(line for line in diff.splitlines() if not line.startswith(_WHERE))).hexdigest()


def goes_round(earlier: Sequence[bytes], newest: bytes) -> bool:
    """Return whether a tool has given the same answer too often.

    Args:
        earlier: The diffs of the task's earlier attempts, oldest first.
        newest: The diff of the newest attempt.
    """
    answer = digest_of_diff(newest)
    window = [digest_of_diff(diff) for diff in earlier[1 - WINDOW :]]
    return window.count(answer) + 1 >= THRESHOLD
