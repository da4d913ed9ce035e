"""Types of columns: each turns a Python value into the stored one, the same in every database, and back.

The types serve SQLAlchemy's own statements and the compiled ones of ``db.sql.records`` and
``db.transitions``, so that a value has one stored form whichever way it is written.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Dialect, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from maingate.ids import LeaseHolder
from maingate.reasons import Reason

Codec = Callable[[Any], Any]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_UNKEEPABLE: Final = "\ufffd"
_HALVES: Final = re.compile("[\ud800-\udfff]")

canonical: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
).encode
"""Return the canonical JSON text of a value: keys sorted, compact, ASCII."""

quote: Final = encode_basestring_ascii
"""Return a text as JSON: in quotes, ASCII."""

_in_order: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode


def text_of(value: str | int | None) -> str:
    """Return the text of `canonical` for one stored value, without its cost."""
    if value is None:
        return "null"
    return quote(value) if isinstance(value, str) else str(value)


def to_micros(at: datetime) -> int:
    """Return microseconds since the epoch.

    Raises:
        ValueError: The time is naive; such times are refused at the edge.
    """
    if at.tzinfo is None:
        raise ValueError(f"a time without a zone cannot be kept: {at.isoformat()}")
    return (at - EPOCH) // _MICROSECOND


@lru_cache(maxsize=256)
def from_micros(micros: int) -> datetime:
    """Return the aware UTC time of microseconds since the epoch."""
    return EPOCH + timedelta(microseconds=micros)


def storable(value: str) -> str:
    """Return a text with U+FFFD for characters that no database stores: NUL and unpaired surrogates."""
    if "\x00" in value:
        value = value.replace("\x00", _UNKEEPABLE)
    return value if value.isascii() else _HALVES.sub(_UNKEEPABLE, value)


class Stored(TypeDecorator[Any]):
    """A column type that is a pair of functions; None stays None."""

    impl: Any = Text
    cache_ok = True

    def encode(self, value: Any) -> Any:
        """Return the stored value of a Python value."""
        raise NotImplementedError

    def decode(self, value: Any) -> Any:
        """Return the Python value of a stored value."""
        raise NotImplementedError

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        """Encode for SQLAlchemy."""
        return None if value is None else self.encode(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        """Decode for SQLAlchemy."""
        return None if value is None else self.decode(value)


class Timestamp(Stored):
    """An aware time as microseconds since the epoch, so that both databases keep and order it exactly."""

    impl = BigInteger
    cache_ok = True

    def encode(self, value: datetime) -> int:
        """Return microseconds since the epoch."""
        return to_micros(value)

    def decode(self, value: int) -> datetime:
        """Return the aware UTC time."""
        return from_micros(value)


class JsonText(Stored):
    """A JSON value as text, its keys in their own order, which has a meaning in plans."""

    cache_ok = True

    def encode(self, value: Any) -> str:
        """Return the text."""
        return "{}" if value == {} else _in_order(value)

    def decode(self, value: str) -> Any:
        """Return the value."""
        return {} if value == "{}" else json.loads(value)


class StoredObject(Mapping[str, Any]):
    """A JSON object that is parsed when a value of it is read: most readers of its row need none.

    Its value is shared with other rows of the same text, and not to be changed.

    Args:
        text: Its text.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text: Final = text

    def __getitem__(self, name: str) -> Any:
        """Return a value."""
        return _parsed(self.text)[name]

    def __iter__(self) -> Iterator[str]:
        """Return an iterator over the names."""
        return iter(_parsed(self.text))

    def __len__(self) -> int:
        """Return the number of values."""
        return len(_parsed(self.text))

    def __repr__(self) -> str:
        """Return the text."""
        return self.text


@lru_cache(maxsize=2)
def _parsed(text: str) -> dict[str, Any]:
    """Return the value of a text; a living run's plan is asked for the same few values again and again."""
    found: dict[str, Any] = json.loads(text)
    return found


class JsonDocument(JsonText):
    """A large JSON object as text, read as a `StoredObject`."""

    cache_ok = True

    def encode(self, value: Any) -> str:
        """Return the text."""
        return value.text if isinstance(value, StoredObject) else super().encode(value)

    def decode(self, value: str) -> StoredObject:
        """Return the object."""
        return StoredObject(value)


class JsonList(JsonText):
    """A sequence of JSON values, read as a tuple, so that a frozen row stays frozen."""

    cache_ok = True

    def decode(self, value: str) -> tuple[Any, ...]:
        """Return the values."""
        return tuple(json.loads(value))


class FreeText(Stored):
    """Text from outside, made storable."""

    cache_ok = True

    def encode(self, value: str) -> str:
        """Return the storable text."""
        return storable(value)

    def decode(self, value: str) -> str:
        """Return the text."""
        return value


class PathText(Stored):
    """A path as Python has it; one that is not UTF-8 is stored in quotes, other bytes escaped as in JSON."""

    cache_ok = True

    def encode(self, value: str) -> str:
        """Return the path, in quotes where it must be."""
        is_plain = not value.startswith('"') and (value.isascii() or not _HALVES.search(value))
        return value if is_plain else json.dumps(value)

    def decode(self, value: str) -> str:
        """Return the path."""
        return str(json.loads(value)) if value.startswith('"') else value


class ReasonText(Stored):
    """A `Reason` in its public JSON form."""

    cache_ok = True

    def encode(self, value: Reason | Mapping[str, Any]) -> str:
        """Return the canonical text of the public form."""
        return canonical(value.as_json() if isinstance(value, Reason) else value)

    def decode(self, value: str) -> Reason:
        """Return the reason."""
        return Reason.from_json(json.loads(value))


class HolderText(Stored):
    """The holder of a lease, as its identifier."""

    cache_ok = True

    def encode(self, value: LeaseHolder) -> str:
        """Return the identifier."""
        return value.id

    def decode(self, value: str) -> LeaseHolder:
        """Return the holder."""
        return LeaseHolder(value)


class StateText(Stored):
    """A member of an enumeration as its text."""

    cache_ok = True

    def __init__(self, states: type[StrEnum]) -> None:
        super().__init__()
        self.states = states
        self._members = {str(state): state for state in states}

    def encode(self, value: str) -> str:
        """Return the text."""
        return str(value)

    def decode(self, value: str) -> StrEnum:
        """Return the member."""
        return self._members[value]


def encoder_of(kind: TypeEngine[Any]) -> Codec | None:
    """Return the function that encodes values other than None; None if they are stored as they are."""
    return kind.encode if isinstance(kind, Stored) else None


def decoder_of(kind: TypeEngine[Any]) -> Codec | None:
    """Return the function that decodes stored values other than None; None if they are the same."""
    if isinstance(kind, Stored):
        return kind.decode
    return bool if isinstance(kind, Boolean) else None
