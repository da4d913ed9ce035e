"""Separation of diff syntax from prose, line by line (git-diff(1), GNU diffutils "Unified Format").

Around its diffs a patch may contain any text: a mail, an explanation, code fences. A line there that looks
like a
part of a diff and was not read as one is damage, never prose: ignoring it would apply a part of the patch.
"""

import re
from collections.abc import Sequence
from typing import Final

from maingate.patches.text.headers import same_file
from maingate.reasons import ReasonCode


class DiffError(Exception):
    """The text is not a diff that can be read as a whole; caught by ``take_in`` and made a reason."""

    def __init__(
        self, message: str, at: int | None = None, *, code: ReasonCode = ReasonCode.FORMAT_INVALID
    ) -> None:
        self.at, self.code = at, code
        super().__init__(message)


_STRAY: Final = re.compile(
    rb"@@"
    rb"|\+\+\+ \S"
    rb"|--- \S"
    rb"|diff --\w"
    rb"|\S{1,12} --git "
    rb"|index [0-9a-f]{4,}(?:,[0-9a-f]{4,})*\.\."
    rb"|(?:old|new) mode [0-7]"
    rb"|(?:deleted|new) file mode [0-7]"
    rb"|(?:dis)?similarity index \d"
    rb"|GIT binary patch"
    rb"|(?:literal|delta) \d+\s*$"
    rb"|(?:Binary f|F)iles \S.* and .* differ\s*$"
    rb"|File \S.* is an? .+ while file \S.* is an? "
    rb"|Symbolic links \S.* and .* differ\s*$"
    rb"|Binary file \S.* has changed\s*$"
    rb"|Cannot display: file marked as a binary type"
    rb"|Submodule \S+ (?:[0-9a-f]{7,}\.\.|contains |\d{6}\.\.)"
    rb"|## -\d"
    rb"|\*{15}\s*$"
    rb"|\*\*\* (?:Begin|Update|Add|Delete) (?:Patch|File)"
    rb"|\\ No newline"
    rb"|\xef\xbb\xbf"
)
_POSITIONS: Final = re.compile(rb"-\d+,\d+ \+\d|-\d+ \+\d+(?:,\d+)? ?@")
_GOES_ON: Final = re.compile(
    rb"(?:old|new|deleted file|new file) mode [0-7]|(?:copy|rename) (?:from|to) |(?:dis)?similarity index \d"
    rb"|index [0-9a-f]{4,}|GIT binary patch|Binary files |diff -|Index: |Only in |--- \S|\+\+\+ \S|\*\*\* \S"
    rb"|={5,}\s*$|RCS file: |@@"
)
_LEFT_OUT: Final = re.compile(
    rb"(?:Only in|Nur in|Seulement dans|S\xc3\xb3lo en|Solo in|Somente em|Alleen in|Endast i|Tylko w) .+: ."
)
"""``Only in b: new.txt``, as GNU diff writes it in some languages."""
_MOVE: Final = re.compile(rb"(?:rename|copy) (?:from|to) ")
_COMMAND: Final = re.compile(rb"\d+(?:,\d+)?[acd](?:\d+(?:,\d+)?)?\r?$")
_VERSION: Final = re.compile(rb"\d+\.\d+")
_BLANKS: Final = frozenset({b"\n", b"\r\n", b"\r", b""})
_SHORTEST_MARKER: Final = 12
_PAIR: Final = 2


def chomp(line: bytes) -> bytes:
    r"""Return a line without its ``\n`` or ``\r\n``."""
    return line.removesuffix(b"\n").removesuffix(b"\r")


def is_blank(line: bytes) -> bool:
    """Return whether the line is empty, without even a space."""
    return line in _BLANKS


def skip_blank(lines: Sequence[bytes], at: int) -> int:
    """Return the first line from a place on that is not blank, or the end."""
    end = len(lines)
    while at < end and lines[at] in _BLANKS:
        at += 1
    return at


def is_fence(line: bytes) -> bool:
    """Return whether the line opens or closes a code fence."""
    return line.startswith((b"```", b"~~~"))


def is_marker(line: bytes) -> bool:
    r"""Return whether it is a ``\ No newline at end of file``, in any language."""
    return line.startswith(b"\\ ") and len(line) >= _SHORTEST_MARKER


def is_signature(lines: Sequence[bytes], at: int) -> bool:
    r"""Return whether a mail's signature begins here: ``-- `` and then, for example, git's version.

    A line ``-- `` may be a deleted ``- `` as well: it is a signature only if no diff follows.
    """
    line = lines[at]
    if not line.startswith(b"--") or at + 1 >= len(lines):
        return False
    following = lines[at + 1]
    if chomp(line) == b"-- ":
        return (
            not is_blank(following)
            and following[:1] not in b"+-\\@ "
            and not following.startswith((b"diff ", b"```", b"~~~", b"Index: ", b"From "))
        )
    return chomp(line) == b"--" and _VERSION.match(following) is not None


def begins_traditional(lines: Sequence[bytes], at: int) -> bool:
    """Return whether ``---`` and ``+++`` lines are here, as at the beginning of each file of a diff."""
    return (
        lines[at].startswith(b"--- ")
        and at + 1 < len(lines)
        and lines[at + 1].startswith(b"+++ ")
        and bool(lines[at][4:].strip())
        and bool(lines[at + 1][4:].strip())
    )


