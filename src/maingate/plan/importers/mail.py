"""Patches in mails, as `git format-patch` writes and `git send-email` sends them.

Git itself splits and decodes them (git-mailsplit, git-mailinfo), since mail is encoded in more ways than one
would think: headers per RFC 2047, bodies in quoted-printable or base64, ``>From`` escapes.
"""

import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

from maingate.plan.importers.diffs import without_surroundings
from maingate.plan.importers.entries import Entry, author_of
from maingate.plan.importers.git_call import ask_git

_HEADER: Final = re.compile(rb"[A-Za-z][A-Za-z0-9-]*:[ \t]")
_TELLING: Final = re.compile(rb"^(?:From|Subject):[ \t]", re.MULTILINE)


def is_mail(raw: bytes) -> bool:
    """Tell whether bytes are a mail or a mailbox."""
    start = raw.lstrip(b"\r\n")
    if start.startswith(b"From "):
        return True
    header = re.split(rb"\r?\n\r?\n", start, maxsplit=1)[0]
    return _HEADER.match(start) is not None and _TELLING.search(header) is not None


def entries_of_mailbox(raw: bytes, *, origin: str) -> Iterator[Entry]:
    """Yield the mails of a mailbox, or a single mail, in its order; the diff of one without a patch is empty.

    Args:
        raw: The mailbox; carriage returns in diffs are kept unless all of it has them.
        origin: Its name.
    """
    keep_cr = [] if raw.split(b"\n", maxsplit=1)[0].endswith(b"\r") else ["--keep-cr"]
    with tempfile.TemporaryDirectory(prefix="maingate-mail-") as name:
        scratch = Path(name)
        (scratch / "box").write_bytes(raw.lstrip(b"\r\n"))
        (scratch / "mails").mkdir()
        ask_git(["mailsplit", "-b", "-d6", *keep_cr, "--mboxrd", "-omails", "--", "box"], cwd=scratch)
        mails = sorted((scratch / "mails").iterdir())
        for number, mail in enumerate(mails, start=1):
            named = origin if len(mails) == 1 else f"{origin}, mail {number}"
            yield _entry(mail.read_bytes(), scratch, origin=named)


def _entry(mail: bytes, scratch: Path, *, origin: str) -> Entry:
    told = ask_git(
        ["mailinfo", "-b", "--encoding=UTF-8", "--no-scissors", "message", "patch"], cwd=scratch, given=mail
    )
    header = dict(
        line.partition(": ")[::2] for line in told.decode(errors="replace").splitlines() if ": " in line
    )
    body = (scratch / "message").read_bytes().decode(errors="replace").strip()
    return Entry(
        origin=origin,
        diff=without_surroundings((scratch / "patch").read_bytes()),
        message="\n\n".join(part for part in (header.get("Subject", "").strip(), body) if part).replace(
            "\0", ""
        ),
        author=author_of(header.get("Author", ""), header.get("Email", "")),
        date=_date(header.get("Date", "")),
    )


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
