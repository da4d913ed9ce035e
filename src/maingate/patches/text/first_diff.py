"""The first diff in a text, which may have words before it."""

from maingate.patches.model import lines_of
from maingate.patches.text.lines import begins_diff, begins_traditional


def parted(raw: bytes) -> tuple[bytes, bytes]:
    """Split a text into the words before the first diff and the diff, which may be empty.

    A header without its hunks counts as a diff: taken for words, its part of the patch would be lost.
    """
    lines = lines_of(raw)
    start = next((at for at, line in enumerate(lines) if line[:1] in b"d-I" and _begins(lines, at)), None)
    return (raw, b"") if start is None else (b"".join(lines[:start]), b"".join(lines[start:]))


def _begins(lines: list[bytes], at: int) -> bool:
    return begins_diff(lines, at) or begins_traditional(lines, at)
