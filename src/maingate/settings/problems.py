"""Findings about settings and plans, written for the person who wrote them: place, mistake, correction."""

import difflib
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

Location = tuple[str | int, ...]

IN_QUOTES: Final = "write it in quotes:"
"""The beginning of the hint for a number where text is expected; a reader that knows its spelling adds it."""

_MOST_SUGGESTIONS: Final = 12
"""Most names that a hint lists when none of them is close."""


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """One mistake that a model or a check found.

    Args:
        location: Keys and list positions from the top to the value.
        message: The mistake.
        hint: How to correct it; may be empty.
        missing: Whether the location has no value at all.
        is_name: Whether only the name was refused, so that its value can be checked all the same.
    """

    location: Location
    message: str
    hint: str = ""
    missing: bool = False
    is_name: bool = False


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint: the known word that is closest, or all known words when they are few; may be empty."""
    options = list(known)
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.6) or difflib.get_close_matches(
        word.lower(), [option for option in options if option == option.lower()], n=1, cutoff=0.6
    )
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(options)}" if 0 < len(options) <= _MOST_SUGGESTIONS else ""


def findings(error: ValidationError, model: type[BaseModel]) -> list[Mistake]:
    """Return the findings of a failed validation.

    Args:
        error: The error of pydantic.
        model: The model that was validated; its fields make the suggestions for unknown keys.
    """
    return [_finding(detail, model) for detail in error.errors(include_url=False)]


def keys_at(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """Return the keys that a model has at a location; empty where any key goes or none."""
    annotation: Any = model
    for part in location:
        annotation = _inside(annotation, part)
    found = _model_of(annotation)
    return [] if found is None else list(found.model_fields)


def _finding(detail: ErrorDetails, model: type[BaseModel]) -> Mistake:
    location = tuple(part for part in detail["loc"] if part != "[key]")
    context = detail.get("ctx", {})
    name = next((part for part in reversed(location) if isinstance(part, str)), "")
    match detail["type"]:
        case "extra_forbidden":
            hint = did_you_mean(name, keys_at(model, location[:-1]))
            return Mistake(location=location, message=f"unknown key {name!r}", hint=hint)
        case "missing":
            return Mistake(
                location=location, message=f"{name!r} is missing", hint="it must be given", missing=True
            )
        case "enum" | "literal_error":
            expected = str(context.get("expected", "")).replace("'", "")
            shown = detail["input"]
            hint = (
                did_you_mean(str(shown), expected.replace(" or ", ", ").split(", ")) or f"one of {expected}"
            )
            return Mistake(
                location=location, message=f"{as_written(shown)} is not a value for {name!r}", hint=hint
            )
        case _ if "hint" in context:
            said = str(context["message"])
            message = said if repr(name) in said else f"{name!r}: {said}"
            is_name = detail["type"] == "name_invalid"
            return Mistake(location=location, message=message, hint=context["hint"], is_name=is_name)
    return Mistake(location=location, message=_wrong(detail, name), hint=_remedy(detail))


_WANTED: Final[Mapping[str, str]] = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number of fewer digits",
    "float_type": "a number",
    "finite_number": "a number",
    "path_type": "text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "keys with values",
    "mapping_type": "keys with values",
    "model_type": "keys with values",
    "model_attributes_type": "keys with values",
}


_BOUNDS: Final = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
_SAID: Final = {"too_short": "is empty", "string_pattern_mismatch": "has characters that cannot be there"}
_DEFAULT: Final = "remove the key to have its default"
_DATE: Final = 'write "2026-01-31T12:00:00+01:00"'


def _wrong(detail: ErrorDetails, name: str) -> str:
    kind, given, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind in _WANTED:
        return f"{name!r} must be {_WANTED[kind]}, not {_shown(given)}"
    for key, words in _BOUNDS.items():
        if key in context:
            return f"{name!r} must be {words} {context[key]}, not {_short(str(given))}"
    if kind == "timezone_aware" or kind.startswith("datetime"):
        said = "has no time zone" if kind == "timezone_aware" else "is not a date"
        return f"{name!r} {said}: {as_written(given)}"
    refused = f"is refused: {detail['msg']}"
    return f"{name!r} {_SAID.get(kind, refused)}"


def _remedy(detail: ErrorDetails) -> str:
    kind, given = detail["type"], detail["input"]
    written = str(given).lower() if isinstance(given, bool) else str(given)
    remedies = {
        "string_type": f'{IN_QUOTES} "{written}"' if isinstance(given, bool | int | float) else "",
        "bool_type": "write true or false without quotes",
        "int_type": f"write {given} without quotes" if written.isdecimal() else "write digits only",
        "greater_than_equal": _DEFAULT,
        "greater_than": _DEFAULT,
        "less_than_equal": _DEFAULT,
        "less_than": _DEFAULT,
        "string_pattern_mismatch": "a variable's name has no '=' in it, and nothing has a NUL character",
        "tuple_type": f'write ["{given}"]' if isinstance(given, str) else "",
        "too_short": "put something in, or remove the key",
        "timezone_aware": _DATE,
    }
    if given is None:
        return "give a value, or remove the key"
    return remedies.get(kind, _DATE if kind.startswith("datetime") else "")


def _shown(given: object) -> str:
    match given:
        case None:
            return "nothing"
        case Mapping():
            return "keys with values"
        case list() | tuple():
            return "a list"
        case bool():
            return str(given).lower()
        case int() | float():
            return f"the number {given}"
    return as_written(given)


def as_written(given: object) -> str:
    """Return a value as a person wrote it, text in quotes, shortened for one line."""
    match given:
        case str():
            return _short(repr(given))
        case bool():
            return str(given).lower()
        case int() | float():
            return _short(str(given))
    return _shown(given) if given is None or isinstance(given, Mapping | list | tuple) else repr(given)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}…"  # noqa: PLR2004 - as much as reads well in a line


def _model_of(annotation: Any) -> type[BaseModel] | None:
    for option in _options(annotation):
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return None


def _options(annotation: Any) -> Iterable[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _options(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for option in get_args(annotation):
            yield from _options(option)
    else:
        yield annotation


def _inside(annotation: Any, part: str | int) -> Any:
    for option in _options(annotation):
        if isinstance(option, type) and issubclass(option, BaseModel) and part in option.model_fields:
            return option.model_fields[str(part)].annotation
        if get_origin(option) in (typing.get_origin(Mapping[str, str]), dict):
            return get_args(option)[1]
        if get_origin(option) in (tuple, list):
            return get_args(option)[0]
    return None
