"""The mail around a patch: author, date and message (git-am(1), RFC 5322, RFC 2045)."""

import base64
import binascii
import quopri
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from maingate.git_dates import GitDate
from maingate.patches.model import lines_of
from maingate.patches.repair_record import Repair, RepairKind
from maingate.patches.text.charsets import is_charset
from maingate.patches.text.lines import DiffError, chomp
from maingate.patches.text.mail_fields import (
    Fields,
    author_in,
    date_in,
    is_mail_header,
    parameter_in,
    read_fields,
    subject_in,
    word_in,
)
from maingate.patches.text.mail_message import end_of_message, take_fields, tidy_text, without_scissors


@dataclass(frozen=True, kw_only=True)
class MailHeader:
    """The header of a mail with a patch.

    Args:
        author: ``Name <address>``; None when it has none.
        date: The date; None when it has none or an invalid one.
        message: The commit message, as ``git am`` makes it from subject and body; None when there is none.
    """

    author: str | None
    date: GitDate | None
    message: str | None


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A text, separated into its parts.

    Args:
        header: The header of the mail; None when the text is no mail.
        lines: The text with its transfer encoding undone.
        prose_end: The line behind the ``---`` that ends the message; 0 when there is none. The text before it
            is a message, even if it looks like a diff.
        message_end: The line that ends the message; 0 when the text is no mail.
        repairs: The encodings that were undone, if it was not plain UTF-8, and what git cannot keep.
        has_scissors: Whether the message has a scissors line.
    """

    header: MailHeader | None
    lines: list[bytes]
    prose_end: int
    message_end: int = 0
    repairs: tuple[Repair, ...] = ()
    has_scissors: bool = False


@dataclass(frozen=True, kw_only=True)
class MailOptions:
    """Options for reading a mail, as those of `git am`.

    Args:
        cuts_at_scissors: Whether only the text below a scissors line is the message.
        keeps_tags: Whether words in brackets other than ``[PATCH]`` stay in the subject.
        needs_sender: Whether a text without a sender is no mail.
    """

    cuts_at_scissors: bool = False
    keeps_tags: bool = False
    needs_sender: bool = True


_PLAIN: Final = MailOptions()


def open_letter(raw: bytes, options: MailOptions = _PLAIN) -> Letter:
    """Separate a text into mail header, message and the rest; a text that is no mail is all rest.

    Raises:
        DiffError: The mail has parts, its transfer encoding is damaged, or its diff cannot be told from one
            that it quotes.
    """
    lines = lines_of(raw)
    fields, start = read_fields(lines)
    if not is_mail_header(fields) and (options.needs_sender or not fields.keys() & {"from", "subject"}):
        return Letter(header=None, lines=lines, prose_end=0)
    if is_multipart(fields):
        raise DiffError("the mail has parts within parts that cannot be read; save its patch by itself")
    body = decoded_body(fields, lines[start:])
    repairs = list[Repair]()
    if body is not None:
        lines = [*lines[:start], *body]
        repairs.append(_decoded(word_in(fields, "content-transfer-encoding")))
    if (straight := _unflowed(fields, lines[start:])) is not None:
        lines = [*lines[:start], *straight]
        repairs.append(FLOWED)
    return read_letter(fields, lines, start, options, repairs)


def read_letter(
    fields: Fields, lines: list[bytes], start: int, options: MailOptions, repairs: Sequence[Repair] = ()
) -> Letter:
    """Read the message of a mail.

    Args:
        fields: The mail's header; its content type has the charset of the message.
        lines: The header and the decoded body.
        start: The first line of the body.
        options: The options.
        repairs: The repairs that were made before.
    """
    end, has_separator = end_of_message(lines, start)
    stated = parameter_in(fields, "content-type", "charset") or "utf-8"
    below, has_scissors = without_scissors(lines[start:end])
    body = below if options.cuts_at_scissors else lines[start:end]
    header = _header(fields, body, stated, keeps_tags=options.keeps_tags)
    unread = [] if header.date is not None else _unread_date(fields)
    return Letter(
        header=header,
        lines=lines,
        prose_end=end + 1 if has_separator else 0,
        message_end=end,
        repairs=(*repairs, *_recoded(b"".join(lines[start:end]), stated), *_lost(header.date), *unread),
        has_scissors=has_scissors,
    )


def is_multipart(fields: Fields) -> bool:
    """Return whether a mail, or a part of one, has parts."""
    return word_in(fields, "content-type").startswith("multipart/")


def decoded_body(fields: Fields, body: list[bytes]) -> list[bytes] | None:
    """Return the lines of a body with its transfer encoding undone; None when it has none.

    Raises:
        DiffError: It is damaged.
    """
    encoding = word_in(fields, "content-transfer-encoding")
    if encoding == "quoted-printable":
        return lines_of(quopri.decodestring(b"".join(body)))
    if encoding != "base64":
        return None
    try:
        return lines_of(base64.b64decode(b"".join(b"".join(body).split()), validate=True))
    except binascii.Error as error:
        raise DiffError("the mail's base 64 text is damaged or cut") from error


def _unflowed(fields: Fields, body: list[bytes]) -> list[bytes] | None:
    """Return the lines of a body without the breaks that `format=flowed` puts into them (RFC 3676).

    None where the body is not flowed, or has nothing of it.
    """
    if parameter_in(fields, "content-type", "format").lower() != "flowed":
        return None
    cut = -1 if parameter_in(fields, "content-type", "delsp").lower() == "yes" else None
    lines: list[bytes] = []
    before = b""
    for line in body:
        text, end = chomp(line), line[len(chomp(line)) :]
        if text == b"-- ":
            lines += [before + b"\n", line] if before else [line]
            before = b""
            continue
        text = text.removeprefix(b" ")
        if text.endswith(b" "):
            before += text[:cut]
        else:
            lines.append(before + text + end)
            before = b""
    lines += [before + b"\n"] if before else []
    return None if lines == body else lines


FLOWED: Final = Repair(
    kind=RepairKind.TRANSFER_ENCODING, said="the mail's text was decoded from format=flowed", was="flowed"
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


def _lost(date: GitDate | None) -> list[Repair]:
    """Return the repair of a date that git cannot keep, if it is one."""
    return [] if date is None or not date.loss else [date_repair(date)]


def _unread_date(fields: Fields) -> list[Repair]:
    """Return the repair of a mail's date that cannot be read, if it has one; `git am` refuses the mail."""
    stated = fields.get("date", b"").decode("latin-1")
    if not stated:
        return []
    said = "the date of the mail cannot be read: the time of the commit"
    return [Repair(kind=RepairKind.DATE, said=said, was=stated)]


