"""Mails with parts: the text of a patch that is spread over them, or whole mails that are attached.

A part is read as it stands, byte for byte; only its transfer encoding is undone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from maingate.patches.model import lines_of
from maingate.patches.repair_record import Repair, RepairKind
from maingate.patches.text.first_diff import parted
from maingate.patches.text.lines import DiffError, chomp
from maingate.patches.text.mail import decoded_body, is_multipart
from maingate.patches.text.mail_fields import Fields, is_mail_header, parameter_in, read_fields, word_in

_LARGEST_HEADER: Final = 1 << 16
_DEEPEST: Final = 20
"""Levels of parts within parts."""
_NAME_OF_PATCH: Final = re.compile(r"\.(?:patch|diff|eml|mbox)$", re.IGNORECASE)
ATTACHED: Final = "the patch and its author are those of the attached mail; the text around it was left out"
_JOINED: Final = "the parts of the mail were read as one text"
SEVERAL: Final = "{}, each of which is a commit of its own: import them by `plan import series`"
_UTF8: Final = frozenset({"", "utf-8", "utf8", "us-ascii"})


@dataclass(frozen=True, kw_only=True)
class _MailPart:
    """A part without parts of its own, its transfer encoding undone."""

    fields: Fields
    body: bytes

    @property
    def kind(self) -> str:
        return word_in(self.fields, "content-type") or "text/plain"

    @property
    def name(self) -> str:
        """Its file name; empty when it has none."""
        named = parameter_in(self.fields, "content-disposition", "filename")
        return named or parameter_in(self.fields, "content-type", "name")

    @property
    def is_text(self) -> bool:
        """Return whether it can belong to a patch."""
        is_patch = _NAME_OF_PATCH.search(self.name) is not None
        return self.kind.startswith("text/") or self.is_forwarded or is_patch

    @property
    def is_forwarded(self) -> bool:
        """Return whether it is a mail that was forwarded."""
        return self.kind == "message/rfc822"

    @property
    def has_patch(self) -> bool:
        """Return whether it has a diff, or parts that may have one."""
        return bool(parted(self.body)[1]) or b"boundary=" in self.body

    @property
    def is_mail(self) -> bool:
        """Return whether it is a whole mail, such as an attached ``0001-fix.patch``."""
        return is_mail_header(read_fields(lines_of(self.body.lstrip(b"\r\n")))[0])


def mails_in(mail: bytes) -> tuple[list[bytes], bool]:
    """Return the mails that a mail consists of, each without parts, and whether they were attached to it.

    Attached mails are patches of their own, with their own authors; the mail around them is none then. The
    parts of one without attached mails are one text, in their order.
    """
    lines = lines_of(mail)
    fields, start = read_fields(lines)
    if not is_mail_header(fields) or not is_multipart(fields):
        return [mail], False
    parts = [part for part in _parts(fields, lines[start:], _DEEPEST) if part.is_text]
    attached = [part for part in parts if part.has_patch and part.is_mail]
    if not attached:
        return [_joined(lines[:start], [part for part in parts if not part.is_forwarded])], False
    if any(part.has_patch and not part.is_mail for part in parts):
        raise DiffError("the mail has a patch of its own beside attached mails with patches; save them apart")
    return [inner for part in attached for inner in mails_in(part.body.lstrip(b"\r\n"))[0]], True


def only_mail_in(text: bytes) -> tuple[bytes, list[Repair]]:
    """Return the only mail with a patch in a text, without parts, and the repairs that made it so.

    A text that is no mail with parts is returned as it is.

    Raises:
        DiffError: It has several mails, or parts that are damaged.
    """
    mails, are_attached = mails_in(text)
    if len(mails) > 1:
        raise DiffError(SEVERAL.format(f"the mail has {len(mails)} attached patches"))
    (mail,) = mails
    is_whole = mail is text
    said = ATTACHED if are_attached else _JOINED
    return mail, [] if is_whole else [Repair(kind=RepairKind.MAIL_PARTS, said=said)]


def has_open_parts(mail: bytes) -> bool:
    """Return whether the last boundary of a mail with parts is missing."""
    fields, start = read_fields(lines_of(mail[:_LARGEST_HEADER]))
    boundary = parameter_in(fields, "content-type", "boundary").encode() if is_multipart(fields) else b""
    return bool(start and boundary) and b"\n--%s--" % boundary not in mail


def _parts(fields: Fields, body: list[bytes], depth: int) -> Iterator[_MailPart]:
    """Yield the parts of a body that may be text of a patch; of alternatives, the plain one."""
    if not is_multipart(fields) or not depth:
        decoded = decoded_body(fields, body)
        yield _MailPart(fields=fields, body=b"".join(body if decoded is None else decoded))
        return
    found = [
        part
        for piece in _pieces(body, parameter_in(fields, "content-type", "boundary").encode())
        for part in _parts(*_opened(piece), depth - 1)
    ]
    if word_in(fields, "content-type") == "multipart/alternative":
        found = [part for part in found if part.kind == "text/plain"][:1] or found[:1]
    yield from found


def _opened(piece: list[bytes]) -> tuple[Fields, list[bytes]]:
    if piece and not chomp(piece[0]):
        return {}, piece[1:]
    fields, start = read_fields(piece)
    return fields, piece[start:]


def _pieces(body: list[bytes], boundary: bytes) -> Iterator[list[bytes]]:
    """Yield the pieces between the lines of a boundary; its last line may be missing."""
    piece: list[bytes] | None = None
    for line in body:
        mark = chomp(line).rstrip()
        if boundary and mark in (b"--" + boundary, b"--" + boundary + b"--"):
            if piece is not None:
                yield _without_last_newline(piece)
            piece = None if mark.endswith(boundary + b"--") else []
        elif piece is not None:
            piece.append(line)
    if piece:
        yield piece


def _without_last_newline(piece: list[bytes]) -> list[bytes]:
    """Return a piece without the newline before its boundary, which is the boundary's."""
    if piece and not chomp(piece[-1]):
        return piece[:-1]
    return piece


def _joined(header: list[bytes], parts: list[_MailPart]) -> bytes:
    """Return one mail of all parts; the message is in the first part's charset."""
    kept = [line for line in _unfolded(header) if not line.lower().startswith((b"content-", b"mime-version"))]
    charset = parameter_in(parts[0].fields, "content-type", "charset") if parts else ""
    if charset.lower() not in _UTF8:
        kept.insert(-1, b"Content-Type: text/plain; charset=%s\n" % charset.encode())
    bodies = [
        part.body if part.body.endswith(b"\n") or not part.body else part.body + b"\n" for part in parts
    ]
    return b"".join([*kept, *bodies])


def _unfolded(header: list[bytes]) -> list[bytes]:
    unfolded: list[bytes] = []
    for line in header:
        if line[:1] in (b" ", b"\t") and unfolded:
            unfolded[-1] = chomp(unfolded[-1]) + b" " + line.lstrip()
        else:
            unfolded.append(line)
    return unfolded
