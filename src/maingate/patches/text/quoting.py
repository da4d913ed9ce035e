"""Paths as git writes them in diff headers: C-quoted if they have bytes that a header line cannot have.

Paths are bytes: git knows no encoding of names (git-config(1), ``core.quotePath``).
"""

import re
from typing import Final

_SPECIAL: Final = re.compile(rb'[\x00-\x1f"\\\x7f-\xff]')
_ESCAPE: Final = re.compile(rb'\\([abtnvfr"\\]|[0-3][0-7]{2})')
_NAMED: Final = {7: b"a", 8: b"b", 9: b"t", 10: b"n", 11: b"v", 12: b"f", 13: b"r", 34: b'"', 92: b"\\"}
_BY_NAME: Final = {name: bytes([code]) for code, name in _NAMED.items()}
_QUOTED: Final = re.compile(rb'"((?:[^"\\\n]|\\.)*)"')


def quote_path(path: bytes) -> bytes:
    r"""Return a path as in git's headers: ``"a\303\244"`` if it has special bytes, else unchanged."""
    if _SPECIAL.search(path) is None:
        return path
    return b'"' + _SPECIAL.sub(lambda found: _escaped(found[0][0]), path) + b'"'


def _escaped(code: int) -> bytes:
    return b"\\" + (_NAMED.get(code) or b"%03o" % code)


def unquote_path(text: bytes) -> tuple[bytes, bytes] | None:
    r"""Parse a C-quoted path at the beginning of a text.

    Args:
        text: A text that begins with a double quote.

    Returns:
        The path and the text behind the closing quote; None when the quoting is damaged.
    """
    found = _QUOTED.match(text)
    if found is None:
        return None
    body = found[1]
    if b"\\" in _ESCAPE.sub(b"", body):
        return None
    return _ESCAPE.sub(lambda escape: _meant(escape[1]), body), text[found.end() :]


def _meant(name: bytes) -> bytes:
    return _BY_NAME.get(name) or bytes([int(name, 8)])


def show_path(path: bytes) -> str:
    """Return a path for people and JSON: as text if it is printable UTF-8, else C-quoted as by git."""
    try:
        text = path.decode()
    except UnicodeDecodeError:
        return quote_path(path).decode("ascii")
    return text if text.isprintable() else quote_path(path).decode("ascii")
