"""The settings as ``MAINGATE_*`` in the environment."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, get_origin

from maingate.errors import Problem
from maingate.settings.files import PREFIX
from maingate.settings.model import RULES, GateLimits, Settings
from maingate.settings.policy_layer import PolicyLayer
from maingate.settings.problems import Location

_TABLES: Final = {"limits": tuple(GateLimits.model_fields), "policy": tuple(PolicyLayer.model_fields)}
"""The tables of the file whose keys have variables of their own, with the keys."""

_FILE_ONLY: Final = ("server", "webhooks", *RULES)
"""The settings that have no variables: a cluster sets ``MAINGATE_SERVER_PORT`` for a service of that name,
receivers have names, and what a plan inherits has the forms of a plan."""

LISTS_OF_POLICY: Final = ("allow", "forbid", "protect", "require_tests", "test_paths")
"""The lists of the policy, which have no variables: they go into a file."""

_NUMBER: Final = re.compile(r"-?\d{1,1000}", re.ASCII)
_SIMILARITY: Final = 0.93
"""Least similarity to a known variable that counts as a misspelling: a letter or two in twenty differ."""


def variables() -> dict[str, Location]:
    """Return every environment variable that is a setting, with the setting's place in the file."""
    tables = {*_TABLES, *_FILE_ONLY}
    places: list[Location] = [(name,) for name in Settings.model_fields if name not in tables]
    places += [("limits", name) for name in GateLimits.model_fields]
    places += [("policy", name) for name in PolicyLayer.model_fields if name not in LISTS_OF_POLICY]
    return {variable_of(place): place for place in places}


def variable_of(location: Location) -> str:
    """Return the environment variable of a setting, such as ``MAINGATE_LIMITS_CPU``."""
    return PREFIX + "_".join(str(part) for part in location if not isinstance(part, int)).upper()


def from_environment(environ: Mapping[str, str]) -> tuple[dict[str, Any], list[Problem]]:
    """Read settings from the environment.

    A variable that is no setting is a problem if it is named like a key of a table of the settings, or looks
    like a misspelt setting. Other programs may use the prefix (a cluster sets ``MAINGATE_SERVICE_HOST`` for a
    service called maingate).
    """
    known = variables()
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for name in sorted(name for name in environ if name.startswith(PREFIX)):
        if not (text := environ[name]):
            continue
        if name in known:
            _put(values, known[name], _read_value(known[name], text))
        elif hint := _suggestion(name, known):
            problems.append(Problem(file=name, line=None, message="no setting has this variable", hint=hint))
    return values, problems


def _suggestion(name: str, known: Iterable[str]) -> str:
    """Return a hint for a variable that is no setting; empty where it belongs to another program.

    A variable that is meant to limit patches or gates must never be ignored silently.
    """
    for table, fields in _TABLES.items():
        prefix = f"{variable_of((table,))}_"
        if f"{name}_".startswith(prefix):
            return _suggestion_in_table(table, fields, name.removeprefix(prefix).lower())
    close = difflib.get_close_matches(name, known, n=1, cutoff=_SIMILARITY)
    return f"did you mean {close[0]}?" if close else ""


def _suggestion_in_table(table: str, fields: Iterable[str], key: str) -> str:
    lists = LISTS_OF_POLICY if table == "policy" else ()
    close = [key] if key in lists else difflib.get_close_matches(key, fields, n=1)
    if not close:
        return f"known: {', '.join(variable_of((table, each)) for each in fields if each not in lists)}"
    if close[0] in lists:
        return f"lists of the policy go into maingate.toml: [policy] {close[0]} = [...]"
    return f"did you mean {variable_of((table, close[0]))}?"


def _read_value(place: Location, text: str) -> object:
    """Return a variable's text with the type that the file would give it; the model checks it."""
    if len(place) == 1 and get_origin(Settings.model_fields[str(place[0])].annotation) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    return {"true": True, "false": False}.get(
        text.strip(), int(text) if _NUMBER.fullmatch(text.strip()) else text
    )


def _put(values: dict[str, Any], place: Location, value: object) -> None:
    for part in place[:-1]:
        values = values.setdefault(str(part), {})
    values[str(place[-1])] = value
