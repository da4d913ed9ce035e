"""The compression of streams: gzip in blocks that no other block refers to, so that all followers share them.

Events are alike, and become twenty times smaller. A block is whole when it is sent, so that a client has all
of it at once, and it is made once, wherever in its stream each follower is.
"""

import zlib
from typing import Final

BEGINNING: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"
"""The head of a gzip stream without a name and a time. It has no tail, because a stream is cut off."""

_LEVEL: Final = 1
_RAW: Final = -zlib.MAX_WBITS


def block(text: bytes) -> bytes:
    """Return a text as a block of a compressed stream; nothing for nothing."""
    if not text:
        return b""
    making = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW)
    return making.compress(text) + making.flush(zlib.Z_FULL_FLUSH)


def is_accepted(header: str | None) -> bool:
    """Return whether a client accepts gzip, by its `Accept-Encoding`."""
    for each in (header or "").lower().split(","):
        name, _, weight = each.partition(";")
        if name.strip() in {"gzip", "x-gzip"}:
            return not _is_nothing(weight)
    return False


def _is_nothing(weight: str) -> bool:
    """Return whether a weight, such as ``q=0.0``, refuses what it is about."""
    name, _, number = weight.replace(" ", "").partition("=")
    return name == "q" and number.strip("0.") == "" and number != ""
