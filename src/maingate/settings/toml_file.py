"""A ``maingate.toml``: its values, and its mistakes with their lines."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from maingate.errors import Problem, SettingsError
from maingate.settings.model import Settings
from maingate.settings.problems import Location, Mistake, findings

_TABLE: Final = re.compile(r"\s*\[\s*([\w.\-]+)\s*\]")
_KEY: Final = re.compile(r"""\s*(["']?)([\w\-]+)\1((?:\s*\.\s*[\w\-]+)*)\s*=""")


def read(file: Path) -> str:
    """Return the text of a file; empty where there is none.

    Raises:
        SettingsError: It cannot be read, or is no text.
    """
    try:
        if file.exists() and not (file.is_file() or file.is_dir()):  # reading a pipe would wait for ever
            raise SettingsError([Problem(file=str(file), line=None, message="is not an ordinary file")])
        return file.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise SettingsError([Problem(file=str(file), line=None, message=message)]) from error
    except UnicodeDecodeError as error:
        problem = Problem(file=str(file), line=None, message="is not UTF-8 text", hint="save it as UTF-8")
        raise SettingsError([problem]) from error


def parse(file: Path | str, text: str) -> dict[str, Any]:
    """Return the values of a file.

    Raises:
        SettingsError: It is not TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = int(place[1]) if place else None
        message = re.sub(r" \(at .*\)$", "", str(error))
        problem = Problem(file=str(file), line=line, message=message, hint="maingate.toml is TOML (toml.io)")
        raise SettingsError([problem]) from error
    except RecursionError as error:
        problem = Problem(file=str(file), line=None, message="its values are nested too deeply")
        raise SettingsError([problem]) from error


def problems_of(file: Path | str, text: str, values: dict[str, Any]) -> Iterator[Problem]:
    """Return the mistakes that the model finds in the values of a file."""
    try:
        Settings.model_validate(values)
    except ValidationError as error:
        places = dict(lines_of(text))
        for found in findings(error, Settings):
            yield problem_at(file, places, found)


def problem_at(file: Path | str, lines: Mapping[Location, int], found: Mistake) -> Problem:
    """Return a mistake as a problem with its line, or that of the nearest key around it."""
    place = found.location
    while place and place not in lines:
        place = place[:-1]
    return Problem(file=str(file), line=lines.get(place), message=found.message, hint=found.hint)


def lines_of(text: str) -> Iterator[tuple[Location, int]]:
    """Find the lines of keys, which the standard library does not report; a guess is enough for a message."""
    table: Location = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TABLE.match(line):
            table = tuple(header[1].split("."))
            yield table, number
        elif key := _KEY.match(line):
            rest = [part.strip() for part in key[3].split(".")[1:]]
            yield (*table, key[2], *rest), number
