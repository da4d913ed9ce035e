"""Load the settings: two ``maingate.toml``, then ``MAINGATE_*`` over them; all mistakes are reported at once.

A commit can change the file of the tree. So the settings that place the record and the caches, pass on parts
of the environment, or read a file are never taken from there (``NEVER_FROM_A_TREE``).
"""

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_origin

from pydantic import ValidationError

from maingate.errors import Problem, SettingsError
from maingate.settings.files import PREFIX, SettingsFiles
from maingate.settings.model import NEVER_FROM_A_TREE, GateLimits, Settings
from maingate.settings.policy import PolicyLayer, loosenings
from maingate.settings.problems import Location, findings

_TABLES: Final = {"limits": tuple(GateLimits.model_fields), "policy": tuple(PolicyLayer.model_fields)}
"""The tables of the file whose keys have variables of their own, with the keys."""

_FILE_ONLY: Final = ("server",)
"""The tables that have no variables: a cluster sets ``MAINGATE_SERVER_PORT`` for a service of that name."""

_LISTS_OF_POLICY: Final = ("allow", "forbid", "protect", "require_tests", "test_paths")

Values = Mapping[str, Any]


def load_settings(
    root: Path | None,
    environ: Mapping[str, str],
    *,
    files: SettingsFiles | None = None,
    tree: Values | None = None,
) -> Settings:
    """Load the settings of a repository: the tree's file, its own file over that, the environment over both.

    Args:
        root: The repository's root; None reads the environment only.
        environ: The environment; variables of other programs and empty ones are ignored.
        files: The files to read; by default those of the root.
        tree: Values that replace those of the tree's file.

    Raises:
        SettingsError: Lists every mistake in the files and in the environment.
    """
    files = files or SettingsFiles.around(root)
    problems: list[Problem] = []
    from_tree = tree if tree is not None else _of_tree(files, problems)
    from_own = {} if files.own is None else _of_file(files.own, problems)
    from_environment, faults = _from_environment(environ)
    problems += faults
    if files.own is not None:
        problems += _stated_twice(from_tree.get("policy"), from_own.get("policy"), str(files.own))
        problems += _loosened(from_tree.get("policy"), from_own.get("policy"), lambda _name: str(files.own))
    from_files = _laid_over(from_tree, from_own)
    problems += _loosened(
        from_files.get("policy"), from_environment.get("policy"), lambda name: variable_of(("policy", name))
    )
    if problems:
        raise SettingsError(problems)
    return _validated(_laid_over(from_files, from_environment))


def tree_values(files: SettingsFiles) -> Values:
    """Return the values of the tree's file, in a form that can be stored and passed to `load_settings`.

    Raises:
        SettingsError: Lists every mistake in it.
    """
    problems: list[Problem] = []
    values = _of_tree(files, problems)
    if problems:
        raise SettingsError(problems)
    stated = Settings.model_validate(values).model_dump(mode="json", exclude_unset=True, exclude={"policy"})
    if "policy" in values:  # without the defaults of the settings, which are not stated
        policy = PolicyLayer.model_validate(values["policy"])
        stated["policy"] = policy.model_dump(mode="json", exclude_unset=True)
    return stated


def _validated(values: Values) -> Settings:
    try:
        return Settings.model_validate(values)
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


def _of_tree(files: SettingsFiles, problems: list[Problem]) -> Values:
    """Read the tree's file, which a commit can change, and refuse settings that no commit may decide."""
    file = files.tree
    if file is None:
        return {}
    if file.is_symlink():
        hint = "write a plain file: a change of the link's target would change the settings"
        problems.append(Problem(file=str(file), line=None, message="is a symbolic link", hint=hint))
        return {}
    found: list[Problem] = []
    values = _of_file(file, found)
    lines = dict(_lines(_read(file))) if values else {}
    for name in NEVER_FROM_A_TREE:
        if name in values:
            message = f"{name!r} is not taken from a file that a commit can change"
            elsewhere = "" if files.own is None else f"write it into {files.own}, or "
            hint = f"{elsewhere}set {variable_of((name,))}"
            found.append(Problem(file=str(file), line=lines.get((name,)), message=message, hint=hint))
    problems += sorted(found, key=_line)
    return values


def _of_file(file: Path, problems: list[Problem]) -> dict[str, Any]:
    text = _read(file)
    values = _parse(file, text)
    problems += sorted(_problems_of_file(file, text, values), key=_line)
    return values


def variables() -> dict[str, Location]:
    """Return every environment variable that is a setting, with the setting's place in the file."""
    tables = {*_TABLES, *_FILE_ONLY}
    places: list[Location] = [(name,) for name in Settings.model_fields if name not in tables]
    places += [("limits", name) for name in GateLimits.model_fields]
    places += [("policy", name) for name in PolicyLayer.model_fields if name not in _LISTS_OF_POLICY]
    return {variable_of(place): place for place in places}


def variable_of(location: Location) -> str:
    """Return the environment variable of a setting, such as ``MAINGATE_LIMITS_CPU``."""
    return PREFIX + "_".join(str(part) for part in location if not isinstance(part, int)).upper()


def _read(file: Path) -> str:
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
    """Find the lines of keys, which the standard library does not report; a guess is enough for a message."""
    table: Location = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TABLE.match(line):
            table = tuple(header[1].split("."))
            yield table, number
        elif key := _KEY.match(line):
            rest = [part.strip() for part in key[3].split(".")[1:]]
            yield (*table, key[2], *rest), number


_NUMBER: Final = re.compile(r"-?\d{1,1000}", re.ASCII)
_SIMILARITY: Final = 0.93
"""Least similarity to a known variable that counts as a misspelling: a letter or two in twenty differ."""


def _from_environment(environ: Mapping[str, str]) -> tuple[dict[str, Any], list[Problem]]:
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
    lists = _LISTS_OF_POLICY if table == "policy" else ()
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


def _laid_over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    tables = {
        name: {**under.get(name, {}), **value} for name, value in over.items() if isinstance(value, Mapping)
    }
    return {**under, **over, **tables}


def _loosened(outer: object, inner: object, file_of: Callable[[str], str]) -> list[Problem]:
    """Return a problem for each value that would loosen the policy of an outer file."""
    layers = _layers(outer, inner)
    return [
        Problem(
            file=file_of(name), line=None, message=f"{name} is looser than maingate.toml allows", hint=hint
        )
        for name, hint in (loosenings([layers[0]], layers[1]) if layers else ())
    ]


def _stated_twice(tree: object, own: object, file: str) -> list[Problem]:
    """Return a problem for each list of the policy that both files have."""
    layers = _layers(tree, own)
    both = layers[0].stated.keys() & layers[1].stated.keys() if layers else set()
    hint = "keep it in one of the two"
    return [
        Problem(file=file, line=None, message=f"policy.{name} is in the tree's maingate.toml too", hint=hint)
        for name in _LISTS_OF_POLICY
        if name in both
    ]


def _layers(outer: object, inner: object) -> tuple[PolicyLayer, PolicyLayer] | None:
    """Return two policies; None when either is faulty, which is reported with its place already."""
    try:
        return PolicyLayer.model_validate(outer or {}), PolicyLayer.model_validate(inner or {})
    except ValidationError:
        return None
