"""The types of a plan's fields: the values that each accepts, and its error with a hint for others."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StrictFloat,
    StrictInt,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from pydantic_core import PydanticCustomError, to_jsonable_python

from maingate.git_dates import RAW_DATE
from maingate.settings.problems import as_written


class PlanPart(BaseModel):
    """A part of a plan: frozen, with no key that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def fault(kind: str, message: str, hint: str) -> PydanticCustomError:
    """Return the error of a value that a field does not accept."""
    return PydanticCustomError(kind, "{message}", {"message": message, "hint": hint})


def _command(value: object) -> str | tuple[str, ...]:
    """Parse a command: a string for ``sh -c``, or a list of program and arguments."""
    hint = 'write a string (run by sh) or a list such as ["pytest", "-q"]'
    if isinstance(value, str):
        parts: tuple[object, ...] = (value,)
    elif isinstance(value, list | tuple):
        parts = tuple(value)
    else:
        raise fault("command_invalid", f"{as_written(value)} is not a command", hint)
    for part in parts:
        if not isinstance(part, str):
            raise fault(
                "command_invalid",
                f"{as_written(part)} in a command is not text",
                f'write it in quotes: "{part}"',
            )
        if "\0" in part:
            raise fault("command_invalid", "a command cannot contain a NUL character", "remove it")
    if not parts or not str(parts[0]).strip():
        raise fault("command_invalid", "the command is empty", hint)
    return value if isinstance(value, str) else tuple(str(part) for part in parts)


def _text(value: str) -> str:
    if not value.strip():
        raise fault("text_empty", "the text is empty", "write something, or remove the key")
    if "\0" in value:
        raise fault("text_invalid", "text cannot contain a NUL character", "remove it")
    return value


_AUTHOR: Final = re.compile(r"[^<>\n\0]*[^<>\s\0][^<>\n\0]* <[^<>\n\0]*>")


def _author(value: str) -> str:
    if not _AUTHOR.fullmatch(value):
        raise fault("author_invalid", f"{value!r} is not an author", 'write "Ada Example <ada@example.org>"')
    return value


def _date(value: object, check: ValidatorFunctionWrapHandler) -> object:
    if isinstance(value, str) and RAW_DATE.fullmatch(value.strip()):
        return value.strip()
    if not isinstance(value, str | datetime):
        raise fault("date_invalid", f"{as_written(value)} is not a date", 'write "2026-01-31T12:00:00+01:00"')
    return check(value)


_COMMIT_ID: Final = re.compile(r"^[0-9a-f]{40}$")


def _commit_id(value: str) -> str:
    if not _COMMIT_ID.match(value):
        hint = "write all 40 letters of its id, as `git rev-parse` prints them"
        raise fault("commit_invalid", f"{as_written(value)} is not the id of a commit", hint)
    return value


def _variable(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value, re.ASCII):
        hint = "write the name of the variable, such as ANTHROPIC_API_KEY, never its value"
        raise fault("variable_invalid", "a secret is not the name of an environment variable", hint)
    return value


def _regex(value: str) -> str:
    try:
        re.compile(value.encode())
    except re.error as error:
        raise fault("regex_invalid", f"{value!r} is not a regular expression: {error}", "") from error
    return value


def _exit_code(value: int) -> int:
    if not 0 <= value <= 255:  # noqa: PLR2004 - the range of exit codes on POSIX
        raise fault("exit_code_invalid", f"{value} is not an exit code", "exit codes go from 0 to 255")
    return value


Command = Annotated[
    str | tuple[str, ...],
    PlainValidator(_command),
    PlainSerializer(lambda command: command if isinstance(command, str) else list(command), when_used="json"),
    WithJsonSchema(
        {
            "description": "a string is run by sh; a list is program and arguments",
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ],
        }
    ),
]
Text = Annotated[str, AfterValidator(_text)]
Author = Annotated[str, AfterValidator(_author)]
if TYPE_CHECKING:
    Date = datetime | str
else:
    Date = Annotated[
        AwareDatetime,
        WrapValidator(_date),
        PlainSerializer(to_jsonable_python, when_used="json"),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string", "format": "date-time"},
                    {"type": "string", "pattern": r"^@?-?\d+ "},
                ]
            }
        ),
    ]
ExitCodes = Annotated[tuple[Annotated[StrictInt, AfterValidator(_exit_code)], ...], Field(min_length=1)]
Environment = Mapping[
    Annotated[str, Field(pattern=r"^[^=\x00]+$")], Annotated[str, Field(pattern=r"^[^\x00]*$")]
]
CommitId = Annotated[
    str, AfterValidator(_commit_id), WithJsonSchema({"type": "string", "pattern": _COMMIT_ID.pattern})
]
Dollars = Annotated[StrictFloat | StrictInt, Field(gt=0, allow_inf_nan=False)]
VariableName = Annotated[str, AfterValidator(_variable)]
Regex = Annotated[str, AfterValidator(_regex)]
