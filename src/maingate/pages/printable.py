"""Text of others for a page: characters that take effect without being seen are shown or left out.

Escaping for HTML is the templates' part. Here escape sequences of terminals are left out, and control
characters and marks that change the direction of text are replaced, so that a name reads as it is.
"""

import re
from typing import Final

from markupsafe import Markup

_ESCAPES: Final = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,1000}(?:\x07|\x1b\\)|[@-Z\\-_]|[ -/][0-~])"
)
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]"
)


def printable(text: str) -> str:
    """Return text in which each character is seen; line ends and tabs stay.

    Args:
        text: Text of others.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNSEEN.sub("\ufffd", _ESCAPES.sub("", text.replace("\r\n", "\n")))


def finalized(value: object) -> object:
    """Return a value of a template as it is shown: None as nothing, text of others as printable text."""
    if value is None:
        return ""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
