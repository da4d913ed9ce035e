"""Text for people: untrusted text is escaped; times, sizes and counts are written.

Patches, file names, messages and gate output are untrusted. All of it goes through
:func:`safe` before it reaches a terminal: control characters, escape sequences and text-direction marks are
shown as escapes instead of taking effect.
"""

import unicodedata
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from maingate.wording import bounded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maingate.reasons import Reason

_FIRST_BYTE: Final = 0xDC80
"""Python's surrogate for the byte 0x80 of a name that is not UTF-8."""
_HIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def safe(text: str | bytes, *, keep_newlines: bool = False) -> str:
    r"""Escape untrusted text so that it is safe to print.

    Args:
        text: Text or bytes; bytes are read as UTF-8, and invalid bytes become ``\xNN``.
        keep_newlines: Keep line ends and tabs, for text of several lines.

    Returns:
        The text with control and invisible characters as escapes. A single line is shortened: long words
        lose their middle, and the whole is at most a few lines of a terminal.
    """
    whole = escaped(text, keep_newlines=keep_newlines)
    return whole if keep_newlines else bounded(whole)


def escaped(text: str | bytes, *, keep_newlines: bool = False) -> str:
    """Escape untrusted text without shortening it."""
    shown = text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else text
    if shown.isascii() and shown.isprintable():
        return shown
    let_through = "\n\t" if keep_newlines else ""
    return "".join(c if c in let_through or _is_harmless(c) else _escape(c) for c in shown)


def _is_harmless(character: str) -> bool:
    return unicodedata.category(character) not in _HIDDEN_CATEGORIES


def _escape(character: str) -> str:
    named = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
    code = ord(character)
    if _FIRST_BYTE <= code <= _FIRST_BYTE + 0x7F:
        code -= _FIRST_BYTE - 0x80
    return named.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:x}}}")  # noqa: PLR2004


def local_time(at: datetime) -> str:
    """Return a moment in local time, such as ``2026-01-31 13:00:00``."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def short_time(at: datetime) -> str:
    """Return a moment in local time without the year, such as ``01-31 13:00:00``."""
    return f"{at.astimezone():%m-%d %H:%M:%S}"


def duration(seconds: float) -> str:
    """Return a duration for people: ``4.2s``, ``1m05s``, ``2h03m``."""
    if seconds < 59.95:  # noqa: PLR2004
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{rest:02d}s"


def size(number: int) -> str:
    """Return a number of bytes in powers of 1024: ``512 B``, ``1.4 MiB``."""
    if number < 1024:  # noqa: PLR2004
        return f"{number} B"
    amount = float(number)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        amount /= 1024
        if amount < 999.95 or unit == "TiB":  # noqa: PLR2004
            break
    return f"{amount:.1f} {unit}"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: ``1 patch``, ``2 patches``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def reason_line(reason: "Reason | Mapping[str, Any] | None") -> str:
    """Return a reason as ``code: message``, safe to print; empty without a reason.

    A decision by hand has a message and no code; missing parts are left out.
    """
    if reason is None:
        return ""
    value = reason if not hasattr(reason, "as_json") else reason.as_json()
    return ": ".join(safe(str(value[part])) for part in ("code", "message") if value.get(part))
