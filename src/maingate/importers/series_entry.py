"""Entries of a series, before they become tasks: a bare diff with its message, author and date."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One patch of a series.

    Args:
        origin: Its source, for people: a commit, a file, the number of a mail.
        diff: The diff alone, byte for byte; empty when there is none.
        message: The commit message; empty when none is known.
        author: ``Name <mail>``; None when unknown.
        date: The author date; None when unknown.
    """

    origin: str
    diff: bytes
    message: str = ""
    author: str | None = None
    date: datetime | None = None

    @property
    def subject(self) -> str:
        """The message's first line; the origin when there is no message."""
        return self.message.split("\n", maxsplit=1)[0].strip() or self.origin


def author_of(name: str, mail: str) -> str | None:
    """Return ``Name <mail>``; the address replaces a missing name, since git has no empty names."""
    kept_name, kept_mail = (
        "".join(letter for letter in part if letter.isprintable() and letter not in "<>").strip()
        for part in (name, mail)
    )
    if not kept_name and not kept_mail:
        return None
    return f"{kept_name or kept_mail} <{kept_mail}>"


def date_of(epoch: str, zone: str) -> datetime | None:
    """Parse git's raw date: seconds since 1970 and a zone such as ``+0130``.

    A zone outside a day (history has some) gives the same moment in UTC.
    """
    try:
        moment = datetime.fromtimestamp(int(epoch), UTC)
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5])) * (-1 if zone[0] == "-" else 1)
        return moment.astimezone(timezone(offset))
    except (ValueError, OverflowError, OSError, IndexError):
        return _in_utc(epoch)


def _in_utc(epoch: str) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(epoch), UTC)
    except (ValueError, OverflowError, OSError):
        return None
