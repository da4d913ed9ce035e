"""Elements of SVG as text, with all text and attributes escaped."""

from collections.abc import Iterable
from html import escape
from typing import Final

from markupsafe import Markup

_PLACES: Final = 1
"""Decimal places of a coordinate."""


def element(name: str, *inside: str, **attributes: str | float | None) -> Markup:
    """Return an element.

    Args:
        name: Its tag.
        inside: Its content: text, which is escaped, or other elements.
        attributes: Its attributes; ``_`` stands for ``-``, a last ``_`` is dropped, None leaves one out.
    """
    stated = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_value(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    content = "".join(part if isinstance(part, Markup) else escape(_printable(part)) for part in inside)
    return Markup(f"<{name}{stated}>{content}</{name}>")  # noqa: S704 - all of it was escaped above


def joined(parts: Iterable[str]) -> Markup:
    """Return elements one after the other; text among them is escaped."""
    return Markup("").join(parts)


def picture(*inside: str, width: float, height: float, label: str, kind: str) -> Markup:
    """Return a picture that scales down with its page.

    Args:
        inside: Its elements.
        width: Its width in pixels.
        height: Its height in pixels.
        label: Its meaning, for those who do not see it.
        kind: Its class.
    """
    return element(
        "svg",
        element("title", label),
        *inside,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_value(width)} {_value(height)}",
        width=width,
        height=height,
        role="group",
        aria_label=label,
        class_=kind,
    )


def _value(value: str | float) -> str:
    if isinstance(value, str):
        return _printable(value)
    return f"{round(value, _PLACES):g}"


def _printable(text: str) -> str:
    """Return text with a mark in place of each character that XML does not allow."""
    return "".join(each if _is_allowed(each) else "\ufffd" for each in text)


def _is_allowed(character: str) -> bool:
    return character in "\t\n" or (character >= " " and not "\ud800" <= character <= "\udfff")
