"""Read the settings: ``maingate.toml``, then ``MAINGATE_*`` over it; everything wrong is told at once."""

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_origin

from pydantic import ValidationError

from maingate.errors import Problem, SettingsError
from maingate.settings.model import GateLimits, Settings
from maingate.settings.policy import PolicyLayer, loosenings
from maingate.settings.problems import Location, findings

FILE_NAME: Final = "maingate.toml"
PREFIX: Final = "MAINGATE_"

_LISTS_OF_POLICY: Final = ("allow", "forbid", "protect", "require_tests", "test_paths")


def load_settings(root: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read the settings of a repository.

    Args:
        root: The repository's root, where ``maingate.toml`` may be; None reads the environment only.
        environ: The environment; variables of other programs and empty ones are passed over.

    Raises:
        SettingsError: With everything that is wrong in the file and in the environment.
    """
    file = None if root is None else root / FILE_NAME
    text = "" if file is None else _read(file)
    from_file = {} if file is None else _parse(file, text)
    problems = [] if file is None else sorted(_problems_of_file(file, text, from_file), key=_line)
    from_environment, faults = _from_environment(environ)
    problems += faults
    problems += _loosened(from_file.get("policy"), from_environment.get("policy", {}))
    if problems:
        raise SettingsError(problems)
    try:
        return Settings.model_validate(_laid_over(from_file, from_environment))
    except ValidationError as error:
        raise SettingsError(
            [
                Problem(
                    file=variable_of(found.location),
                    line=None,
                    message=found.message,
                    hint=found.hint.replace("remove the key", "unset the variable"),
                )
                for found in findings(error, Settings)
            ]
        ) from error


def variables() -> dict[str, Location]:
    """Return every environment variable that is a setting, with the setting's place in the file."""
    places: list[Location] = [(name,) for name in Settings.model_fields if name not in ("limits", "policy")]
    places += [("limits", name) for name in GateLimits.model_fields]
    places += [("policy", name) for name in PolicyLayer.model_fields if name not in _LISTS_OF_POLICY]
    return {variable_of(place): place for place in places}


def variable_of(location: Location) -> str:
    """Return the environment variable of a setting, such as ``MAINGATE_LIMITS_CPU``."""
    return PREFIX + "_".join(str(part) for part in location if not isinstance(part, int)).upper()


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise SettingsError([Problem(file=str(file), line=None, message=message)]) from error
    except UnicodeDecodeError as error:
        problem = Problem(file=str(file), line=None, message="is not UTF-8 text", hint="save it as UTF-8")
        raise SettingsError([problem]) from error


def _parse(file: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = int(place[1]) if place else None
        message = re.sub(r" \(at .*\)$", "", str(error))
        problem = Problem(file=str(file), line=line, message=message, hint="maingate.toml is TOML (toml.io)")
        raise SettingsError([problem]) from error


def _problems_of_file(file: Path, text: str, values: dict[str, Any]) -> Iterator[Problem]:
    try:
        Settings.model_validate(values)
    except ValidationError as error:
        lines = dict(_lines(text))
        for found in findings(error, Settings):
            place = found.location
            while place and place not in lines:
                place = place[:-1]
            yield Problem(file=str(file), line=lines.get(place), message=found.message, hint=found.hint)


def _line(problem: Problem) -> int:
    return problem.line or 0


_TABLE: Final = re.compile(r"\s*\[\s*([\w.\-]+)\s*\]")
_KEY: Final = re.compile(r"""\s*(["']?)([\w\-]+)\1((?:\s*\.\s*[\w\-]+)*)\s*=""")


def _lines(text: str) -> Iterator[tuple[Location, int]]:
    """Find where keys are: the standard library does not tell, and for a message a guess is enough."""
    table: Location = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TABLE.match(line):
            table = tuple(header[1].split("."))
            yield table, number
        elif key := _KEY.match(line):
            rest = [part.strip() for part in key[3].split(".")[1:]]
            yield (*table, key[2], *rest), number


_NUMBER: Final = re.compile(r"-?\d{1,1000}", re.ASCII)
_MISSPELT: Final = 0.93
"""How alike a variable must be to a known one to be taken for it: a letter or two in twenty."""


def _from_environment(environ: Mapping[str, str]) -> tuple[dict[str, Any], list[Problem]]:
    """Take settings from the environment.

    A variable that is no setting is a problem only when it looks like one misspelt: others may use the prefix
    (a cluster sets ``MAINGATE_SERVICE_HOST`` for a service called maingate).
    """
    known = variables()
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, text in sorted(environ.items()):
        if not name.startswith(PREFIX) or not text:
            continue
        if name in known:
            _put(values, known[name], _read_value(known[name], text))
        elif close := difflib.get_close_matches(name, known, n=1, cutoff=_MISSPELT):
            hint = f"did you mean {close[0]}?"
            problems.append(Problem(file=name, line=None, message="no setting has this variable", hint=hint))
    return values, problems


def _read_value(place: Location, text: str) -> object:
    """Give a variable's text the type that the file would give it; what does not fit, the model refuses."""
    if len(place) == 1 and get_origin(Settings.model_fields[str(place[0])].annotation) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    return {"true": True, "false": False}.get(
        text.strip(), int(text) if _NUMBER.fullmatch(text.strip()) else text
    )


def _put(values: dict[str, Any], place: Location, value: object) -> None:
    for part in place[:-1]:
        values = values.setdefault(str(part), {})
    values[str(place[-1])] = value


def _laid_over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    tables = {
        name: {**under.get(name, {}), **value} for name, value in over.items() if isinstance(value, Mapping)
    }
    return {**under, **over, **tables}


def _loosened(file_policy: object, environment_policy: Mapping[str, Any]) -> list[Problem]:
    """Refuse an environment that would loosen the file's policy."""
    try:
        outer, inner = (
            PolicyLayer.model_validate(file_policy or {}),
            PolicyLayer.model_validate(environment_policy),
        )
    except ValidationError:
        return []  # told with its place by whoever validates the whole
    return [
        Problem(
            file=variable_of(("policy", name)),
            line=None,
            message=f"{name} is looser than maingate.toml allows",
            hint=hint,
        )
        for name, hint in loosenings([outer], inner)
    ]
