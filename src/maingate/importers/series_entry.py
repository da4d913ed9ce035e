"""Entries of a series, before they become tasks: a bare diff with its message, author and date."""

from dataclasses import dataclass

from maingate.git_dates import GitDate, read_date


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One patch of a series.

    Args:
        origin: Its source, for people: a commit, a file, the number of a mail.
        diff: The diff alone, byte for byte; empty when there is none.
        message: The commit message; empty when none is known.
        author: ``Name <mail>``; None when unknown.
        date: The author date; None when unknown.
        notes: Notes about it for the user.
    """

    origin: str
    diff: bytes
    message: str = ""
    author: str | None = None
    date: GitDate | None = None
    notes: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """The message's first line; the origin when there is no message."""
        return self.message.strip().split("\n", maxsplit=1)[0].strip() or self.origin


def author_of(name: str, mail: str) -> str:
    """Return ``Name <mail>``; the address replaces a missing name, since git has no empty names."""
    kept_name, kept_mail = (
        "".join(letter for letter in part if letter.isprintable() and letter not in "<>").strip()
        for part in (name, mail)
    )
    return f"{kept_name or kept_mail or 'unknown'} <{kept_mail}>"


def date_of(text: str) -> GitDate | None:
    """Return git's raw date, such as ``1700000000 +0130``; None when there is none."""
    try:
        return read_date(text)
    except ValueError:
        return None
