"""Redact the values of secrets in all that is written down, whole or in pieces as they come from a pipe.

A tool that was given a key may print it, and prints it in the forms programs use: as it is, or as JSON
writes it. A value shorter than ``SHORTEST`` cannot be distinguished from ordinary text and stays.

Standard library only: a UET worker process imports this.
"""

import json
import re
from collections.abc import Iterable
from typing import Final, overload

MARK: Final = "[redacted]"
"""The text in place of a secret."""

SHORTEST: Final = 4
"""Characters below which a value is not looked for."""

_LONG_LINE: Final = 16
"""Characters from which a line of a value of many lines (a key file) is a secret of its own."""


@overload
def redact(text: str, values: Iterable[str]) -> str: ...
@overload
def redact(text: bytes, values: Iterable[str]) -> bytes: ...
def redact(text: str | bytes, values: Iterable[str]) -> str | bytes:
    """Return a text without the values of secrets.

    Args:
        text: The text to be written down or shown.
        values: The secrets; those of fewer than ``SHORTEST`` characters are passed over.
    """
    if isinstance(text, str):
        return redact(text.encode("utf-8", "surrogateescape"), values).decode("utf-8", "surrogateescape")
    redactor = Redactor(values)
    return redactor.feed(text) + redactor.flush()


class Redactor:
    """The same for a stream: a secret that is cut in two by a read is found all the same.

    Args:
        values: The secrets.
    """

    def __init__(self, values: Iterable[str]) -> None:
        self._needles = sorted(_forms(values), key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, self._needles))) if self._needles else None
        self._rest = b""
        self.has_found = False

    def feed(self, data: bytes) -> bytes:
        """Accept the next bytes, and return those that may be written by now."""
        if self._pattern is None:
            return data
        text = self._rest + data
        written, at, held = [], 0, self._held_from(text, 0)
        for match in self._pattern.finditer(text):
            if match.start() >= held:
                break
            written += [text[at : match.start()], MARK.encode()]
            at = match.end()
            self.has_found = True
            if at > held:
                held = self._held_from(text, at)
        self._rest = text[held:]
        return b"".join([*written, text[at:held]])

    def flush(self) -> bytes:
        """Return the bytes that were held back, at the end of the stream."""
        rest, self._rest = self._rest, b""
        if self._pattern is None:
            return rest
        text, count = self._pattern.subn(MARK.encode(), rest)
        self.has_found |= count > 0
        return text

    def _held_from(self, text: bytes, start: int) -> int:
        """Return from where on the text could be the beginning of a longer secret."""
        first = max(start, len(text) - len(self._needles[0]) + 1)
        for at in range(first, len(text)):
            tail = text[at:]
            if any(needle.startswith(tail) and len(needle) > len(tail) for needle in self._needles):
                return at
        return len(text)


def _forms(values: Iterable[str]) -> set[bytes]:
    """Return a secret as programs print it: as it is, as JSON, line by line."""
    found: set[str] = set()
    for value in values:
        lines = value.splitlines()
        parts = [
            value,
            value.strip(),
            *(line for line in lines if len(lines) > 1 and len(line) >= _LONG_LINE),
        ]
        for part in parts:
            if len(part) >= SHORTEST:
                found |= {part, json.dumps(part)[1:-1], json.dumps(part, ensure_ascii=False)[1:-1]}
    return {form.encode("utf-8", "surrogateescape") for form in found}
