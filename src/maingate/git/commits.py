"""Commits as bytes: author, time, message and trailers.

Their content is assembled here instead of by a library's text interface, because messages and names of
imported patches are not always UTF-8 and must not change.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from maingate.git_dates import GitDate, read_date

_IDENT: Final = re.compile(r"^(?P<name>[^<>]*)<(?P<mail>[^<>]*)>\s*$")
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
        when: An aware time, or a date of git's; its offset from UTC is kept.
    """

    name: str
    mail: str
    when: datetime | GitDate

    @classmethod
    def parse(cls, ident: str, when: datetime | GitDate | str) -> "Signature":
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
        date = read_date(when) if isinstance(when, str) else when
        return cls(name=found["name"].strip() or mail, mail=mail, when=date)

    def as_bytes(self) -> bytes:
        """Return the form of a commit object."""
        date = self.when if isinstance(self.when, GitDate) else GitDate.of(self.when)
        text = f"{_clean(self.name) or 'unknown'} <{_clean(self.mail)}> {date}"
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

    The message stays as it is, byte for byte; only a newline that its last line lacks is added. Trailers join
    an existing block of trailers, else a blank line separates them; an identical trailer is not repeated.

    Args:
        message: The message; text is encoded as UTF-8.
        trailers: Keys and one-line values, in order.
    """
    raw = message.encode(errors="surrogateescape") if isinstance(message, str) else message
    text = raw.replace(b"\0", b"")
    if not text.strip():
        text = b"(no message)"
    if not text.endswith(b"\n"):
        text += b"\n"
    block = _trailer_block(text.removesuffix(b"\n"))
    wanted = [f"{key}: {' '.join(value.split())}".encode(errors="surrogateescape") for key, value in trailers]
    added = [line for line in wanted if line not in block]
    if not added:
        return text
    return text + (b"" if block or text.endswith(b"\n\n") else b"\n") + b"\n".join(added) + b"\n"


def tidied(message: str) -> str:
    """Return a message as version 0.1.0 stored it, without white space at line ends."""
    lines = [line.rstrip() for line in message.replace("\r\n", "\n").split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines).strip("\n"))


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
    return re.sub(r"[<>\n\r\0]", "", name).strip(" .,:;\"'\\")
