"""Fields of a mail's header: reading, encoded words, authors and dates (RFC 5322, RFC 2045, RFC 2047)."""

import base64
import binascii
import quopri
import re
from collections.abc import Sequence
from typing import Final

from maingate.git_dates import GitDate, read_date
from maingate.patches.text.charsets import is_charset, storable, text_of
from maingate.patches.text.lines import chomp

_ENVELOPE: Final = re.compile(rb">?From \S+ [^\n]*\n")
_MAILBOX: Final = re.compile(rb"From \S+ +\w{3} \w{3} +\d+ \d\d?:\d\d")
_FIELD: Final = re.compile(rb"([!-9;-~]+):[ \t]*(.*)", re.DOTALL)
_PARAMETER: Final = r"\b%s\s*=\s*(?:\"([^\"]*)\"|([^\s;\"]+))"
_ENCODED_WORD: Final = re.compile(r"=\?([^?*\s]+)(?:\*[^?\s]*)?\?([BbQq])\?([^?]*)\?=")
_SPACES: Final = re.compile(r"[ \t\n\v\f\r]+")
_TAG: Final = re.compile(r"[Rr][Ee]:|[ \t:]|(?P<words>\[[^\]]*\] ?)")
_ADDRESS: Final = re.compile(r"<([^<>]*)>?")
_BARE_ADDRESS: Final = re.compile(r"[^\s<>(),;]+@[^\s<>(),;]+")
_NOTE: Final = re.compile(r"\s*([^\s<>@,;][^<>@,;]*)")
"""Text behind the address, such as a comment, which belongs to the name as it does for git."""
_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f<>]")
_PLACEHOLDER: Final = "\ue000"
"""Stands for a quoted part of a field while its syntax is read."""
_LARGEST_HEADER: Final = 16 * 1024

Fields = dict[str, bytes]


def read_fields(lines: Sequence[bytes]) -> tuple[Fields, int]:
    """Return the header fields at the beginning, unfolded, the first of each; none when it is no header.

    Returns:
        The fields, and the line behind the blank line that ends them.
    """
    fields: Fields = {}
    size = 0
    at = 1 if lines and _ENVELOPE.match(lines[0]) else 0
    name = ""
    while at < len(lines) and chomp(lines[at]):
        line = chomp(lines[at])
        at += 1
        size += len(line)
        if size > _LARGEST_HEADER:
            return {}, 0
        if line[:1] in b" \t" and name:
            fields[name] += b" " + line.strip()
            continue
        found = _FIELD.fullmatch(line)
        if found is None:
            return {}, 0
        name = found[1].decode("ascii").lower()
        fields.setdefault(name, found[2].strip())
    return (fields, at + 1) if at < len(lines) else ({}, 0)


def begins_mail(lines: Sequence[bytes], at: int, end: int) -> bool:
    """Return whether another mail of a mailbox begins on a line: a `From` line with a date, and a header."""
    return _MAILBOX.match(lines[at]) is not None and is_mail_header(read_fields(lines[at:end])[0])


def is_mail_header(fields: Fields) -> bool:
    """Return whether fields are those of a mail: a sender, and a subject or a date."""
    return "from" in fields and bool(fields.keys() & {"subject", "date"})


def word_in(fields: Fields, name: str) -> str:
    """Return a field's value in lower case, without its parameters; empty when there is none."""
    return fields.get(name, b"").decode("latin-1").partition(";")[0].strip().lower()


def parameter_in(fields: Fields, name: str, parameter: str) -> str:
    """Return a parameter of a field, such as the charset; empty when there is none."""
    text = fields.get(name, b"").decode("latin-1")
    found = re.search(_PARAMETER % parameter, text, re.IGNORECASE)
    return (found[1] or found[2] or "") if found else ""


def decoded(value: bytes, charset: str) -> str:
    """Return a field's text with its encoded words decoded; bytes in it are in the mail's charset."""
    return _unencoded(text_of(value, "utf-8", charset))


def subject_in(value: bytes, charset: str, *, keeps_tags: bool) -> str:
    """Return a subject without ``[PATCH 1/2]`` and ``Re:``.

    Args:
        value: The field.
        charset: The mail's charset.
        keeps_tags: Whether other words in brackets at the beginning stay; `git am` drops them.
    """
    subject = decoded(value, charset)
    at = 0
    while (found := _TAG.match(subject, at)) is not None:
        if keeps_tags and found["words"] and "PATCH" not in found["words"]:
            at = found.end()
        else:
            subject = subject[:at] + subject[found.end() :]
    return _SPACES.sub(" ", subject).strip()


def author_in(value: bytes, charset: str) -> str | None:
    """Return ``Name <address>`` of a sender; None when there is neither.

    ``address (Name)`` is read, too; an address alone is also the name; an empty address stays empty.
    """
    text, quoted = _without_quotes(text_of(value, "utf-8", charset))
    found = _ADDRESS.search(text)
    if found is not None:
        name, address = text[: found.start()], found[1]
    elif (bare := _BARE_ADDRESS.search(text)) is not None:
        name, address = text[: bare.start()] + text[bare.end() :].partition(",")[0], bare[0]
        name = re.sub(r"^\s*\((.*)\)\s*$", r"\1", name)
    else:
        return None
    if found is not None and (note := _NOTE.fullmatch(text, found.end())) is not None:
        name += f" {note[1].strip()}"
    for part in quoted:
        name = name.replace(_PLACEHOLDER, part, 1)
    name = " ".join(_UNFIT.sub("", _unencoded(name.strip())).split())
    address = _UNFIT.sub("", address.replace(_PLACEHOLDER, "")).strip()
    return f"{name or address} <{address}>" if name or address else None


def _without_quotes(text: str) -> tuple[str, list[str]]:
    """Replace each quoted string, in which commas and brackets mean nothing; return the strings."""
    quoted: list[str] = []

    def hide(found: re.Match[str]) -> str:
        quoted.append(re.sub(r"\\(.)", r"\1", found[1]))
        return _PLACEHOLDER

    return re.sub(r'"((?:[^"\\]|\\.)*)"', hide, text.replace(_PLACEHOLDER, "")), quoted


def date_in(value: bytes | None) -> GitDate | None:
    """Return a date; None when there is none, or an invalid one."""
    if value is None:
        return None
    try:
        return read_date(value.decode("latin-1"))
    except (ValueError, OverflowError):
        return None


def _unencoded(field: str) -> str:
    """Decode RFC 2047; damaged words stay unchanged.

    Space between two words is none of the text, and a letter may be in two of them.
    """
    words = list(_ENCODED_WORD.finditer(field))
    if not words or not all(is_charset(word[1]) for word in words):
        return field
    parts: list[tuple[str, bytes]] = []
    end = 0
    for word in words:
        between = field[end : word.start()]
        if between and (not end or between.strip()):
            parts.append(("utf-8", between.encode(errors="surrogatepass")))
        try:
            raw = _word_content(word)
        except (binascii.Error, ValueError):
            return field
        if parts and end and not between.strip() and parts[-1][0] == word[1].lower():
            raw = parts.pop()[1] + raw
        parts.append((word[1].lower(), raw))
        end = word.end()
    parts.append(("utf-8", field[end:].encode(errors="surrogatepass")))
    return storable("".join(text_of(raw, charset) for charset, raw in parts))


def _word_content(word: re.Match[str]) -> bytes:
    content = word[3].encode(errors="surrogatepass")
    if word[2] in "Qq":
        return quopri.decodestring(content, header=True)
    return base64.b64decode(content + b"=" * (-len(content) % 4))
