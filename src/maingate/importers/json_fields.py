"""Typed access to the fields of a JSON object; values of the wrong type are noted with their lines."""

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from maingate.importers.json_files import Value
from maingate.settings.problems import as_written, did_you_mean

_LONGEST_NUMBER: Final = 10**15
"""Maximum plausible id or priority."""


class ImportedObject:
    """The fields of an object; unread fields are ignored.

    A missing or null field has its default. A field of the wrong type is noted as a problem and has its
    default too, so that the rest is checked as well.

    Args:
        value: The object.
        label: Its name for people, such as ``task 5``; a prefix of problems.
    """

    def __init__(self, value: Value, *, label: str) -> None:
        self.value, self.label = value, label
        self._data: Mapping[str, Any] = value.data

    @classmethod
    def of(cls, value: Value, *, label: str) -> "ImportedObject | None":
        """Return the record of a value; note a problem and return None if it is no object."""
        if not isinstance(value.data, dict):
            hint = "an object in braces was expected"
            value.file.note(value.line, f"{label} must be keys with values, not {_kind(value.data)}", hint)
            return None
        return cls(value, label=label)

    @property
    def line(self) -> int:
        """The first line of the object."""
        return self.value.line

    def has(self, key: str) -> bool:
        """Return whether a field exists and is not null."""
        return self._data.get(key) is not None

    def note(self, key: str | None, message: str, hint: str = "") -> None:
        """Add a problem with a field, or with the object as a whole."""
        line = self.value.at(key).line if key is not None and key in self._data else self.line
        self.value.file.note(line, f"{self.label}: {message}", hint)

    def text(self, key: str, *, is_required: bool = False) -> str:
        """Return text; empty when there is none."""
        if not self.has(key):
            if is_required:
                self.note(key, f"{key!r} is missing", "add it")
            return ""
        found = self._data[key]
        if not isinstance(found, str):
            self.note(key, f"{key!r} must be text, not {_kind(found)}")
            return ""
        if "\0" in found:
            self.note(key, f"{key!r} has a NUL character in it", "remove it")
            return ""
        if is_required and not found.strip():
            self.note(key, f"{key!r} is empty", "add it")
        return found

    def one_of(self, key: str, known: Collection[str], *, default: str) -> str:
        """Return one of several words, in any case and with ``-``, ``_`` or a space between parts."""
        found = self.text(key).strip()
        word = found.lower().replace("_", "-").replace(" ", "-")
        if not found or word in known:
            return word or default
        self.note(key, f"{as_written(found)} is not a value for {key!r}", did_you_mean(word, known))
        return default

    def truth(self, key: str) -> bool:
        """Return true or false; false when there is none."""
        found = self._data.get(key)
        if found is not None and not isinstance(found, bool):
            self.note(key, f"{key!r} must be true or false, not {_kind(found)}", "write it without quotes")
            return False
        return found is True

    def number(self, key: str) -> float | None:
        """Return a number; None when there is none."""
        found = self._data.get(key)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | float):
            self.note(key, f"{key!r} must be a number, not {_kind(found)}")
            return None
        if not math.isfinite(found) or abs(found) > _LONGEST_NUMBER:
            self.note(key, f"{key!r} is too large a number")
            return None
        return found

    def identifier(self, key: str) -> str:
        """Return an id, written as text or a whole number; empty for an invalid one, which is noted."""
        if not self.has(key):
            self.note(key, f"{key!r} is missing", "add it")
            return ""
        return self._identifier(self.value.at(key), key)

    def identifiers(self, key: str) -> Iterator[tuple[str, Value]]:
        """Yield the ids of a list, each with its value."""
        for item in self.entries(key):
            if found := self._identifier(item, key):
                yield found, item

    def texts(self, key: str, *, passes_null: bool = False) -> list[str]:
        """Return a list of text; empty when there is none.

        Args:
            key: The field.
            passes_null: Whether null in the list is passed over instead of being a problem.
        """
        found = []
        for item in self.entries(key) if passes_null else self.items(key):
            if not isinstance(item.data, str):
                self._note_item(item, f"{key!r} must be a list of text, not of {_kind(item.data)}")
            elif "\0" in item.data:
                self._note_item(item, f"{key!r} has a NUL character in it")
            else:
                found.append(item.data)
        return found

    def items(self, key: str) -> Iterator[Value]:
        """Yield the items of a list; none when there is none."""
        found = self._data.get(key)
        if found is None:
            return
        if not isinstance(found, list):
            self.note(key, f"{key!r} must be a list, not {_kind(found)}")
            return
        yield from self.value.at(key).each()

    def entries(self, key: str) -> Iterator[Value]:
        """Yield the items of a list; each null in it is passed over, and told."""
        for item in self.items(key):
            if item.data is None:
                item.file.pass_over(item.line, f"{self.label}: {key!r} has an entry that is null")
            else:
                yield item

    def _identifier(self, item: Value, key: str) -> str:
        found = item.data
        if isinstance(found, bool) or not isinstance(found, str | int | float):
            self._note_item(item, f"{key!r} must be an id, text or a number, not {_kind(found)}")
            return ""
        if isinstance(found, float):
            # `5.2` without quotes: as it was written, since 5.20 is another subtask than 5.2.
            found = item.document.spelling.get(item.place, str(found))
        identifier = str(found).strip() if isinstance(found, str) or abs(found) < _LONGEST_NUMBER else ""
        if not identifier or not identifier.isprintable():
            self._note_item(item, f"{as_written(item.data)} is not a valid id", "write letters and digits")
            return ""
        return identifier

    def _note_item(self, item: Value, message: str, hint: str = "") -> None:
        item.file.note(item.line, f"{self.label}: {message}", hint)


def _kind(found: object) -> str:
    match found:
        case None:
            return "nothing"
        case bool():
            return str(found).lower()
        case dict():
            return "keys with values"
        case list():
            return "a list"
        case int() | float():
            return f"the number {as_written(found)}"
    return as_written(found)
