"""Durations (``1h30m``) and sizes (``64MiB``) as people write them in plans and settings."""

import math
import re
from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from maingate.settings.problems import as_written

LONGEST_DURATION: Final = timedelta(days=365)
"""The longest duration that a plan or the settings may state."""

_SECONDS_IN_UNIT: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION: Final = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", re.ASCII)
_SIZE: Final = re.compile(r"(\d+)\s*([KMGT]?)(?:i?B)?", re.ASCII | re.IGNORECASE)
_POWER_OF_1024: Final = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def parse_duration(value: object) -> timedelta:
    """Parse a duration: ``90s``, ``10m``, ``1h30m``, ``1d``, or a number of seconds.

    Args:
        value: The user's text or number, or a timedelta.

    Returns:
        The duration, above zero and at most a year.

    Raises:
        PydanticCustomError: It is not a duration, or zero, negative or too long.
    """
    seconds = _seconds(value)
    if seconds is None or math.isnan(seconds):
        raise _amount_error(
            "duration",
            f"{as_written(value)} is not a duration",
            "write 90s, 10m, 1h30m, 1d or a number of seconds",
        )
    if seconds <= 0:
        raise _amount_error(
            "duration",
            f"a duration must be above zero, not {as_written(value)}",
            "remove the key to have its default",
        )
    if seconds > LONGEST_DURATION.total_seconds():
        raise _amount_error("duration", f"{as_written(value)} is longer than a year", "write at most 365d")
    return timedelta(seconds=seconds)


def format_duration(value: timedelta) -> str:
    """Return a duration as text, such as ``1h30m``."""
    rest = value.total_seconds()
    if rest != int(rest):
        return f"{rest:g}s"
    text, left = "", int(rest)
    for unit, size in _SECONDS_IN_UNIT.items():
        count, left = divmod(left, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def parse_size(value: object) -> int:
    """Parse a size in bytes: a whole number, or ``512K``, ``64MiB``, ``2G`` (powers of 1024).

    Raises:
        PydanticCustomError: It is not a size, or not above zero.
    """
    size: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    elif isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        size = int(match[1]) * 1024 ** _POWER_OF_1024[match[2].upper()]
    if size is None:
        raise _amount_error(
            "size", f"{as_written(value)} is not a size", "write a number of bytes, or 512K, 64MiB, 2G"
        )
    if size <= 0:
        raise _amount_error(
            "size",
            f"a size must be above zero, not {as_written(value)}",
            "remove the key to have its default",
        )
    return size


def _seconds(value: object) -> float | None:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _as_float(value)
    if not isinstance(value, str):
        return None
    text = value.strip()
    if text.startswith("-") and _DURATION.fullmatch(text[1:]):
        return -1.0
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return days * 86_400 + hours * 3_600 + minutes * 60 + seconds


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # not every whole number is a float
        return math.inf if value > 0 else -math.inf


def _amount_error(kind: str, message: str, hint: str) -> PydanticCustomError:
    return PydanticCustomError(f"{kind}_invalid", "{message}", {"message": message, "hint": hint})


def _as_seconds(value: timedelta) -> int | float:
    seconds = value.total_seconds()
    return int(seconds) if seconds.is_integer() else seconds


_DURATION_SCHEMA: Final[dict[str, Any]] = {
    "description": "90s, 10m, 1h30m, 1d, or a number of seconds",
    "anyOf": [
        {"type": "string", "pattern": r"^(\d+d)?(\d+h)?(\d+m)?(\d+(\.\d+)?s?)?$", "minLength": 1},
        {"type": "number", "exclusiveMinimum": 0},
    ],
}
_SIZE_SCHEMA: Final[dict[str, Any]] = {
    "description": "bytes, or 512K, 64MiB, 2G",
    "anyOf": [
        {"type": "string", "pattern": r"^\d+\s*[KMGTkmgt]?(i?B)?$"},
        {"type": "integer", "exclusiveMinimum": 0},
    ],
}

Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(_as_seconds, when_used="json"),
    WithJsonSchema(_DURATION_SCHEMA),
]
"""A time span above zero; JSON form: seconds."""

Size = Annotated[int, BeforeValidator(parse_size), WithJsonSchema(_SIZE_SCHEMA)]
"""A number of bytes above zero."""
