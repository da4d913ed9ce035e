"""The message of a mail: its end, the header fields that begin it, and scissors (git-mailinfo(1))."""

import re
from collections.abc import Sequence
from typing import Final

from maingate.patches.text.charsets import text_of
from maingate.patches.text.diffstat import begins_diffstat
from maingate.patches.text.hunks import end_of_counted_hunk
from maingate.patches.text.lines import DiffError, begins_diff, chomp, is_separator, skip_blank
from maingate.patches.text.mail_fields import Fields

_IN_BODY: Final = re.compile(rb"(From|Date|Subject):[ \t]", re.IGNORECASE)
_SUBJECT_ALONE: Final = re.compile(rb"\[PATCH\]\s")
"""A line that begins a body and is a subject for git, though nothing says so."""
_ENVELOPE: Final = re.compile(rb">?From [0-9a-f]{40,64} \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\r?\n")
_CUTS: Final = (b">8", b"8<", b">%", b"%<")
_SHORTEST_SCISSORS: Final = 8
_PERFORATED: Final = 3
"""At least one in this many visible characters of a scissors line belongs to its perforation."""


def end_of_message(lines: Sequence[bytes], start: int) -> tuple[int, bool]:
    """Return the end of a message, and whether a separator marks it.

    Words that only begin like a diff (``diff -u is what I ran``) belong to the message, which `git am`
    would cut. So does a whole diff that the message quotes, if a ``---`` with a diffstat follows.

    Raises:
        DiffError: A diff stands before a ``---`` without a diffstat, and another one behind it.
    """
    first: int | None = None
    at = start
    while at < len(lines):
        line = lines[at]
        if is_separator(line):
            if first is None or begins_diffstat(lines, at + 1):
                return at, True
            _refuse_two_diffs(lines, at, first)
        elif line.startswith(b"@@") and first is not None:
            at = end_of_counted_hunk(lines, at) or at + 1
            continue
        elif first is None and line[:1] in b"d-I" and begins_diff(lines, at):
            first = at
        at += 1
    return (len(lines) if first is None else first), False


def _refuse_two_diffs(lines: Sequence[bytes], at: int, first: int) -> None:
    """Raise if a diff follows a separator: nothing says that the message ends there and quotes the other."""
    following = skip_blank(lines, at + 1)
    if following < len(lines) and begins_diff(lines, following):
        raise DiffError(
            "a diff stands before the `---` line that ends the message, and another one behind it:"
            " indent what the message quotes, or remove that line",
            first,
        )


def without_scissors(body: list[bytes]) -> tuple[list[bytes], bool]:
    """Return the lines below the last scissors line, and whether there is one."""
    cut = next((at for at in range(len(body) - 1, -1, -1) if is_scissors(body[at])), None)
    return (body, False) if cut is None else (body[cut + 1 :], True)


def is_scissors(line: bytes) -> bool:
    """Return whether a line is a scissors line as `git mailinfo` knows them: ``-- >8 --``."""
    text = line.strip()
    perforation, has_scissors, at, is_perforated = 0, False, 0, False
    while at < len(text):
        if text[at : at + 1].isspace():
            perforation += is_perforated
            at += 1
        elif text[at : at + 1] == b"-":
            perforation, is_perforated, at = perforation + 1, True, at + 1
        elif text.startswith(_CUTS, at):
            perforation, is_perforated, has_scissors, at = perforation + 2, True, True, at + 2
        else:
            is_perforated, at = False, at + 1
    return has_scissors and len(text) >= _SHORTEST_SCISSORS and len(text) < perforation * _PERFORATED


def take_fields(body: Sequence[bytes]) -> tuple[Fields, int]:
    """Return the header fields that begin a body, and the line behind them.

    They are the real author's, whose mail another person sent.
    """
    fields: Fields = {}
    at = _skip_white(body, 0)
    if at < len(body) and _ENVELOPE.fullmatch(body[at]):
        at += 1
    name = ""
    while at < len(body):
        line = chomp(body[at])
        if _SUBJECT_ALONE.match(line):
            name, fields["subject"] = "", line
        elif found := _IN_BODY.match(line):
            name = found[1].decode("ascii").lower()
            fields[name] = line[found.end() :].strip()
        elif name and line[:1] in (b" ", b"\t") and line.strip():
            fields[name] += b" " + line.strip()
        else:
            break
        at += 1
    return fields, at


def _skip_white(body: Sequence[bytes], at: int) -> int:
    while at < len(body) and not body[at].strip():
        at += 1
    return at


def tidy_text(body: Sequence[bytes], charset: str) -> str:
    """Return lines as text, each decoded on its own, as `git am` cleans a message.

    White space at line ends goes, several blank lines become one.
    """
    text = "\n".join(text_of(line.rstrip(), charset, "utf-8").rstrip() for line in body)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")