def date_repair(date: GitDate) -> Repair:
    """Return the repair of a date of which git cannot keep all."""
    now = str(date) if date.is_storable else None
    said = (
        f"{date.loss}" if date.is_storable else f"{date.loss}, which git cannot keep: the time of the commit"
    )
    return Repair(kind=RepairKind.DATE, said=said, was=f"{date.seconds} {date.stated or date.zone}", now=now)


def _meant(own: Fields, charset: str) -> Fields:
    """Return the fields of a body that can be read; others do not take the place of the mail's own."""
    unread = {"from"} if author_in(own.get("from", b""), charset) is None else set[str]()
    unread |= {"date"} if date_in(own.get("date")) is None else set()
    return {name: value for name, value in own.items() if name not in unread}


def _header(fields: Fields, body: Sequence[bytes], charset: str, *, keeps_tags: bool) -> MailHeader:
    own, at = take_fields(body)
    fields = {**fields, **_meant(own, charset)}
    subject = subject_in(fields.get("subject", b""), charset, keeps_tags=keeps_tags)
    paragraphs = [part for part in (subject, tidy_text(body[at:], charset)) if part]
    return MailHeader(
        author=author_in(fields.get("from", b""), charset),
        date=date_in(fields.get("date")),
        message="\n\n".join(paragraphs) + "\n" if paragraphs else None,
    )
