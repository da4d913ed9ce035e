"""Names in a diff's headers: prefixes, quotes, time stamps (git-diff(1), git-config(1)).

``a/x b/x`` is the file ``x`` with a prefix, ``x x`` the file ``x`` without one. Ambiguous names are refused.
"""

import re
from typing import Final

from maingate.patches.text.quoting import unquote_path

_STAMP: Final = re.compile(
    rb"[ \t]\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d(?:\.\d+)?)?(?: ?(?:[-+]\d\d:?\d\d|Z|UTC))?\s*$"
)
_EPOCH: Final = re.compile(
    rb"(?:1969-12-31|1970-01-01)[ T](\d\d):(\d\d):00(?:\.0+)?(?: ?(?:([-+])(\d\d):?(\d\d)|Z|UTC))?\s*$"
)
_SCHEME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://")
"""A prefix such as ``src://``: no name of a file in git can begin so."""
_NOWHERE: Final = re.compile(rb"\(nonexistent\)\s*$")
_BACKUPS: Final = (b".orig", b".old", b".bak", b"~")
_LONGEST_NAME_LINE: Final = 64 * 1024
_MINUTES_OF_DAY: Final = 24 * 60

NULL: Final = b"/dev/null"


def name_of(text: bytes) -> tuple[bytes, bool] | None:
    """Return the name on a ``---`` or ``+++`` line.

    Args:
        text: The text behind the marker, without line ending.

    Returns:
        The name with its prefix, and whether its time stamp means that the file does not exist; None when
        damaged.
    """
    if len(text) > _LONGEST_NAME_LINE:
        return None
    if text.startswith(b'"'):
        unquoted = unquote_path(text)
        if unquoted is None or (unquoted[1] and unquoted[1][:1] not in b"\t "):
            return None
        name, rest = unquoted
    else:
        name, tab, rest = text.partition(b"\t")
        if not tab and (stamp := _STAMP.search(text)):
            name, rest = text[: stamp.start()].rstrip(), stamp[0]
    if not name.strip():
        return None
    return name, _is_epoch(rest) or _NOWHERE.match(rest) is not None


def _is_epoch(stamp: bytes) -> bool:
    found = _EPOCH.match(stamp.strip())
    if found is None:
        return False
    minutes = int(found[1]) * 60 + int(found[2])
    if found[3] is not None:
        offset = int(found[4]) * 60 + int(found[5])
        minutes += offset if found[3] == b"-" else -offset
    return minutes % _MINUTES_OF_DAY == 0


def split_pair(text: bytes, old: bytes | None, new: bytes | None) -> tuple[bytes, bytes] | None:
    """Split the text behind ``diff --git`` into its two names.

    Args:
        text: Without line ending.
        old: The name of the ``---`` line with its prefix, when there is one and it is not ``/dev/null``.
        new: The same of the ``+++`` line.

    Returns:
        Both names with their prefixes, or None when they cannot be separated.
    """
    if len(text) > 2 * _LONGEST_NAME_LINE:
        return None
    if b'"' in text:
        return _split_quoted(text)
    if old is not None and new is not None:
        return (old, new) if text == old + b" " + new else None
    return _split_plain(text, old, new)


def _split_plain(text: bytes, old: bytes | None, new: bytes | None) -> tuple[bytes, bytes] | None:
    middle = len(text) // 2
    if text[middle : middle + 1] == b" " and same_file(text[:middle], text[middle + 1 :]) is not None:
        return text[:middle], text[middle + 1 :]
    if new is not None and text.endswith(b" " + new):
        return text[: -len(new) - 1], new
    if old is not None and text.startswith(old + b" "):
        return old, text[len(old) + 1 :]
    return None


def _split_quoted(text: bytes) -> tuple[bytes, bytes] | None:
    if text.startswith(b'"'):
        first = unquote_path(text)
        if first is None or first[1][:1] != b" ":
            return None
        old, rest = first[0], first[1][1:]
    else:
        old, quote, rest = text.partition(b' "')
        rest = quote[1:] + rest
    if not rest.startswith(b'"'):
        return (old, rest) if rest else None
    second = unquote_path(rest)
    return (old, second[0]) if second is not None and not second[1].strip() else None


def split_moved(text: bytes, source: bytes, target: bytes) -> tuple[bytes, bytes] | None:
    """Split the text behind ``diff --git`` by the names on rename or copy lines; None when they disagree."""
    if len(text) > 2 * _LONGEST_NAME_LINE:
        return None
    if b'"' in text:
        pair = _split_quoted(text)
        return pair if pair and _is_prefixed(pair[0], source) and _is_prefixed(pair[1], target) else None
    scheme = _SCHEME.match(text)
    for old in (source, (scheme[0] if scheme else text[: text.find(b"/") + 1]) + source):
        new = text[len(old) + 1 :]
        is_pair = text.startswith(old + b" ") and _is_prefixed(new, target)
        if is_pair and (old == source) == (new == target):
            return old, new
    return None


def _is_prefixed(name: bytes, path: bytes) -> bool:
    prefix = name.removesuffix(path)
    is_prefix = not prefix or (prefix.endswith(b"/") and prefix.count(b"/") == 1) or has_scheme(prefix)
    return name.endswith(path) and is_prefix


def same_file(old: bytes, new: bytes) -> bytes | None:
    """Return the one path that both names mean, or None when they name two files."""
    if old == new:
        return old
    stripped = without_prefix(old)
    if stripped is not None and stripped == without_prefix(new):
        return stripped
    return None


def same_file_or_backup(old: bytes, new: bytes) -> bytes | None:
    """Return the path as ``same_file``, where ``x.orig`` means ``x``: manual diffs name the backup."""
    for suffix in _BACKUPS:
        if old.endswith(suffix) and (path := same_file(old.removesuffix(suffix), new)) is not None:
            return path
    return same_file(old, new)


def without_prefix(name: bytes) -> bytes | None:
    """Return the text behind the first folder, or the ``src://``, of a name; None when there is none."""
    if scheme := _SCHEME.match(name):
        return name[scheme.end() :] or None
    _, slash, path = name.partition(b"/")
    return path if slash and path else None


def has_scheme(name: bytes) -> bool:
    """Return whether a name begins with a prefix such as ``src://``."""
    return _SCHEME.match(name) is not None
