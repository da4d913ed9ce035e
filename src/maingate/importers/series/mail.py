"""Patches in mails, as written by `git format-patch` and sent by `git send-email`.

Git itself splits a mailbox (git-mailsplit); each mail is read as intake reads one (``patches.text.mail``), so
that a mail means the same however it is landed.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from maingate.errors import UsageError
from maingate.importers.diffs import ReadDiff, without_surroundings
from maingate.importers.git_call import ask_git
from maingate.importers.series_entry import Entry
from maingate.patches.model import lines_of
from maingate.patches.repair_record import RepairKind
from maingate.patches.text.diffstat import CONTRADICTS, MISSING_OR_QUOTED, contradiction
from maingate.patches.text.first_diff import parted
from maingate.patches.text.lines import DiffError
from maingate.patches.text.mail import Letter, MailOptions, open_letter
from maingate.patches.text.mail_parts import ATTACHED, has_open_parts, mails_in

_HEADER: Final = re.compile(rb"[A-Za-z][A-Za-z0-9-]*:[ \t]")
_TELLING: Final = re.compile(rb"^(?:From|Subject):[ \t]", re.MULTILINE)
_GITS_OWN: Final = re.compile(rb"From [0-9a-f]{40,64} Mon Sep 17 00:00:00 2001\r?\n")
"""The line by which `git format-patch` begins each mail."""
_ESCAPED: Final = re.compile(rb"^>+From ", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class MailboxOptions:
    """Options for reading a mailbox, as those of `git am`.

    Args:
        cuts_at_scissors: Whether only the text below a scissors line is the message.
        is_mboxrd: Whether ``>From`` in a mailbox that git wrote stands for ``From``, as after
            `git format-patch --pretty=mboxrd`; in other mailboxes it always does.
    """

    cuts_at_scissors: bool = False
    is_mboxrd: bool = False


def is_mail(raw: bytes) -> bool:
    """Return whether bytes are a mail or a mailbox."""
    start = raw.lstrip(b"\r\n")
    if start.startswith(b"From "):
        return True
    return _has_header(start)


def entries_of_mailbox(raw: bytes, *, origin: str, options: MailboxOptions | None = None) -> Iterator[Entry]:
    """Yield the mails of a mailbox, or a single mail, in order; a mail without a patch has an empty diff.

    Args:
        raw: The mailbox; carriage returns in diffs are kept unless every line has one.
        origin: Its name.
        options: How it is read.

    Raises:
        UsageError: A mail is damaged, or contradicts itself.
    """
    options = options or MailboxOptions()
    mails = list(_whole(_split(raw.lstrip(b"\r\n"), options)))
    for number, mail in enumerate(mails, start=1):
        named = origin if len(mails) == 1 else f"{origin}, mail {number}"
        yield from _entries(mail, origin=named, options=options)


def _split(raw: bytes, options: MailboxOptions) -> Iterator[bytes]:
    keep_cr = [] if raw.split(b"\n", maxsplit=1)[0].endswith(b"\r") else ["--keep-cr"]
    is_others = raw.startswith(b"From ") and not _GITS_OWN.match(raw)
    undo = ["--mboxrd"] if options.is_mboxrd or is_others else []
    with tempfile.TemporaryDirectory(prefix="maingate-mail-") as name:
        scratch = Path(name)
        (scratch / "box").write_bytes(raw)
        (scratch / "mails").mkdir()
        ask_git(["mailsplit", "-b", "-d6", *keep_cr, *undo, "-omails", "--", "box"], cwd=scratch)
        for piece in sorted((scratch / "mails").iterdir()):
            yield piece.read_bytes()


def _whole(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join mails that were split at a text line which only looks like a mailbox's ``From`` line.

    A mail has a header with a sender or a subject; a part of a message has none. A mail whose parts go on is
    not at its end, whatever an attached one begins with.
    """
    mail = b""
    for piece in pieces:
        if mail and (not _begins_mail(piece) or has_open_parts(mail)):
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


def _entries(mail: bytes, *, origin: str, options: MailboxOptions) -> Iterator[Entry]:
    try:
        inner, are_attached = mails_in(mail)
        for number, one in enumerate(inner, start=1):
            named = f"{origin}, attachment {number}" if len(inner) > 1 else origin
            entry = _entry(one, origin=named, options=options)
            yield replace(entry, notes=(*entry.notes, ATTACHED)) if are_attached else entry
    except DiffError as error:
        raise UsageError(f"{origin}: {error}") from error


def _entry(mail: bytes, *, origin: str, options: MailboxOptions) -> Entry:
    reading = MailOptions(cuts_at_scissors=options.cuts_at_scissors, keeps_tags=True, needs_sender=False)
    letter = open_letter(mail, reading)
    diff = without_surroundings(b"".join(letter.lines[letter.message_end :]))
    _refuse_contradiction(letter, diff)
    header = letter.header
    return Entry(
        origin=origin,
        diff=diff,
        message=(header.message or "").rstrip("\n") if header else "",
        author=header.author if header else None,
        date=header.date if header else None,
        notes=tuple(_notes(mail, letter, options)),
    )


def _refuse_contradiction(letter: Letter, diff: bytes) -> None:
    """Refuse a mail whose diffstat declares other changes than its diff has; a run sees the diff alone."""
    read = ReadDiff(diff)
    if read.fault is None and letter.prose_end and (said := contradiction(_declared(letter), read.changes)):
        raise DiffError(f"{CONTRADICTS}: {said}. {MISSING_OR_QUOTED}")


def _declared(letter: Letter) -> list[bytes]:
    rest = letter.lines[letter.prose_end :]
    return lines_of(parted(b"".join(rest))[0])


def _notes(mail: bytes, letter: Letter, options: MailboxOptions) -> Iterator[str]:
    if letter.has_scissors and not options.cuts_at_scissors:
        yield "the message has a scissors line; --scissors takes only the text below it"
    if letter.header is not None and letter.header.date is None:
        yield from (repair.said for repair in letter.repairs if repair.kind is RepairKind.DATE)
    if _GITS_OWN.match(mail) and not options.is_mboxrd and _ESCAPED.search(_message_of(letter)):
        yield "a line of the message begins with '>From', as it was written; --mboxrd takes the '>' away"


def _message_of(letter: Letter) -> bytes:
    return (letter.header.message or "").encode() if letter.header else b""
