"""The query language of events: one text for the command line, the API and the page.

A query is a list of terms: ``type:flake gate:unit since:7d by:gate top:10``. ``key:value`` filters or groups;
several values, separated by commas or as several terms, mean any of them; other words are searched for.
`parse` makes a `EventSearch` of it or reports every problem at once, with its position and the choices.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from itertools import chain
from typing import Any, Final

from maingate.clock import moment_in_utc
from maingate.db.schema.rollup_kinds import FLAKE, EventKind
from maingate.errors import UsageError
from maingate.events import TRANSITION_SUFFIX, EventType, Severity
from maingate.reasons import ReasonCode
from maingate.state.machines import MACHINES

SHORT_TYPES: Final[Mapping[str, str]] = {
    "run": "run",
    "workstream": "workstream",
    "task": "task",
    "patch": "patch_ledger",
    "gate": "test_gate",
    "worker": "worker",
    "slot": "uet_worker",
    "breaker": "circuit_breaker",
}
"""Short names of machines, for the types of their transitions."""

OVERRIDE: Final = "override"
"""The short name of decisions by hand."""

UNITS: Final[Mapping[str, int]] = {"minute": 60, "hour": 3_600, "day": 86_400}
"""Parts of time that events are grouped by, in seconds."""

GROUPS: Final = (*UNITS, "type", "state", "trigger", "severity", "gate", "tool", "reason", "operator")
"""The columns that events are grouped by."""

MOST: Final = 10_000
"""Largest number of rows of an answer."""

_TYPES: Final = (
    *SHORT_TYPES,
    FLAKE,
    OVERRIDE,
    *map(str, EventType),
    *(f"{machine}{TRANSITION_SUFFIX}" for machine in MACHINES),
)
_STATES: Final = tuple(dict.fromkeys(str(state) for one in MACHINES.values() for state in one.states))
_CHOICES: Final[Mapping[str, Sequence[str]]] = {
    "type": _TYPES,
    "severity": tuple(map(str, Severity)),
    "state": _STATES,
    "from": _STATES,
    "reason": tuple(map(str, ReasonCode)),
}
"""The values of the keys that have a list of them."""

_FREE: Final = ("trigger", "operator", "gate", "tool")
_IDS: Final = ("entity", "run", "workstream", "task")
FILTERS: Final = (*_CHOICES, *_FREE, *_IDS)
"""The keys that filter by one value or several."""
KEYS: Final = (*FILTERS, "since", "until", "by", "show", "top")

_TERM: Final = re.compile(r'(?:([A-Za-z_-]*):)?("(?:[^"\\]|\\.)*"?|[^\s"]*)', re.DOTALL)
_PLAIN: Final = re.compile(r'[^\s",:\\]+')


class QueryError(UsageError):
    """The query has problems.

    Args:
        problems: The position of each, from 0, and its description.
    """

    def __init__(self, problems: Sequence[tuple[int, str]]) -> None:
        self.problems: Final = tuple(problems)
        lines = [f"query, at {position + 1}: {text}" for position, text in self.problems]
        super().__init__("\n".join(lines))


@dataclass(frozen=True, kw_only=True)
class EventSearch:
    """A query as a value.

    Args:
        wanted: The values of each filter, by its key; each filter has to match.
        words: Texts that all have to occur in an event's reason or metadata, in any case.
        since: Only events from this time on.
        until: Only events before this time.
        by: The columns to group by; empty lists the events.
        show: ``count`` the events, or the ``time`` spent in the states that they left.
        top: Most rows of the answer; None for the default.
    """

    wanted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    by: tuple[str, ...] = ()
    show: str = "count"
    top: int | None = None

    @property
    def is_list(self) -> bool:
        """Return whether it lists events instead of grouping them."""
        return not self.by and self.show == "count"

    @property
    def needs_rows(self) -> bool:
        """Return whether roll-ups cannot answer it: they have no entities, no texts and no minutes."""
        return bool(self.words) or "minute" in self.by or any(key in self.wanted for key in _IDS)

    def matches(self, kind: EventKind) -> bool:
        """Return whether events of a kind match, as far as that depends on their kind."""
        return all(
            any(_MATCHES[key](kind, value) for value in values)
            for key, values in self.wanted.items()
            if key in _MATCHES
        )

    def __str__(self) -> str:
        """Return the query that has this value; times are absolute."""
        terms = [f"{key}:{','.join(map(_quoted, values))}" for key, values in self.wanted.items()]
        terms += [f"since:{_quoted(self.since.isoformat())}"] if self.since else []
        terms += [f"until:{_quoted(self.until.isoformat())}"] if self.until else []
        terms += [f"by:{','.join(self.by)}"] if self.by else []
        terms += [f"show:{self.show}"] if self.show != "count" else []
        terms += [f"top:{self.top}"] if self.top is not None else []
        return " ".join([*terms, *map(_in_quotes, self.words)])


class UnsuitedQueryError(UsageError):
    """The query has a term that the thing asked for cannot have.

    Args:
        text: The fault.
        keys: The keys of the terms at fault; an empty one is that of words.
    """

    def __init__(self, text: str, keys: Sequence[str]) -> None:
        super().__init__(text)
        self.keys: Final = tuple(keys)


def parse(text: str, *, now: datetime, zone: tzinfo | None = None) -> EventSearch:
    """Parse a query.

    Args:
        text: The query.
        now: The time that durations in it count back from.
        zone: The zone of times that state none; None for that of this machine.

    Raises:
        QueryError: It has problems; all of them are reported.
    """
    found = _Parts(_Times(now, zone))
    for position, key, value in _terms(text):
        found.add(position, key, value)
    if found.problems:
        raise QueryError(found.problems)
    return found.search()


def place_of(text: str, keys: Sequence[str]) -> int:
    """Return the position of the first term with one of some keys, or 0; an empty key is that of words."""
    return next((position for position, key, _ in _terms(text) if (key or "") in keys), 0)


def type_matches(kind: EventKind, name: str) -> bool:
    """Return whether a kind is of a type, by its short or its full name."""
    if name == FLAKE:
        return bool(kind.mark)
    return kind.event_type == full_type(name)


def full_type(name: str) -> str:
    """Return the full name of a type of events."""
    if name in SHORT_TYPES:
        return f"{SHORT_TYPES[name]}{TRANSITION_SUFFIX}"
    return str(EventType.MANUAL_OVERRIDE) if name == OVERRIDE else name


_MATCHES: Final[Mapping[str, Callable[[EventKind, str], bool]]] = {
    "type": type_matches,
    "severity": lambda kind, value: kind.severity == value,
    "state": lambda kind, value: kind.to_state == value,
    "from": lambda kind, value: kind.from_state == value,
    "reason": lambda kind, value: kind.reason == value,
    "trigger": lambda kind, value: kind.trigger == value,
    "operator": lambda kind, value: kind.operator == value,
    "gate": lambda kind, value: kind.gate == value,
    "tool": lambda kind, value: kind.tool == value,
}


@dataclass(frozen=True)
class _Times:
    """The meaning of times in a query.

    Args:
        now: The time that durations count back from.
        zone: The zone of times that state none; None for that of this machine.
    """

    now: datetime
    zone: tzinfo | None


class _Parts:
    """The parts of a query while it is read.

    Args:
        times: The meaning of times in it.
    """

    def __init__(self, times: _Times) -> None:
        self._times = times
        self.problems: list[tuple[int, str]] = []
        self._wanted: dict[str, list[str]] = {}
        self._words: list[str] = []
        self._once: dict[str, Any] = {}

    def add(self, position: int, key: str | None, value: str) -> None:
        """Add a term."""
        if _is_open(value):
            self._refuse(position, f"the quote is not closed: {value}")
        elif key is None:
            word = _unquoted(value)
            if word:
                self._words.append(word)
        elif key in FILTERS:
            self._filter(position, key, value)
        elif key in _ONCE:
            self._set_once(position, key, value)
        else:
            self._refuse(position, f"unknown key {key!r}: choose one of {', '.join(KEYS)}")

    def search(self) -> EventSearch:
        """Return what was read."""
        wanted = {key: tuple(dict.fromkeys(values)) for key, values in self._wanted.items()}
        return EventSearch(wanted=wanted, words=tuple(self._words), **self._once)

    def _filter(self, position: int, key: str, value: str) -> None:
        at = position + len(key) + 1
        for offset, part in _split(value):
            if not part:
                self._refuse(at + offset, f"{key} needs a value")
            elif key in _CHOICES and part not in _CHOICES[key]:
                choices = ", ".join(_CHOICES[key])
                self._refuse(at + offset, f"unknown {key} {part!r}: choose one of {choices}")
            else:
                self._wanted.setdefault(key, []).append(part)

    def _set_once(self, position: int, key: str, value: str) -> None:
        if key in self._once:
            self._refuse(position, f"{key} is stated twice")
            return
        try:
            self._once[key] = _ONCE[key](_unquoted(value), self._times)
        except ValueError as error:
            self._refuse(position + len(key) + 1, str(error))

    def _refuse(self, position: int, text: str) -> None:
        self.problems.append((position, text))


def _terms(text: str) -> Iterator[tuple[int, str | None, str]]:
    """Yield the terms of a query: position, key and raw value."""
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        match = _TERM.match(text, position)
        value = match[2] if match else ""
        end = match.end() if match else position + 1
        key = match[1] if match else None
        while end < len(text) and not text[end].isspace():  # a,"b c",d
            more = _TERM.match(text, end)
            stop = more.end() if more and more.end() > end else end + 1
            value += text[end:stop]
            end = stop
        yield position, key, value
        position = end


def _split(value: str) -> Iterator[tuple[int, str]]:
    """Yield the values between commas outside of quotes, with their offsets."""
    start, is_quoted, skips = 0, False, False
    for at, letter in enumerate(chain(value, ",")):
        if skips:
            skips = False
        elif letter == "\\" and is_quoted:
            skips = True
        elif letter == '"':
            is_quoted = not is_quoted
        elif letter == "," and (not is_quoted or at == len(value)):
            yield start, _unquoted(value[start:at])
            start = at + 1


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    inner = value[1:-1] if len(value) > 1 and value.endswith('"') else value[1:]
    return re.sub(r"\\(.)", r"\1", inner, flags=re.DOTALL)


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    return _in_quotes(value)


def _in_quotes(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _is_open(value: str) -> bool:
    """Return whether a quote in a raw value has no end."""
    return re.sub(r"\\.", "", value, flags=re.DOTALL).count('"') % 2 == 1


def parse_moment(text: str, now: datetime, zone: tzinfo | None = None) -> datetime:
    """Parse a duration before now, or a date and time: in a zone unless it states one, or else local.

    Raises:
        ValueError: It is neither.
    """
    from pydantic_core import PydanticCustomError  # noqa: PLC0415 - a list without a time needs no pydantic

    from maingate.settings.durations import parse_duration  # noqa: PLC0415 - as above

    try:
        return now - parse_duration(text)
    except (PydanticCustomError, OverflowError):
        pass
    try:
        return moment_in_utc(datetime.fromisoformat(text), zone)
    except ValueError:
        raise ValueError(
            f"{text!r} is neither a duration such as 10m nor a time such as 2026-01-31T12:00"
        ) from None


def _moment(text: str, times: _Times) -> datetime:
    return parse_moment(text, times.now, times.zone)


def _groups(text: str, _: _Times) -> tuple[str, ...]:
    groups = tuple(dict.fromkeys(text.split(",")))
    if unknown := [group for group in groups if group not in GROUPS]:
        raise ValueError(f"cannot group by {unknown[0]!r}: choose one of {', '.join(GROUPS)}")
    if len([group for group in groups if group in UNITS]) > 1:
        raise ValueError("group by one part of time only")
    return groups


def _shown(text: str, _: _Times) -> str:
    if text not in ("count", "time"):
        raise ValueError(f"cannot show {text!r}: choose one of count, time")
    return text


def _top(text: str, _: _Times) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or not 1 <= int(text) <= MOST:
        raise ValueError(f"top needs a number from 1 to {MOST}, not {text!r}")
    return int(text)


_ONCE: Final[Mapping[str, Callable[[str, _Times], Any]]] = {
    "since": _moment,
    "until": _moment,
    "by": _groups,
    "show": _shown,
    "top": _top,
}
"""The keys that are stated at most once, and how their values are read."""
