"""Text in the encodings that mails name (RFC 2045, RFC 2047), decoded by the stated one if it fits."""

import base64
import binascii
import codecs
import quopri
import re
from typing import Final

_NO_CHARSETS: Final = frozenset({"unicode_escape", "raw_unicode_escape", "idna", "punycode", "undefined"})
"""Python codecs that are no charsets of mails: they interpret the text, or refuse all of it."""
_WORD: Final = re.compile(rb"=\?([^?*\s]+)(?:\*[^?\s]*)?\?([BbQq])\?([^?\s]*)\?=")


def is_charset(name: str) -> bool:
    """Return whether Python's codec of that name is a mail's charset, and not one that interprets escapes."""
    try:
        return codecs.lookup(name).name.replace("-", "_") not in _NO_CHARSETS
    except (LookupError, ValueError):
        return False


def text_of(raw: bytes, *charsets: str) -> str:
    """Return text decoded by the first charset that fits, by UTF-8, or by Latin-1, which always fits."""
    for charset in (*(name for name in charsets if is_charset(name)), "utf-8"):
        try:
            return storable(raw.decode(charset))
        except (LookupError, ValueError):
            continue
    return storable(raw.decode("latin-1"))


def storable(text: str) -> str:
    """Return text without characters that UTF-8 or git cannot store: unpaired surrogates and NUL."""
    return text.encode(errors="replace").decode().replace("\0", "")


def with_words_in_utf8(header: bytes) -> bytes:
    """Return a header with its encoded words in UTF-8; damaged ones stay unchanged.

    Not every build of git reads other charsets.
    """
    return _WORD.sub(_in_utf8, header)


def _in_utf8(word: re.Match[bytes]) -> bytes:
    charset = word[1].decode("latin-1")
    if not is_charset(charset):
        return word[0]
    try:
        is_base64 = word[2] in b"Bb"
        raw = base64.b64decode(word[3]) if is_base64 else quopri.decodestring(word[3], header=True)
        return b"=?UTF-8?B?%s?=" % base64.b64encode(storable(raw.decode(charset)).encode())
    except (LookupError, ValueError, binascii.Error):
        return word[0]
