"""The diffstat between the message of a mail and its diff: its declarations are held against the diff."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from maingate.patches.model import FileChange
from maingate.patches.text.lines import begins_diff, chomp, is_separator
from maingate.patches.text.quoting import show_path, unquote_path

_SUMMARY: Final = re.compile(
    rb" (\d+) files? changed(?:, (\d+) insertions?\(\+\))?(?:, (\d+) deletions?\(-\))?\s*"
)
_FILE: Final = re.compile(rb" (\S.*?) +\| +(?:\d+ [+-]*|\d+|Bin(?: .*)?)\s*")
_DECLARED: Final = re.compile(rb" (?:create|delete) mode \d{6} (.+)")
CONTRADICTS: Final = "the mail contradicts itself"
MISSING_OR_QUOTED: Final = (
    "A part is missing, or one that it quotes was read as its own; if the diff is right, remove the diffstat"
)
_LONGEST: Final = 10_000
"""Lines in which a diffstat is looked for."""


def begins_diffstat(lines: Sequence[bytes], at: int) -> bool:
    """Return whether a diffstat comes before the next diff and the next ``---``."""
    for place in range(at, min(len(lines), at + _LONGEST)):
        line = lines[place]
        if _SUMMARY.fullmatch(chomp(line)):
            return True
        if is_separator(line) or (line[:1] in b"d-I" and begins_diff(lines, place)):
            return False
    return False


def contradiction(lines: Sequence[bytes], changes: Sequence[FileChange]) -> str | None:
    """Return what a diffstat declares and a diff does not do; None when they agree, or there is none.

    A part of the diff is then missing, or one that the message quotes was taken for a part of it.

    Args:
        lines: The lines between message and diff.
        changes: The changes that were read.
    """
    stats = [found for line in lines if (found := _SUMMARY.fullmatch(chomp(line)))]
    if not stats:
        return None
    paths = {path for change in changes for path in change.paths}
    for name in _declared(lines):
        if not any(path == name or path.endswith(b"/" + name) for path in paths):
            return f"its diffstat names {show_path(name)}, which its diff does not change"
    said = tuple(int(found or 0) for found in stats[-1].groups())
    done = (
        len({change.path for change in changes}),
        sum(change.insertions for change in changes),
        sum(change.deletions for change in changes),
    )
    return None if said == done else f"its diffstat says {_shown(said)}, its diff has {_shown(done)}"


def _declared(lines: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the names in a diffstat that stand there whole."""
    for line in lines:
        found = _FILE.fullmatch(chomp(line)) or _DECLARED.fullmatch(chomp(line))
        if found is None or b" => " in found[1] or found[1].startswith(b"..."):
            continue
        unquoted = unquote_path(found[1]) if found[1].startswith(b'"') else (found[1], b"")
        if unquoted is not None:
            yield unquoted[0]


def _shown(counts: tuple[int, ...]) -> str:
    words = ("file", "insertion", "deletion")
    return ", ".join(
        f"{number} {word}{'' if number == 1 else 's'}" for number, word in zip(counts, words, strict=True)
    )
