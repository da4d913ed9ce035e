"""The mail around a patch: author, date and message (git-am(1), RFC 5322, RFC 2047)."""

import base64
import binascii
import email.errors
import email.header
import email.utils
import quopri
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from maingate.patches.model import lines_of
from maingate.patches.repair_record import Repair, RepairKind
from maingate.patches.text.charsets import is_charset, storable, text_of
from maingate.patches.text.lines import DiffError, begins_diff, chomp, is_separator

_ENVELOPE: Final = re.compile(rb"From \S+ [^\n]*\n")
_FIELD: Final = re.compile(rb"([!-9;-~]+):[ \t]*(.*)")
_TAGS: Final = re.compile(r"(?:\s*(?:re:|\[[^\]]*\]))*\s*", re.IGNORECASE)
_CHARSET: Final = re.compile(r"charset\s*=\s*\"?([A-Za-z0-9._:-]+)", re.IGNORECASE)
_IN_BODY: Final = re.compile(rb"(From|Date|Subject): ")
_ADDRESS: Final = re.compile(r"([^<>]*)<([^<>\s]+)>")
_BARE_ADDRESS: Final = re.compile(r"[^\s<>()]+@[^\s<>()]+")
_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f<>]")
_LARGEST_HEADER: Final = 16 * 1024
_ENCODED_WORD: Final = re.compile(r"=\?([^?*\s]+)(?:\*[^?\s]*)?\?[BbQq]\?")


@dataclass(frozen=True, kw_only=True)
class MailHeader:
    """The header of a mail with a patch.

    Args:
        author: ``Name <address>``; None when it has none.
        date: The date, aware; None when it has none or an invalid one.
        message: The commit message, as ``git am`` makes it from subject and body; None when there is none.
    """

    author: str | None
    date: datetime | None
    message: str | None


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A text, separated into its parts.

    Args:
        header: The header of the mail; None when the text is no mail.
        lines: The text with its transfer encoding undone.
        prose_end: The line behind the ``---`` that ends the message; 0 when there is none. The text before it
            is a message, even if it looks like a diff.
        repairs: The encodings that were undone, if it was not plain UTF-8.
    """

    header: MailHeader | None
    lines: list[bytes]
    prose_end: int
    repairs: tuple[Repair, ...] = ()


def open_letter(raw: bytes) -> Letter:
    """Separate a text into mail header, message and the rest; a text that is no mail is all rest.

    Raises:
        DiffError: The mail has parts, or its transfer encoding is damaged.
    """
    lines = lines_of(raw)
    fields, start = _read_fields(lines)
    if "from" not in fields or not fields.keys() & {"subject", "date"}:
        return Letter(header=None, lines=lines, prose_end=0)
    body = _decoded_body(fields, lines[start:])
    repairs = list[Repair]()
    if body is not None:
        lines = [*lines[:start], *body]
        repairs.append(_decoded(fields["content-transfer-encoding"].lower()))
    end, has_separator = _end_of_message(lines, start)
    charset = _CHARSET.search(fields.get("content-type", ""))
    stated = charset[1] if charset else "utf-8"
    header = _header(fields, lines[start:end], stated)
    repairs += _recoded(b"".join(lines[start:end]), stated)
    return Letter(
        header=header, lines=lines, prose_end=end + 1 if has_separator else 0, repairs=tuple(repairs)
    )


def _decoded(encoding: str) -> Repair:
    said = f"the mail's text was decoded from {encoding}"
    return Repair(kind=RepairKind.TRANSFER_ENCODING, said=said, was=encoding)


def _recoded(message: bytes, stated: str) -> list[Repair]:
    """Return the repair that a message was not in UTF-8, if it was not."""
    if message.isascii():
        return []
    stated = stated.lower() if is_charset(stated) else "utf-8"
    used = next((name for name in (stated, "utf-8") if _is_in(message, name)), "latin-1")
    if used in {"utf-8", "utf8"}:
        return []
    said = f"the message was read as {used}"
    return [Repair(kind=RepairKind.CHARSET, said=said, was=used, now="utf-8")]


def _is_in(text: bytes, charset: str) -> bool:
    try:
        text.decode(charset)
    except (LookupError, ValueError):
        return False
    return True


def _read_fields(lines: list[bytes]) -> tuple[dict[str, str], int]:
    """Return the header fields at the beginning, unfolded, the first of each; none when it is no header."""
    fields: dict[str, str] = {}
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
            fields[name] += " " + text_of(line.strip(), "utf-8")
            continue
        found = _FIELD.fullmatch(line)
        if found is None:
            return {}, 0
        name = found[1].decode("ascii").lower()
        fields.setdefault(name, text_of(found[2].strip(), "utf-8"))
    return (fields, at + 1) if at < len(lines) else ({}, 0)


def _decoded_body(fields: dict[str, str], body: list[bytes]) -> list[bytes] | None:
    if fields.get("content-type", "").lower().startswith("multipart/"):
        raise DiffError("the mail has several parts; save its patch as plain text")
    encoding = fields.get("content-transfer-encoding", "").lower()
    if encoding == "quoted-printable":
        return lines_of(quopri.decodestring(b"".join(body)))
    if encoding != "base64":
        return None
    try:
        return lines_of(base64.b64decode(b"".join(b"".join(body).split()), validate=True))
    except binascii.Error as error:
        raise DiffError("the mail's base 64 text is damaged or cut") from error


def _end_of_message(lines: list[bytes], start: int) -> tuple[int, bool]:
    """Return the end of the message, and whether a separator marks it.

    Words that only begin like a diff (``diff -u is what I ran``) belong to the message, which `git am`
    would cut.
    """
    for at in range(start, len(lines)):
        line = lines[at]
        if is_separator(line):
            return at, True
        if line[:1] in b"d-I" and begins_diff(lines, at):
            return at, False
    return len(lines), False


def _header(fields: dict[str, str], body: list[bytes], charset: str) -> MailHeader:
    at = 0
    while at < len(body) and not chomp(body[at]).strip():
        at += 1
    while at < len(body) and (found := _IN_BODY.match(body[at])):
        name = found[1].decode("ascii").lower()
        fields[name] = text_of(chomp(body[at])[found.end() :].strip(), charset)
        at += 1
    text = "".join(text_of(chomp(line), charset) + "\n" for line in body[at:]).strip("\n").rstrip()
    subject = _unencoded(fields.get("subject", ""))
    subject = subject[match.end() :] if (match := _TAGS.match(subject)) else subject
    paragraphs = [part for part in (subject.strip(), text) if part]
    return MailHeader(
        author=_author(fields["from"]),
        date=_date(fields.get("date")),
        message="\n\n".join(paragraphs) + "\n" if paragraphs else None,
    )


def _author(field: str) -> str | None:
    found = _ADDRESS.fullmatch(field.strip())
    if found is None:
        return f"{field.strip()} <{field.strip()}>" if _BARE_ADDRESS.fullmatch(field.strip()) else None
    name, address = _UNFIT.sub("", _unencoded(found[1].strip().strip('"'))).strip(), found[2].strip()
    return f"{name or address} <{address}>"


def _date(field: str | None) -> datetime | None:
    if field is None:
        return None
    try:
        date = email.utils.parsedate_to_datetime(field)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def _unencoded(field: str) -> str:
    """Decode RFC 2047; damaged words stay unchanged."""
    if "=?" not in field:
        return field
    if not all(is_charset(word) for word in _ENCODED_WORD.findall(field)):
        return field
    try:
        return storable(str(email.header.make_header(email.header.decode_header(field))))
    except (email.errors.HeaderParseError, LookupError, ValueError):
        return field
