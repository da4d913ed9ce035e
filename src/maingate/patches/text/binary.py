"""Git's binary patches: base 85 lines that hold a deflated literal or a delta (gitformat-pack(5)).

git itself never reads the data when the result is in its object store already, and accepts the part before a
damaged hunk as the whole. So every hunk is read to its end here, forward and reverse.
"""

import base64
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from maingate.patches.text.lines import DiffError, chomp

_HEADER: Final = re.compile(rb"(literal|delta) (\d{1,18})")
_UPPER, _LOWER = ord("A"), ord("a")
_GROUP: Final = 5


@dataclass(frozen=True, kw_only=True)
class BinaryHunk:
    """One direction of a binary change.

    Args:
        kind: Whether ``data`` is the content itself or a delta against the other side.
        size: Bytes of ``data``, as stated and as found.
        data: Inflated.
        text: The hunk's own lines with the blank one that ends it, as git reads them.
    """

    kind: Literal["literal", "delta"]
    size: int
    data: bytes
    text: bytes

    def content(self, base: bytes) -> bytes | None:
        """Return the content made from the other side's; None when a delta does not fit that."""
        return self.data if self.kind == "literal" else apply_delta(base, self.data)


@dataclass(frozen=True, kw_only=True)
class BinaryPatch:
    """A binary change: the forward hunk, and the reverse one when the text has it."""

    forward: BinaryHunk
    reverse: BinaryHunk | None


def read_binary(lines: Sequence[bytes], at: int, *, limit: int) -> tuple[BinaryPatch, int]:
    """Read the hunks behind a ``GIT binary patch`` line.

    Args:
        lines: The whole text.
        at: The place of the first ``literal`` or ``delta`` line.
        limit: Most bytes that a hunk may inflate to: 1 KiB of text can hold 1 MiB of zeros.

    Returns:
        The patch, and the line behind it.

    Raises:
        DiffError: A hunk is damaged, cut or of another size than stated.
    """
    forward, at = _read_hunk(lines, at, limit)
    if at < len(lines) and _HEADER.fullmatch(chomp(lines[at])):
        reverse, at = _read_hunk(lines, at, limit)
        return BinaryPatch(forward=forward, reverse=reverse), at
    return BinaryPatch(forward=forward, reverse=None), at


def _read_hunk(lines: Sequence[bytes], at: int, limit: int) -> tuple[BinaryHunk, int]:
    header = _HEADER.fullmatch(chomp(lines[at])) if at < len(lines) else None
    if header is None:
        raise DiffError("a binary patch has no `literal` or `delta` line where one must be", at)
    end = at + 1
    while end < len(lines) and lines[end].strip():
        end += 1
    body = [chomp(line) for line in lines[at + 1 : end]]
    size = int(header[2])
    if size > limit:
        raise DiffError(f"binary data of {size} bytes is too large", at)
    data = _inflate(b"".join(_decode(line, at + 1 + index) for index, line in enumerate(body)), size, at)
    text = b"".join(line + b"\n" for line in (header[0], *body, b""))
    kind: Literal["literal", "delta"] = "literal" if header[1] == b"literal" else "delta"
    return BinaryHunk(kind=kind, size=size, data=data, text=text), end + 1


def _decode(line: bytes, at: int) -> bytes:
    code = line[0]
    length = code - _UPPER + 1 if code < _LOWER else code - _LOWER + 27
    digits = len(line) - 1
    groups = -(-length // 4)
    if not line[:1].isalpha() or digits != groups * _GROUP:
        raise DiffError("a line of binary data has another length than its first letter says", at)
    try:
        data = base64.b85decode(line[1:])
    except ValueError as error:
        raise DiffError("a line of binary data is not base 85", at) from error
    if any(data[length:]):
        raise DiffError("a line of binary data goes on behind its stated length", at)
    return data[:length]


def _inflate(data: bytes, size: int, at: int) -> bytes:
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(data, size + 1)
    except zlib.error as error:
        raise DiffError("binary data is damaged", at) from error
    if len(content) != size or not inflater.eof or inflater.unused_data:
        raise DiffError(
            f"binary data is damaged or cut: {size} bytes are stated, {len(content)} are there", at
        )
    return content


def apply_delta(base: bytes, delta: bytes) -> bytes | None:
    """Apply a git delta to the content it was made against; None when it does not fit or is damaged."""
    try:
        base_size, at = _varint(delta, 0)
        size, at = _varint(delta, at)
        if base_size != len(base):
            return None
        out = _run_delta(base, delta, at, size)
    except IndexError:
        return None
    return out if out is not None and len(out) == size else None


def _run_delta(base: bytes, delta: bytes, at: int, size: int) -> bytes | None:
    out = bytearray()
    while at < len(delta) and len(out) <= size:
        op = delta[at]
        at += 1
        if op & 0x80:
            offset, at = _bits(delta, at, op, 4)
            length, at = _bits(delta, at, op >> 4, 3)
            length = length or 0x10000
            if offset + length > len(base):
                return None
            out += base[offset : offset + length]
        elif op and at + op <= len(delta):
            out += delta[at : at + op]
            at += op
        else:
            return None
    return bytes(out)


def _bits(delta: bytes, at: int, flags: int, count: int) -> tuple[int, int]:
    value = 0
    for index in range(count):
        if flags >> index & 1:
            value |= delta[at] << 8 * index
            at += 1
    return value, at


def _varint(delta: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = delta[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            break
    return value, at