def begins_diff(lines: Sequence[bytes], at: int) -> bool:
    """Return whether a diff begins on a line, as opposed to words of a message with the same first letters.

    It does if the line names one file twice, as git and diff do, or if the next line continues as a diff. A
    damaged
    header therefore counts as a diff: read as words, its change would be lost.
    """
    line = lines[at]
    following = lines[at + 1] if at + 1 < len(lines) else b""
    if line.startswith(b"--- "):
        after = lines[at + 2] if at + 2 < len(lines) else b""
        return begins_traditional(lines, at) and not is_blank(after) and not is_separator(after)
    if line.startswith(b"diff -"):
        return names_one_file(line) or _GOES_ON.match(following) is not None
    return line.startswith(b"Index: ") and _GOES_ON.match(following) is not None


def is_separator(line: bytes) -> bool:
    """Return whether it is the ``---`` that ends a mail's message."""
    return line.startswith(b"---") and chomp(line).rstrip() == b"---"


def names_one_file(line: bytes) -> bool:
    """Return whether a ``diff`` line ends with two names of the same file: ``diff -u a/x b/x``."""
    title = chomp(line).removeprefix(b"diff --git ")
    middle = len(title) // 2
    halves = (title[:middle], title[middle + 1 :]) if title[middle : middle + 1] == b" " else (b"", b"?")
    words = title.split()[-2:]
    return same_file(*halves) is not None or (len(words) == _PAIR and same_file(*words) is not None)


def begins_file(lines: Sequence[bytes], at: int) -> bool:
    """Return whether the part of another file certainly begins here, so that a hunk before it has ended."""
    line = lines[at]
    return line.startswith((b"diff --git ", b"diff -", b"Index: ")) or (
        begins_traditional(lines, at) and at + 2 < len(lines) and lines[at + 2].startswith(b"@@")
    )


def stray_syntax(lines: Sequence[bytes], at: int, *, is_after_file: bool) -> str | None:
    """Return the fault of a line outside of all diffs; None when it is prose.

    Args:
        lines: The whole text.
        at: The line.
        is_after_file: Whether part of a diff was read before; then the rules are stricter.
    """
    line = lines[at]
    if line in _BLANKS:
        return None
    if b"\0" in line:
        return "a NUL byte stands outside of any file's content"
    if _STRAY.match(line):
        is_context_diff = line.startswith(b"--- ") and at > 0 and lines[at - 1].startswith(b"*** ")
        return _advice(b"*" * 15 if is_context_diff else line)
    if _POSITIONS.search(line):
        return "this looks like a damaged hunk header"
    following = lines[at + 1] if at + 1 < len(lines) else b""
    if _LEFT_OUT.match(line) and (is_after_file or _goes_on_after_left_out(lines, at)):
        return _ONLY_IN
    return _stray_words(line, following, is_after_file=is_after_file)


def _goes_on_after_left_out(lines: Sequence[bytes], at: int) -> bool:
    """Return whether ``diff -r`` wrote an ``Only in`` line, behind which a file's part begins."""
    while at < len(lines) and _LEFT_OUT.match(lines[at]):
        at += 1
    return at < len(lines) and begins_diff(lines, at)


def _stray_words(line: bytes, following: bytes, *, is_after_file: bool) -> str | None:
    """Return the fault of a line whose first word may as well begin a sentence."""
    if _MOVE.match(line) and (is_after_file or _MOVE.match(following)):
        return "this belongs to a diff's header, and none is here"
    if line.startswith(b"diff -") and (is_after_file or names_one_file(line)):
        opens = following.startswith((b"--- ", b"diff -", b"Only in ", b"Binary files ", b"Files "))
        return None if opens else "a `diff` line without the diff"
    if is_after_file and (line.startswith((b"diff ", b"index ")) or b"diff --git ".startswith(line)):
        return "this looks like a damaged or cut header of another file"
    return None


def no_diff(lines: Sequence[bytes]) -> str:
    """Return the error that a text has no diff, with the other kind of diff that it seems to have."""
    if any(_COMMAND.match(line) for line in lines):
        return "no unified diff was found; this looks like a normal or ed diff: make one by `diff -u`"
    return "no diff was found in the text"


_ONLY_IN: Final = (
    "a file that only one side has is named here, and its content is missing; make the diff with `diff -ruN`"
)
_ADVICE: Final = (
    (
        (b"diff --cc", b"diff --combined", b"@@@"),
        "a combined diff of a merge cannot be applied; make one against a single parent (`git diff A B`)",
    ),
    (
        (b"File ", b"Symbolic links "),
        "this change cannot be made by a diff of GNU diff; make the diff with `git diff`",
    ),
    (
        (b"Binary f", b"Files ", b"Cannot display"),
        "a binary file's data is missing; make the diff with `git diff --binary`",
    ),
    ((b"*" * 15,), "this is a context diff; make a unified one (`diff -u`)"),
    ((b"*** ",), "this is no unified diff; make one with `git diff`"),
    (
        (b"Submodule ",),
        "a submodule's change in words cannot be applied; make the diff with `--submodule=short`",
    ),
    ((b"## ",), "Subversion's property changes cannot be applied"),
    ((b"\xef\xbb\xbf",), "a byte-order mark stands in the text; save it without"),
    ((b"",), "this looks like a part of a diff, but does not belong to any file's"),
)


def _advice(line: bytes) -> str:
    return next(advice for beginnings, advice in _ADVICE if line.startswith(beginnings))
