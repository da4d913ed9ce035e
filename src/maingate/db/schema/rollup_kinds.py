"""The kinds of events and measures that roll-ups count, and the buckets of their histograms.

Kinds have few values by construction: machines, states, triggers, codes of reasons and severities are lists
of the program, and of the names that people give (operators, gates, tools) a limited number is kept apart.
"""

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields, replace
from enum import StrEnum
from itertools import accumulate
from typing import Final, TypeVar

BOUNDS_MS: Final = (
    *(1, 2, 5, 10, 25, 50, 100, 250, 500),
    *(1_000, 2_500, 5_000, 10_000, 30_000),
    *(60_000, 120_000, 300_000, 600_000, 1_800_000),
    *(3_600_000, 7_200_000, 14_400_000, 43_200_000, 86_400_000, 604_800_000),
)
"""Upper bounds of the buckets of durations, inclusive, in milliseconds; one more bucket holds the rest."""

MOST_NAMES: Final = 100
"""Most operators, gates and tools that are each kept apart; later ones count together as `OTHER`."""

FLAKE: Final = "flake"
"""The type, in queries, of transitions of gates that passed only on another execution."""

OTHER: Final = "(other)"
"""The name under which names beyond `MOST_NAMES` count together; no name has brackets."""

EVER: Final = -1
"""The hour of the rows that count all time; as an hour it is before 1970."""


class Measure(StrEnum):
    """The measures; each kind of one is a histogram of durations, or a sum."""

    STATE = "state"
    """Time in a state, from the transition into it to the transition out of it."""
    LIFE = "life"
    """Time from the creation of an entity to its end, or of a patch to its landing; ``state`` is the end."""
    WORK = "work"
    """Time from the start of an entity to its end; ``state`` is the end."""
    TOOL = "tool"
    """Time of an attempt of a tool; ``variant`` is its outcome."""
    TOOL_COST = "tool_cost"
    """Cost of an attempt of a tool, in millionths of a US dollar."""
    TOOL_TOKENS = "tool_tokens"
    """Tokens read and written by an attempt of a tool."""
    REUSE = "reuse"
    """Verdicts that were reused instead of run; the sum is 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EventKind:
    """The columns by which events are counted; an empty text stands for none.

    Args:
        event_type: Its type.
        entity_type: The machine of its entity.
        from_state: The state before.
        to_state: The state after.
        trigger: Its trigger.
        severity: Its severity.
        operator: The person who caused it.
        reason: The code of its reason.
        gate: The gate that it is about, or that its reason names.
        tool: The tool that it is about.
        variant: The type of a gate, or the kind of a task.
        mark: ``flaky`` for a gate that passed only on another execution.
    """

    event_type: str
    entity_type: str = ""
    from_state: str = ""
    to_state: str = ""
    trigger: str = ""
    severity: str = ""
    operator: str = ""
    reason: str = ""
    gate: str = ""
    tool: str = ""
    variant: str = ""
    mark: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasureKind:
    """The columns by which a measure is kept; an empty text stands for none.

    Args:
        measure: The measure.
        entity_type: The machine.
        state: The state, or the end.
        gate: The gate.
        tool: The tool.
        variant: The type of a gate, the kind of a task, or the outcome of a tool.
    """

    measure: str
    entity_type: str = ""
    state: str = ""
    gate: str = ""
    tool: str = ""
    variant: str = ""


Kind = TypeVar("Kind", EventKind, MeasureKind)

EVENT_COLUMNS: Final = tuple(field.name for field in fields(EventKind))
MEASURE_COLUMNS: Final = tuple(field.name for field in fields(MeasureKind))
_NAMES: Final = ("operator", "gate", "tool")
"""The columns with names that people give."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Histogram:
    """A number of values, their sum, and how many fell into each bucket.

    Args:
        buckets: The number of values by bucket, none left out that has one.
        total: The sum: microseconds for a duration.
    """

    buckets: Mapping[int, int]
    total: int

    @property
    def count(self) -> int:
        """The number of values."""
        return sum(self.buckets.values())

    @property
    def cumulative(self) -> tuple[int, ...]:
        """The number of values up to each of `BOUNDS_MS`, and of all."""
        return tuple(accumulate(self.buckets.get(bucket, 0) for bucket in range(len(BOUNDS_MS) + 1)))

    def __add__(self, other: "Histogram") -> "Histogram":
        """Return the histogram of both."""
        keys = {**self.buckets, **other.buckets}
        both = {key: self.buckets.get(key, 0) + other.buckets.get(key, 0) for key in keys}
        return Histogram(buckets=both, total=self.total + other.total)

    def quantile(self, share: float) -> float:
        """Return the duration in seconds that a share of the values does not exceed.

        Within a bucket values are taken as spread evenly, so the answer is in the right bucket. Values beyond
        the last bound count as that bound.
        """
        wanted, before = share * self.count, 0
        for bucket, bound in enumerate(BOUNDS_MS):
            inside = self.buckets.get(bucket, 0)
            if inside and before + inside >= wanted:
                low = BOUNDS_MS[bucket - 1] if bucket else 0
                return (low + (bound - low) * max(0.0, wanted - before) / inside) / 1000
            before += inside
        return BOUNDS_MS[-1] / 1000 if self.count else 0.0


EMPTY: Final = Histogram(buckets={}, total=0)


def values_of(kind: EventKind | MeasureKind) -> tuple[str, ...]:
    """Return the columns of a kind, in order."""
    return astuple(kind)


class DistinctNames:
    """The names that are kept apart, by column.

    Args:
        kinds: The kinds that are on record.
    """

    def __init__(self, kinds: Iterable[EventKind | MeasureKind]) -> None:
        self._known: dict[str, set[str]] = {column: set() for column in _NAMES}
        for kind in kinds:
            for column in _NAMES:
                if name := getattr(kind, column, ""):
                    self._known[column].add(name)

    @property
    def columns(self) -> frozenset[str]:
        """The columns whose names are limited."""
        return frozenset(_NAMES)

    def has_other(self, column: str) -> bool:
        """Return whether names of a column count together."""
        return OTHER in self._known[column]

    def folded(self, kind: Kind) -> Kind:
        """Return a kind with names beyond the limit replaced; a new name within it is known from now on."""
        beyond = {column: OTHER for column in _NAMES if self._is_beyond(column, getattr(kind, column, ""))}
        return replace(kind, **beyond) if beyond else kind

    def _is_beyond(self, column: str, name: str) -> bool:
        known = self._known[column]
        if not name or name in known:
            return False
        if len(known - {OTHER}) >= MOST_NAMES:
            return True
        known.add(name)
        return False
