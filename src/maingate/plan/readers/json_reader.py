"""JSON with line numbers; the standard library's reader reports the lines of faults, not those of keys."""

import json
import re
from typing import Any, Final

from maingate.plan.readers.document import Document, Unreadable
from maingate.settings.problems import Location, Mistake

_scan_string: Any = json.decoder.scanstring  # type: ignore[attr-defined]  # there since Python 2.6; C where it can
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_WORDS: Final = {"true": True, "false": False, "null": None}
_WORD: Final = re.compile(r"true|false|null")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")


def read_json(text: str) -> Document:
    """Read one JSON document (RFC 8259).

    Raises:
        Unreadable: It is not JSON; has the line of the fault.
    """
    reader = _JsonReader(text)
    try:
        data, end = reader.value(_SPACE.match(text).end(), ())  # type: ignore[union-attr]  # matches always
    except RecursionError as error:
        raise Unreadable(None, "is nested too deeply", "a plan is a few levels deep") from error
    end = reader.skip(end)
    if end != len(text):
        raise reader.fault(end, "something follows the end of the document")
    return Document(data=data, lines=reader.lines, spelling=reader.spelling, faults=tuple(reader.faults))


class _JsonReader:
    """A recursive-descent reader; each method takes a position and returns the value and its end."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines: dict[Location, int] = {}
        self.spelling: dict[Location, str] = {}
        self.faults: list[tuple[int, Mistake]] = []
        self._counted = (0, 1)

    def value(self, at: int, place: Location) -> tuple[Any, int]:
        letter = self.text[at : at + 1]
        if letter == "{":
            return self._object(at, place)
        if letter == "[":
            return self._array(at, place)
        if letter == '"':
            return self._string(at)
        if word := _WORD.match(self.text, at):
            self.spelling[place] = word[0]
            return _WORDS[word[0]], word.end()
        if number := _NUMBER.match(self.text, at):
            self.spelling[place] = number[0]
            return self._number(number), number.end()
        raise self.fault(at, "a value was expected here")

    def skip(self, at: int) -> int:
        return _SPACE.match(self.text, at).end()  # type: ignore[union-attr]  # matches always

    def fault(self, at: int, message: str) -> Unreadable:
        return Unreadable(self.text.count("\n", 0, at) + 1, f"is not JSON: {message}", "")

    def _object(self, at: int, place: Location) -> tuple[dict[str, Any], int]:
        made: dict[str, Any] = {}
        at = self.skip(at + 1)
        while self.text[at : at + 1] != "}":
            if self.text[at : at + 1] != '"':
                raise self.fault(at, "a key in double quotes was expected here")
            line = self._line(at)
            key, at = self._string(at)
            at = self._expect(self.skip(at), ":")
            where = (*place, key)
            if key in made:
                hint = f"first on line {self.lines[where]}"
                self.faults.append(
                    (line, Mistake(location=where, message=f"{key!r} is given twice", hint=hint))
                )
                _, at = _JsonReader(self.text).value(at, ())
            else:
                self.lines[where] = line
                made[key], at = self.value(at, where)
            at = self._next(at, "}")
        return made, at + 1

    def _array(self, at: int, place: Location) -> tuple[list[Any], int]:
        made: list[Any] = []
        at = self.skip(at + 1)
        while self.text[at : at + 1] != "]":
            where = (*place, len(made))
            self.lines[where] = self._line(at)
            item, at = self.value(at, where)
            made.append(item)
            at = self._next(at, "]")
        return made, at + 1

    def _next(self, at: int, closing: str) -> int:
        """Return the position behind a comma, or that of the closing bracket."""
        at = self.skip(at)
        if self.text[at : at + 1] == closing:
            return at
        at = self._expect(at, ",")
        if self.text[at : at + 1] == closing:
            raise self.fault(at, f"there is a comma before the closing {closing}")
        return at

    def _expect(self, at: int, letter: str) -> int:
        if self.text[at : at + 1] != letter:
            raise self.fault(at, f"'{letter}' was expected here")
        return self.skip(at + 1)

    def _string(self, at: int) -> tuple[str, int]:
        try:
            text, end = _scan_string(self.text, at + 1, True)
            text.encode()
        except json.JSONDecodeError as error:
            raise self.fault(error.pos, error.msg) from error
        except UnicodeEncodeError as error:
            raise self.fault(at, "half of a surrogate pair is no character") from error
        return text, end

    def _number(self, number: re.Match[str]) -> int | float:
        try:
            return float(number[0]) if number[1] or number[2] else int(number[0])
        except ValueError as error:
            raise self.fault(number.start(), "the number is too long") from error

    def _line(self, at: int) -> int:
        """Return the line of a position, counted from the last one, since reading only goes forward."""
        seen, line = self._counted
        line += self.text.count("\n", seen, at)
        self._counted = (at, line)
        return line
