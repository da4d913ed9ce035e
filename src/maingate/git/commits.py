"""Commits as bytes: author, time, message and trailers.

Their content is assembled here instead of by a library's text interface, because messages and names of
imported patches are not always UTF-8 and must not change.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Final

_IDENT: Final = re.compile(r"^(?P<name>[^<>]*)<(?P<mail>[^<>]*)>\s*$")
_RAW_DATE: Final = re.compile(r"^@?(-?\d+)\s+([+-])(\d\d)(\d\d)$")
_TRAILER: Final = re.compile(rb"^[A-Za-z0-9][A-Za-z0-9-]*[ \t]*:|^\(cherry picked from commit ")
_SURE_TRAILER: Final = re.compile(rb"^Signed-off-by: |^\(cherry picked from commit ")
_TRAILERS_AT_LEAST: Final = 4
"""One in this many lines must be a trailer for a block with a certain one to count, as in git."""


@dataclass(frozen=True)
class Signature:
    """A person and a time.

    Args:
        name: The person's name.
        mail: The mail address, without brackets.
        when: An aware time; its offset from UTC is kept.
    """

    name: str
    mail: str
    when: datetime

    @classmethod
    def parse(cls, ident: str, when: datetime | str) -> "Signature":
        """Parse ``Ada Example <ada@example.org>`` and a date.

        Args:
            ident: Name and address; an address alone serves as the name too.
            when: A time, or the text of one: as in mail, ISO 8601, or git's own ``1700000000 +0100``.

        Raises:
            ValueError: One of them cannot be read.
        """
        found = _IDENT.match(ident.strip())
        if found is None:
            raise ValueError(f"{ident!r} is not of the form 'Name <mail@example.org>'")
        mail = found["mail"].strip()
        return cls(name=found["name"].strip() or mail, mail=mail, when=parse_date(when))

    def as_bytes(self) -> bytes:
        """Return the form of a commit object."""
        offset = self.when.utcoffset()
        if offset is None:
            raise ValueError(f"the time {self.when} has no offset from UTC")
        minutes = round(offset.total_seconds() / 60)
        zone = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"
        text = f"{_clean(self.name)} <{_clean(self.mail)}> {int(self.when.timestamp())} {zone}"
        return text.encode(errors="surrogateescape")


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A commit as it is stored.

    Args:
        id: Its id.
        tree: The id of its tree.
        parents: The ids of its parents, first parent first.
        message: The message, byte for byte.
        author: The author of the change, as stored: ``Name <mail> 1700000000 +0100``.
        committer: The author of the commit, as stored.
    """

    id: str
    tree: str
    parents: tuple[str, ...]
    message: bytes
    author: bytes
    committer: bytes


def commit_content(
    *, tree: str, parents: Sequence[str], message: bytes, author: bytes, committer: bytes
) -> bytes:
    """Return the content of a commit object."""
    lines = [b"tree " + tree.encode()]
    lines += [b"parent " + parent.encode() for parent in parents]
    lines += [b"author " + author, b"committer " + committer]
    return b"\n".join(lines) + b"\n\n" + message


def parse_commit(commit: str, content: bytes) -> Commit:
    """Parse the content of a commit object; headers that Maingate does not use are ignored."""
    head, _, message = content.partition(b"\n\n")
    pairs = [line.partition(b" ")[::2] for line in head.split(b"\n") if not line.startswith(b" ")]
    fields = dict(reversed(pairs))
    return Commit(
        id=commit,
        tree=fields[b"tree"].decode(),
        parents=tuple(value.decode() for key, value in pairs if key == b"parent"),
        message=message,
        author=fields.get(b"author", b""),
        committer=fields.get(b"committer", b""),
    )


def message_with_trailers(message: str | bytes, trailers: Sequence[tuple[str, str]]) -> bytes:
    """Return a message as git stores it, with trailers at its end.

    Trailing white space is removed, one newline ends it. Trailers join an existing block of trailers, else a
    blank line separates them; an identical trailer is not repeated.

    Args:
        message: The message; text is encoded as UTF-8.
        trailers: Keys and one-line values, in order.
    """
    raw = message.encode(errors="surrogateescape") if isinstance(message, str) else message
    lines = [line.rstrip() for line in raw.replace(b"\0", b"").replace(b"\r\n", b"\n").split(b"\n")]
    text = re.sub(rb"\n{3,}", b"\n\n", b"\n".join(lines).strip(b"\n")) or b"(no message)"
    block = _trailer_block(text)
    wanted = [f"{key}: {' '.join(value.split())}".encode(errors="surrogateescape") for key, value in trailers]
    added = [line for line in wanted if line not in block]
    if not added:
        return text + b"\n"
    return text + (b"\n" if block else b"\n\n") + b"\n".join(added) + b"\n"


def parse_date(when: datetime | str) -> datetime:
    """Parse a time with its offset: a mail's date, ISO 8601, or git's own form; without an offset it is UTC.

    Raises:
        ValueError: It is none of them.
    """
    if isinstance(when, datetime):
        return when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    text = when.strip()
    if raw := _RAW_DATE.match(text):
        minutes = (int(raw[3]) * 60 + int(raw[4])) * (-1 if raw[2] == "-" else 1)
        return datetime.fromtimestamp(int(raw[1]), timezone(timedelta(minutes=minutes)))
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = parsedate_to_datetime(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _trailer_block(text: bytes) -> list[bytes]:
    paragraphs = text.split(b"\n\n")
    lines = paragraphs[-1].split(b"\n")
    if len(paragraphs) == 1:
        return []
    trailers = [line for line in lines if _TRAILER.match(line)]
    others = [line for line in lines if not _TRAILER.match(line) and not line.startswith((b" ", b"\t"))]
    is_sure = any(_SURE_TRAILER.match(line) for line in lines)
    enough = len(trailers) * _TRAILERS_AT_LEAST >= len(lines)
    return lines if trailers and (not others or (is_sure and enough)) else []


def _clean(name: str) -> str:
    return re.sub(r"[<>\n\r\0]", "", name).strip(" .,:;\"'\\") or "unknown"
