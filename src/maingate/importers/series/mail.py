"""Patches in mails, as written by `git format-patch` and sent by `git send-email`.

Git itself splits and decodes them (git-mailsplit, git-mailinfo), since mail has many encodings: headers per
RFC 2047, bodies in quoted-printable or base64, ``>From`` escapes.
"""

import email
import re
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

from maingate.importers.diffs import parted, without_surroundings
from maingate.importers.git_call import ask_git
from maingate.importers.series_entry import Entry, author_of
from maingate.patches.text.charsets import text_of, with_words_in_utf8

_HEADER: Final = re.compile(rb"[A-Za-z][A-Za-z0-9-]*:[ \t]")
_TELLING: Final = re.compile(rb"^(?:From|Subject):[ \t]", re.MULTILINE)
_PARTS: Final = re.compile(rb"^content-type:\s*multipart/", re.MULTILINE | re.IGNORECASE)
_SEPARATOR: Final = re.compile(rb"^---\s*$", re.MULTILINE)


def is_mail(raw: bytes) -> bool:
    """Return whether bytes are a mail or a mailbox."""
    start = raw.lstrip(b"\r\n")
    if start.startswith(b"From "):
        return True
    return _has_header(start)


def entries_of_mailbox(raw: bytes, *, origin: str) -> Iterator[Entry]:
    """Yield the mails of a mailbox, or a single mail, in order; a mail without a patch has an empty diff.

    Args:
        raw: The mailbox; carriage returns in diffs are kept unless every line has one.
        origin: Its name.
    """
    keep_cr = [] if raw.split(b"\n", maxsplit=1)[0].endswith(b"\r") else ["--keep-cr"]
    with tempfile.TemporaryDirectory(prefix="maingate-mail-") as name:
        scratch = Path(name)
        (scratch / "box").write_bytes(raw.lstrip(b"\r\n"))
        (scratch / "mails").mkdir()
        ask_git(["mailsplit", "-b", "-d6", *keep_cr, "--mboxrd", "-omails", "--", "box"], cwd=scratch)
        pieces = (piece.read_bytes() for piece in sorted((scratch / "mails").iterdir()))
        mails = list(_whole(pieces))
        for number, mail in enumerate(mails, start=1):
            named = origin if len(mails) == 1 else f"{origin}, mail {number}"
            yield _entry(mail, scratch, origin=named)


def _whole(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join mails that were split at a text line which only looks like a mailbox's ``From`` line.

    A mail has a header with a sender or a subject; a part of a message has none.
    """
    mail = b""
    for piece in pieces:
        if mail and not _begins_mail(piece):
            mail += piece
            continue
        if mail:
            yield mail
        mail = piece
    if mail:
        yield mail


def _begins_mail(piece: bytes) -> bool:
    """Return whether only a header is between the ``From`` line and the first blank line."""
    start = piece.partition(b"\n")[2]
    lines = re.split(rb"\r?\n\r?\n", start, maxsplit=1)[0].splitlines()
    return _has_header(start) and all(line[:1] in b" \t" or _HEADER.match(line + b" ") for line in lines)


def _has_header(start: bytes) -> bool:
    header = re.split(rb"\r?\n\r?\n", start, maxsplit=1)[0]
    return _HEADER.match(start) is not None and _TELLING.search(header) is not None


def _entry(mail: bytes, scratch: Path, *, origin: str) -> Entry:
    mail, charset = _readable(mail)
    told = ask_git(["mailinfo", "-b", "-n", "--no-scissors", "message", "patch"], cwd=scratch, given=mail)
    header = dict(
        line.partition(": ")[::2] for line in text_of(told, "utf-8", charset).splitlines() if ": " in line
    )
    patch = (scratch / "patch").read_bytes()
    body = text_of((scratch / "message").read_bytes() + _words_of(patch), charset).strip()
    return Entry(
        origin=origin,
        diff=without_surroundings(patch),
        message="\n\n".join(part for part in (header.get("Subject", "").strip(), body) if part),
        author=author_of(header.get("Author", ""), header.get("Email", "")),
        date=_date(header.get("Date", "")),
    )


def _readable(mail: bytes) -> tuple[bytes, str]:
    """Return the mail with a header that every git reads, and its charset."""
    end = re.search(rb"\r?\n\r?\n", mail)
    start = mail[: end.start()] if end else mail
    parsed = email.message_from_bytes(mail if _PARTS.search(start) else start)
    charsets = (part.get_content_charset() for part in parsed.walk() if not part.is_multipart())
    return with_words_in_utf8(start) + mail[len(start) :], next(filter(None, charsets), "utf-8")


def _words_of(patch: bytes) -> bytes:
    """Return the end of a message that git took for a part of the patch, because it begins like a diff."""
    found = _SEPARATOR.search(parted(patch)[0])
    return patch[: found.start()] if found else b""


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
