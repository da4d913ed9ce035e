"""Just enough about diffs to part one from the words around it, and to see what a policy must allow."""

import re
from dataclasses import dataclass
from typing import Final

_START: Final = re.compile(
    rb"^(?:diff --git |Index: |--- (?=[^\n]*\n\+\+\+ )|diff -[^\n]*\n--- )", re.MULTILINE
)
_SIGNATURE: Final = re.compile(rb"(?<=\n)-- \r?\n\d[^\n]*\n*\Z")
_BINARY: Final = re.compile(rb"^(?:GIT binary patch|Binary files .* differ)\r?$", re.MULTILINE)
_SUBMODULE: Final = re.compile(
    rb"^(?:(?:new file|deleted file|new|old) mode 160000|index [0-9a-f]+\.\.[0-9a-f]+ 160000)\r?$",
    re.MULTILINE,
)


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a diff has in it that a policy forbids by default."""

    binary: bool
    submodules: bool


def parted(raw: bytes) -> tuple[bytes, bytes]:
    """Part what stands before the first diff from the diff; the diff is empty when there is none."""
    start = _START.search(raw)
    return (raw, b"") if start is None else (raw[: start.start()], raw[start.start() :])


def without_surroundings(raw: bytes) -> bytes:
    """Return a mail's diff without diffstat before and signature behind it.

    The signature is git's own (``-- `` and a version): no line of a diff begins with a digit outside a hunk's
    text, so nothing of a diff can be mistaken for it.
    """
    return _SIGNATURE.sub(b"", parted(raw)[1])


def contents_of(diff: bytes) -> Contents:
    """See what is in a diff. A file's own text cannot look like it: in a diff it is indented by a sign."""
    return Contents(binary=_BINARY.search(diff) is not None, submodules=_SUBMODULE.search(diff) is not None)
